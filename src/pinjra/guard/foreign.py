"""An object that is not plainly the guest's -> a stand-in under which a method's writes and private reads ask the policy.

Guest code never holds one: the rewriter uses it for `$oself.name` only, and every use goes on to the object itself.
"""

from __future__ import annotations

from collections.abc import Callable

from pinjra.guard.attributes import Attributes

__all__ = ["foreign"]


def foreign(attributes: Attributes) -> Callable[[object], object]:
    """Return what makes the stand-ins of one interpreter."""

    class Foreign:
        __slots__ = ("_target",)

        def __getattribute__(self, name: str) -> object:
            return attributes.getattr(target_of(self), name)

        def __setattr__(self, name: str, value: object) -> None:
            attributes.setattr(target_of(self), name, value)

        def __delattr__(self, name: str) -> None:
            attributes.delattr(target_of(self), name)

    slot = vars(Foreign)["_target"]
    target_of: Callable[[object], object] = slot.__get__
    bind: Callable[[object, object], None] = slot.__set__

    def stand_in(obj: object) -> object:
        made = Foreign()
        bind(made, obj)
        return made

    return stand_in
