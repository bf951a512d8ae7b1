"""The conformance suite: an executor factory in, one result a check out. Shipped; needs no pytest.

Every backend passes every check, except those whose requirement its `guarantees` do not claim: these are skipped by name and
reason. A check gets a fresh executor; it fails by raising anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from pinjra.core.errors import ConfigurationError
from pinjra.core.execution import ErrorKind, GuestError
from pinjra.core.limits import Limits
from pinjra.core.safe_text import printable
from pinjra.executors.base import PythonExecutor

Make = Callable[..., PythonExecutor]
"""make(additional_authorized_imports, limits=Limits, **further parameters) -> a started executor."""

CHECK_LIMITS = Limits(wall_seconds=20, memory_bytes=1 << 30)


class CheckFailed(AssertionError):
    """An executor does not keep the contract."""


class NotHere(Exception):
    """A check does not apply to this executor; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that every executor must do.

    Args:
        needs: Fields of `Guarantees` that must not be "" (a backend that does not claim them skips the check).
        limits: Of the executor it is given.
    """

    name: str
    function: Callable[[PythonExecutor], None]
    needs: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    limits: Limits = CHECK_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one check."""

    name: str
    status: str  # "passed", "failed" or "skipped"
    reason: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return a line for a terminal."""
        why = f"  ({' '.join(printable(self.reason).split())})" if self.reason else ""
        return f"{self.status:8} {self.seconds:6.2f} s  {self.name}{why}"


CHECKS: list[Check] = []
_MAKES: WeakKeyDictionary[PythonExecutor, Make] = WeakKeyDictionary()


def check(
    *, needs: Iterable[str] = (), imports: Iterable[str] = (), limits: Limits = CHECK_LIMITS
) -> Callable[[Callable[[PythonExecutor], None]], Callable[[PythonExecutor], None]]:
    """Add a function to `CHECKS`; its name, with spaces, is the check's."""

    def add(function: Callable[[PythonExecutor], None]) -> Callable[[PythonExecutor], None]:
        name = function.__name__.replace("_", " ")
        own = Check(name=name, function=function, needs=tuple(needs), imports=tuple(imports), limits=limits)
        CHECKS.append(own)
        return function

    return add


def expect(actual: object, wanted: object, what: str = "") -> None:
    """Raise `CheckFailed` unless both are equal and of one type."""
    if type(actual) is not type(wanted) or actual != wanted:
        raise CheckFailed(f"{what + ': ' if what else ''}wanted {wanted!r:.500}, got {actual!r:.500}")


def expect_raised(error: type[Exception], action: Callable[[], object]) -> None:
    """Raise `CheckFailed` unless `action` raises such an error."""
    try:
        action()
    except error:
        return
    raise CheckFailed(f"no {error.__name__}")


def run_check(make: Make, wanted: Check) -> Result:
    """Return the result of one check on a fresh executor."""
    started = time.monotonic()
    status, reason = "passed", ""
    try:
        with make(list(wanted.imports), limits=wanted.limits) as executor:
            _MAKES[executor] = make
            missing = [need for need in wanted.needs if not getattr(executor.guarantees, need)]
            if missing:
                raise NotHere(f"not guaranteed here: {', '.join(missing)}")
            wanted.function(executor)
    except NotHere as why:
        status, reason = "skipped", str(why)
    except Exception as error:
        status, reason = "failed", f"{type(error).__name__}: {error}"
    return Result(name=wanted.name, status=status, reason=reason, seconds=time.monotonic() - started)


def another(executor: PythonExecutor, imports: Iterable[str] = (), /, **options: object) -> PythonExecutor:
    """Return one more session of the backend that a check was given, with further parameters."""
    return _MAKES[executor](list(imports), limits=executor.limits, **options)


def each_result(
    make: Make, *, only: Iterable[str] = (), checks: Iterable[Check] | None = None
) -> Iterator[Result]:
    """Return one result a check, each as it is there.

    Args:
        make: Called once a check, as `make(imports, limits=limits)`.
        only: Words; checks whose name holds none of them are left out.
        checks: None: all of `CHECKS`.

    Raises:
        ConfigurationError: No check's name holds one of the words (the caller's fault).
    """
    words = list(only)
    of_all = list(CHECKS if checks is None else checks)
    chosen = [each for each in of_all if not words or any(word in each.name for word in words)]
    if not chosen:
        raise ConfigurationError(f"no check has {' or '.join(map(repr, words))} in its name")
    return (run_check(make, wanted) for wanted in chosen)


def value_of(executor: PythonExecutor, code: str) -> object:
    """Return the value of a run that must succeed."""
    done = executor.run(code)
    if done.error is not None:
        raise CheckFailed(f"{code!r:.200} failed: {done.error}")
    return done.value


def failure_of(executor: PythonExecutor, code: str, kind: ErrorKind | None = None) -> GuestError:
    """Return the error of a run that must fail, of that kind."""
    done = executor.run(code)
    if done.error is None:
        raise CheckFailed(f"{code!r:.200} gave {done.value!r:.200} and should have failed")
    if kind is not None:
        expect(done.error.kind, kind, f"kind of {done.error}")
    return done.error
