"""This machine -> what each executor can do here, and what to install for the rest."""

from __future__ import annotations

from dataclasses import dataclass

from pinjra.core.errors import PinjraError
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.registry import executor_class, executor_names

__all__ = ["COLUMNS", "Diagnosis", "diagnose", "diagnose_all", "guarantee_row"]

COLUMNS = (
    "boundary",
    "isolation",
    "network",
    "memory",
    "disk",
    "processes",
    "wall",
    "cpu",
    "rollback",
    "fork",
    "files",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What one executor can do here.

    Args:
        problem: "" when a session can be opened, else what is missing and how to get it.
        guarantees: What it enforces here; None where that is known only with an open session.
    """

    name: str
    problem: str = ""
    guarantees: Guarantees | None = None

    @property
    def is_available(self) -> bool:
        """A session can be opened here and now."""
        return not self.problem


def diagnose(name: str) -> Diagnosis:
    """Return what executor `name` can do here. The ones of this machine (jail, local) are really opened.

    Raises:
        ConfigurationError: There is no executor of that name (the caller's fault).
    """
    try:
        cls = executor_class(name)
        problem = cls.diagnose()
        if problem:
            return Diagnosis(name=name, problem=problem)
        if name in ("jail", "local"):
            with cls() as executor:
                return Diagnosis(name=name, guarantees=executor.guarantees)
    except PinjraError as error:
        return Diagnosis(name=name, problem=str(error))
    except ImportError as error:
        return Diagnosis(name=name, problem=f"cannot be loaded: {error}")
    return Diagnosis(name=name)


def diagnose_all() -> list[Diagnosis]:
    """Return one diagnosis an executor, in the registry's order."""
    return [diagnose(name) for name in executor_names()]


def guarantee_row(name: str, guarantees: Guarantees) -> str:
    """Return one line of a Markdown table: what an executor enforces, by `COLUMNS`."""
    cells = []
    for column in COLUMNS:
        value = getattr(guarantees, column)
        text = ", ".join(value) if isinstance(value, tuple) else value
        cells.append((text or "–").replace("|", "/"))
    return f"| `{name}` | {' | '.join(cells)} |"
