"""This machine -> what each executor can do here, and what to install for the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pinjra.core.errors import PinjraError
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.registry import executor_class, executor_names


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """What one executor can do here.

    Args:
        problem: "" when a session can be opened, else what is missing and how to get it.
        guarantees: What it enforces here; None where that is known only with an open session.
        access: Parameter of `core.access` -> by which mechanism it has it; what is not there is refused.
    """

    name: str
    problem: str = ""
    guarantees: Guarantees | None = None
    access: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_available(self) -> bool:
        """A session can be opened here and now."""
        return not self.problem


def diagnose(name: str) -> Diagnosis:
    """Return what executor `name` can do here. The ones of this machine (jail, local) are really opened.

    Raises:
        ConfigurationError: There is no executor of that name (the caller's fault).
    """
    access: Mapping[str, str] = {}
    guarantees = None
    try:
        cls = executor_class(name)
        access = getattr(cls, "ACCESS", {})
        problem = cls.diagnose()
        if not problem and name in ("jail", "local"):
            with cls() as executor:
                guarantees = executor.guarantees
    except PinjraError as error:
        problem = str(error)
    except ImportError as error:
        problem = f"cannot be loaded: {error}"
    return Diagnosis(name=name, problem=problem, guarantees=guarantees, access=dict(access))


def diagnose_all() -> list[Diagnosis]:
    """Return one diagnosis an executor, in the registry's order."""
    return [diagnose(name) for name in executor_names()]
