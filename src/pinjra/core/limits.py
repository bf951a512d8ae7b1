"""Limits: what one run of guest code may use. Units are in the names; None means "not limited"."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass, fields
from typing import NoReturn

from pinjra.core.errors import ConfigurationError
from pinjra.core.json_data import text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one run (a step) of guest code may use.

    Every executor enforces all that it can and says in `guarantees` what it cannot.

    Args:
        wall_seconds: Time on the clock of one run; time spent in host tools is not charged.
        cpu_seconds: Processor time of one run, of all of the guest's threads and processes.
        operations: Loop turns, calls and comprehension steps of one run (the guard's cost model).
        memory_bytes: Memory of the session, the interpreter itself included.
        disk_bytes: Everything in the scratch folder.
        output_bytes: stdout and stderr of one run together, as UTF-8; more is cut with a marker.
        value_bytes: The result or one tool argument or answer, as encoded on the wire.
        processes: Processes and threads alive in the session at one time, the interpreter's own included.
        tool_calls: Calls of host tools in one run.
    """

    wall_seconds: float | None = 30.0
    cpu_seconds: float | None = 30.0
    operations: int | None = 1_000_000_000
    memory_bytes: int | None = 1 << 30
    disk_bytes: int | None = 64 << 20
    output_bytes: int | None = 1 << 20
    value_bytes: int | None = 64 << 20
    processes: int | None = 32
    tool_calls: int | None = 1000

    def __new__(cls, *args: object, **given: object) -> Limits:
        """Say a wrong name, and the nearest right one, as any other mistake in a configuration is said."""
        if args:
            raise ConfigurationError("Limits takes everything by name, such as Limits(wall_seconds=5)")
        for name in given:
            if name not in cls.__annotations__:
                near = [
                    f"did you mean {n}=?" for n in difflib.get_close_matches(name, cls.__annotations__, 1)
                ]
                instead = [*near, f"it takes {', '.join(cls.__annotations__)}"][0]
                raise ConfigurationError(f"Limits has no parameter {name!r}; {instead}")
        return object.__new__(cls)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is None:
                continue
            is_number = isinstance(value, (int, float)) and type(value) is not bool
            # Compared, and not asked of math.isfinite(): an integer may be too large for a float
            if not is_number or not 0 < value < math.inf:
                _refuse(field.name, "a number above 0", value)
            if value >= 1 << 63:  # what the kernel and the wire count with
                raise ConfigurationError(
                    f"Limits.{field.name} must be below 2**63, not {text_of(value)}; None for no limit"
                )
            if not field.name.endswith("_seconds"):
                if value != int(value):
                    _refuse(field.name, "a whole number", value)
                object.__setattr__(self, field.name, int(value))


def _refuse(name: str, wanted: str, value: object) -> NoReturn:
    raise ConfigurationError(f"Limits.{name} must be {wanted} or None, not {text_of(value)}")
