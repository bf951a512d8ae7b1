"""`dataclass` whose generated methods first ask whose object they were given.

A dataclass's `__init__`, `__repr__` and their like write and read by names that the guest chose, on whatever comes as `self`:
`Mine.__init__(json.loads, …)` would change the host's function. So dataclasses' own functions run over a copy of their namespace,
in which the one that writes a method's source puts a question in front.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Sequence
from types import FunctionType
from typing import cast

__all__ = ["asking_dataclass"]

_ASK = "if __dataclass_kind__({0}) not in __dataclass_own__: __dataclass_check__({0})"
_Writer = Callable[..., object]


def asking_dataclass(own: Collection[type], check: Callable[[object], None]) -> Callable[..., type]:
    """Return `dataclasses.dataclass`, its methods calling `check(self)` unless the class of `self` is one of `own`."""
    space = dict(vars(dataclasses))
    for name, function in vars(dataclasses).items():
        if type(function) is FunctionType and function.__globals__ is vars(dataclasses):
            copy = FunctionType(function.__code__, space, name, function.__defaults__, function.__closure__)
            copy.__kwdefaults__ = function.__kwdefaults__
            space[name] = copy
    asked = {"__dataclass_own__": own, "__dataclass_kind__": type, "__dataclass_check__": check}

    def asking(write: _Writer, indent: str) -> _Writer:
        def create(*args: object, **options: object) -> object:
            *builder, name, parameters, body = args
            first = indent + _ASK.format(cast("Sequence[str]", parameters)[0])
            options["locals"] = {**cast("dict[str, object]", options.get("locals") or {}), **asked}
            return write(*builder, name, parameters, [first, *cast("Sequence[str]", body)], **options)

        return create

    if "_FuncBuilder" in space:  # Python 3.13 and later
        builder = cast(type, space["_FuncBuilder"])
        add = asking(vars(builder)["add_fn"], "  ")
        space["_FuncBuilder"] = type("_FuncBuilder", (builder,), {"add_fn": add})
    else:
        space["_create_fn"] = asking(cast(_Writer, space["_create_fn"]), "")
    return cast(Callable[..., type], space["dataclass"])
