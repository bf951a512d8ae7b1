"""A callable -> what a guest may be told of its parameters, and a check of arguments against them.

Told are names, kinds and plain types. Never told: defaults, and what `functools.partial` has bound, since both are the host's own
values (keys, addresses). What is bound cannot be given by a call either.
"""

from __future__ import annotations

import functools
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MethodType
from typing import Annotated, get_args, get_origin

from pinjra.core.errors import ToolRefused

Parameter = inspect.Parameter
_NAME = r"[A-Za-z_][\w.]*"
# SECURITY: no quotes, digits or calls: a Literal's values and what stands in Annotated are the host's own.
_TYPE = re.compile(rf"{_NAME}([ |,\[\]]+{_NAME})*\]*(, \.\.\.\])?\]*")
_TYPE_CHARS = 80
_LAYERS = 20  # callables that stand for another callable, one around the other
_POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)
_ANY_NUMBER = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_AS_TEXT = 4  # annotationlib.Format.STRING of Python 3.14
_PLACEHOLDER: object = getattr(functools, "Placeholder", object())  # Python 3.14


@dataclass(frozen=True)
class CallSignature:
    """What a call may give.

    Args:
        parameters: Without what is bound; None where Python does not know (some builtins).
        bound: Names that the host has given itself.
    """

    parameters: tuple[Parameter, ...] | None
    bound: frozenset[str] = frozenset()

    @functools.cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.Signature(self.parameters)

    def shown(self) -> str:
        """Return names and types, "..." for what may be left out: "(query: str, *, limit: int = ...)"."""
        if self.parameters is None:
            return "(...)"
        return str(inspect.Signature([_without_values(each) for each in self.parameters]))

    def check(self, name: str, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Raise `ToolRefused` where a call of `name` with these arguments does not fit; the message may be shown to a guest."""
        given_anew = sorted(self.bound & kwargs.keys())
        if given_anew:
            raise ToolRefused(f"{name}{self.shown()}: got an unexpected keyword argument {given_anew[0]!r}")
        if self.parameters is None:
            return
        try:
            self._signature.bind(*args, **kwargs)
        except TypeError as error:  # names only
            raise ToolRefused(f"{name}{self.shown()}: {error}") from None


def call_signature(function: Callable[..., object]) -> CallSignature:
    """Return what a call of `function` may give: of functions, methods, partials, wrappers, classes, callable objects."""
    return _signature(function, _LAYERS)


def _signature(function: object, layers: int) -> CallSignature:
    if layers == 0 or not callable(function):
        return CallSignature(None)
    if isinstance(function, functools.partial):
        return _rest(_signature(function.func, layers - 1), function.args, frozenset(function.keywords))
    if isinstance(function, MethodType):
        return _rest(_signature(function.__func__, layers - 1), (function.__self__,), frozenset())
    wrapped = getattr(function, "__wrapped__", None)
    if callable(wrapped) and not isinstance(function, type):
        own = _plain(function)
        if own is None or any(each.kind in _ANY_NUMBER for each in own):
            # SECURITY: a partial below a wrapper is seen for what it has bound.
            return _signature(wrapped, layers - 1)
        return CallSignature(own)
    if inspect.isroutine(function) or isinstance(function, type):
        return CallSignature(_plain(function))
    call = type(function).__call__
    return _signature(call.__get__(function) if hasattr(call, "__get__") else call, layers - 1)


def _plain(function: Callable[..., object]) -> tuple[Parameter, ...] | None:
    try:
        if sys.version_info >= (3, 14):
            # As they are written: evaluating them may fail.
            found = inspect.signature(function, follow_wrapped=False, annotation_format=_AS_TEXT)
        else:
            found = inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):  # builtins without a text signature
        return None
    return tuple(found.parameters.values())


def _rest(inner: CallSignature, args: tuple[object, ...], names: frozenset[str]) -> CallSignature:
    """Return what is left of a signature when `args` and the keyword arguments `names` are given."""
    bound = inner.bound | names
    if inner.parameters is None:
        return CallSignature(None, bound)
    return CallSignature(tuple(_left(inner.parameters, args, names)), bound)


def _left(
    parameters: tuple[Parameter, ...], args: tuple[object, ...], names: frozenset[str]
) -> Iterator[Parameter]:
    given = list(args)
    by_name_only = False  # what stands behind an argument that was bound by name can be given by name only
    for each in parameters:
        if each.kind in _POSITIONAL and given:
            if given.pop(0) is _PLACEHOLDER:
                yield each.replace(kind=Parameter.POSITIONAL_ONLY)
        elif each.name in names and each.kind is not Parameter.VAR_KEYWORD:
            by_name_only = True
        elif by_name_only and each.kind is Parameter.VAR_POSITIONAL:
            continue
        elif by_name_only and each.kind is Parameter.POSITIONAL_OR_KEYWORD:
            yield each.replace(kind=Parameter.KEYWORD_ONLY)
        else:
            yield each


def _without_values(parameter: Parameter) -> Parameter:
    said = _type(parameter.annotation)
    return parameter.replace(
        default=Parameter.empty if parameter.default is Parameter.empty else _Shown("..."),
        annotation=_Shown(said) if said else Parameter.empty,
    )


class _Shown:
    """Shows itself in a signature as these words."""

    def __init__(self, said: str) -> None:
        self.said = said

    def __repr__(self) -> str:
        return self.said


def _type(annotation: object) -> str:
    """Return a plain type as Python writes it; "" for what holds anything else."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation is Parameter.empty:
        return ""
    said = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    fits = len(said) <= _TYPE_CHARS and _TYPE.fullmatch(said) is not None
    return said if fits and "Annotated" not in said and "Literal" not in said else ""
