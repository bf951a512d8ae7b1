"""Values that stand for what cannot cross between guest and host."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Opaque", "Record"]


@dataclass(frozen=True, slots=True)
class Opaque:
    """A value that cannot cross: its type's name and a safe, cut description. Never the object itself.

    Args:
        type: Class name ("Counter").
        repr: At most 10,000 characters; made where the object lives.
        handle: 0, or the number under which the side that owns the object keeps it, so that an Opaque given
            back to that side becomes the object again.
    """

    type: str
    repr: str
    handle: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """A guest's dataclass instance or enum member on the host: named fields, no behaviour.

    Args:
        type: Class name.
        fields: Field name → value, in order.
    """

    type: str
    fields: dict[str, object]
