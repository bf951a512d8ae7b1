"""Module name -> the stand-ins that a session's guest gets instead of some of its names.

A stand-in exists where the real function would read or set attributes by a name that the guest chose, run text, change state
that the host shares, or consume and produce without end in C. Its results and errors are CPython's; `tests/guard` compares.

Rules: never call a method of a guest object to decide something (`type(x) is str`); never swallow GuestStop; keep the
real class wherever a class is asked for, or a subclass that differs only in what it prices.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from pinjra.guard.audit import host_section
from pinjra.guard.errors import RefusedAttribute, RefusedOperation
from pinjra.guard.modules import words
from pinjra.guard.policy import Kind, kind_of
from pinjra.guard.services import GuardServices

__all__ = ["Keeper", "Session", "StandIns", "check_own_name", "named", "refuse"]

StandIns = dict[str, object]
Factory = Callable[["Session"], StandIns]


@dataclass
class Keeper:
    """A piece of state that host and guest share: put away when guest code enters, put back when it leaves."""

    read: Callable[[], object]
    write: Callable[[object], object]
    guest: object
    host: object = None


@dataclass
class Session:
    """What the stand-ins of one importer share.

    Args:
        import_module: The guest's own import of a dotted name.
        keepers: Shared state by name; see `enter` and `leave`.
    """

    services: GuardServices
    in_process: bool
    import_module: Callable[[str], object]
    keepers: dict[str, Keeper] = field(default_factory=dict)
    running: bool = False
    _loops: tuple[object, ...] = ()
    _made: dict[str, StandIns] = field(default_factory=dict)

    def stand_ins(self, module: str) -> StandIns:
        """Return the stand-ins for a module's names; made once, {} for most modules."""
        if module not in self._made:
            made: StandIns = {}
            with host_section():
                for factory in _factories().get(module, ()):
                    made.update(factory(self))
            self._made[module] = made
        return self._made[module]

    def loaded(self, module: str) -> None:
        """Note that the guest now has this module, so that its shared state is kept apart."""
        with host_section():
            from pinjra.guard.replacements.state import KEEPERS
        for name, (owner, make) in KEEPERS.items():
            if (
                (module == owner or module.startswith(owner + "."))
                and name not in self.keepers
                and self.in_process
            ):
                with host_section():
                    keeper = make()
                self.keepers[name] = keeper
                if self.running:
                    keeper.host = keeper.read()
                    keeper.write(keeper.guest)

    def enter(self) -> None:
        """Guest code starts on this thread: show it its own state."""
        self.running = True
        self._loops = _put_loops_aside()
        self._show_guest()

    def leave(self) -> None:
        """Guest code has stopped: give the host its state back."""
        self.running = False
        self._show_host()
        _put_loops_back(self._loops)

    @contextmanager
    def outside(self) -> Iterator[None]:
        """A tool of the host's runs inside: it sees the host's state, as after the run."""
        self._show_host()
        try:
            yield
        finally:
            self._show_guest()

    def _show_guest(self) -> None:
        for keeper in self.keepers.values():
            keeper.host = keeper.read()
            keeper.write(keeper.guest)

    def _show_host(self) -> None:
        for keeper in reversed(self.keepers.values()):
            keeper.guest = keeper.read()
            keeper.write(keeper.host)


def _put_loops_aside() -> tuple[object, ...]:
    """Hide the host's event loops of this thread: guest code would put its tasks on them. Return what to put back."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return ()
    events = asyncio.events
    running = events._get_running_loop()
    task = asyncio.current_task(running) if running is not None else None
    if task is not None:
        asyncio.tasks._leave_task(running, task)
    if running is not None:
        events._set_running_loop(None)
    local = getattr(getattr(events, "_event_loop_policy", None), "_local", None)
    current = (getattr(local, "_loop", None), getattr(local, "_set_called", False))
    if local is not None:
        local._loop, local._set_called = None, True
    return (running, task, local, *current)


def _put_loops_back(aside: tuple[object, ...]) -> None:
    if not aside:
        return
    asyncio = sys.modules["asyncio"]
    running, task, local, loop, was_set = aside
    if running is not None:
        asyncio.events._set_running_loop(running)
    if task is not None:
        asyncio.tasks._enter_task(running, task)
    if local is not None:
        setattr(local, "_loop", loop)  # noqa: B010 (the policy's own private place)
        setattr(local, "_set_called", was_set)  # noqa: B010


@functools.cache
def _factories() -> dict[str, tuple[Factory, ...]]:
    """Return module name -> factories, gathered from the neighbours."""
    found: dict[str, tuple[Factory, ...]] = {}
    for name in words("classes coroutines data functions hints numeric objects science state text"):
        neighbour = importlib.import_module(f"{__name__}.{name}")
        for module, factory in neighbour.FACTORIES.items():
            found[module] = (*found.get(module, ()), factory)
    return found


def refuse(name: str, hint: str) -> Callable[..., object]:
    """Return a function that only says that `name` is refused, and what to do instead."""

    def refused(*args: object, **kwargs: object) -> object:
        raise RefusedOperation(f"{name} is refused", hint)

    refused.__name__ = refused.__qualname__ = name.rpartition(".")[2]
    return refused


def check_own_name(name: object) -> None:
    """Refuse a name that guest code may not even give to an attribute of its own objects.

    Raises:
        RefusedAttribute: Such names lead C code to frames or memory (`__array_interface__`), or `name` is no exact str.
    """
    if type(name) is not str or kind_of(name) is Kind.DENIED:
        raise RefusedAttribute(f"attribute {name!r:.100} is not available here")


F = TypeVar("F", bound=Callable[..., object])


def named(stand_in: F, real: object) -> F:
    """Return `stand_in` under the name and text of what it stands in for, with no way back to it (no __wrapped__)."""
    stand_in.__name__ = stand_in.__qualname__ = str(getattr(real, "__name__", "stand_in"))
    stand_in.__module__ = str(getattr(real, "__module__", "builtins"))
    stand_in.__doc__ = getattr(real, "__doc__", None)
    return stand_in
