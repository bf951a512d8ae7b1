"""GuardServices: what the runtime offers to the module proxies and replacements (`imports.py` and its neighbours).

Rules for replacements: host code must not read or write attributes by a name that the guest chose, run text that the
guest wrote, or consume a guest's iterable in C, except through these functions. Whatever makes a class for the guest
(dataclass, namedtuple, Enum, make_dataclass, NewType, new_class) hands it to `register_guest_type`; its field names must
pass `check_attribute` first, because `__match_args__` reads attributes by those names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

__all__ = ["GuardServices"]


class GuardServices(Protocol):
    """One interpreter's guards, for the use of its importer."""

    def check_attribute(self, name: object) -> None:
        """Refuse a name that guest code may not use on any object that is not its own.

        Raises:
            RefusedAttribute: `name` is not an exact str, or is private, a guarded dunder, or leads to frames or code.
        """
        ...

    def guarded_getattr(self, obj: object, name: object, *default: object) -> object:
        """Return `getattr(obj, name, *default)` under the attribute policy."""
        ...

    def guarded_setattr(self, obj: object, name: object, value: object) -> None:
        """Do `setattr(obj, name, value)` under the attribute policy."""
        ...

    def guarded_delattr(self, obj: object, name: object) -> None:
        """Do `delattr(obj, name)` under the attribute policy."""
        ...

    def meter(self, iterable: object) -> Iterable[object]:
        """Return `iterable`, or a lazy stand-in for it, whose steps are paid for; safe to hand to a C loop.

        Sized immutable iterables are paid for at once and come back as they are; nothing is read ahead.
        """
        ...

    def register_source(self, kind: type) -> None:
        """Take a class whose instances hold, as `_steps`, the paid form of themselves that loops in C run over."""
        ...

    def lazy_class(self, real: type, which: slice, layer: Callable[[object], object] | None = None) -> type:
        """Return a subclass of a lazy C iterator's class, whose instances know how deep they are nested.

        Args:
            which: The arguments that are iterables.
            layer: What to read instead of each of them.

        Raises:
            RecursionError: On making one with more than 100 levels: reading or freeing those would overflow the C stack.
        """
        ...

    def share(self, iterable: object, *iterators: object) -> None:
        """Note how deep the iterators of a tee over `iterable` are nested; raises as `lazy_class` does."""
        ...

    def price_bytes(self, n: int) -> None:
        """Refuse an operation that would make `n` bytes at once where the memory limit does not hold them.

        Raises:
            MemoryError: The guest may catch it, as in CPython.
        """
        ...

    def price_operations(self, n: int) -> None:
        """Charge `n` operations before they run.

        Raises:
            GuestStop: The budget does not hold them.
        """
        ...

    def multiply(self, left: object, right: object) -> object:
        """Return `left * right`, priced."""
        ...

    def power(self, base: object, exponent: object, modulus: object = None) -> object:
        """Return `pow(base, exponent, modulus)`, priced."""
        ...

    def shift(self, left: object, right: object) -> object:
        """Return `left << right`, priced."""
        ...

    def modulo(self, left: object, right: object) -> object:
        """Return `left % right`, with the widths of string formatting priced."""
        ...

    def format(self, template: str, args: tuple[object, ...], kwargs: object) -> str:
        """Return `template.format(*args, **kwargs)` under the attribute policy."""
        ...

    def evaluate(self, text: str, names: Mapping[str, object]) -> object:
        """Return the value of an expression that the guest wrote as text (an annotation), compiled and run as guest code."""
        ...

    def stopped(self) -> bool:
        """Return whether the run is being stopped."""
        ...

    def check_stop(self) -> None:
        """Raise the stop again if the run is being stopped.

        Raises:
            GuestStop: It is.
        """
        ...

    def register_guest_type(self, cls: type) -> None:
        """Take a class as the guest's own: its private names and attributes are free to guest code."""
        ...

    def is_guest_type(self, cls: type) -> bool:
        """Return whether `cls` was made by or for guest code. Never calls guest methods."""
        ...

    def own_classes(self) -> set[type]:
        """Return the guest's classes that have nothing of the host's in them; a live set, hashed by identity."""
        ...

    def is_guest(self, obj: object) -> bool:
        """Return whether `obj` is a guest's class, function, method, or an instance of its class."""
        ...

    def is_module(self, obj: object) -> bool:
        """Return whether `obj` is what stands for a module."""
        ...

    def guest_globals(self) -> dict[str, object]:
        """Return the guest's module namespace; its "__builtins__" is the guarded dict. Never hand it to the guest."""
        ...
