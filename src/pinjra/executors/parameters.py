"""Arguments of executors and agents -> the same arguments, or a `ConfigurationError` before anything is sent.

One mechanism for constructors, methods and functions: what a parameter takes is read off its annotation, by the table `KINDS`; of
a union any part will do. An annotation that is not there is not checked.
"""

from __future__ import annotations

import ast
import difflib
import functools
import inspect
import math
import os
from abc import ABCMeta
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pinjra.core.access import PARAMETERS, is_system_text
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.guard.policy import IMPORT_MODES

_MOST_SPARES = 1000  # sessions kept ready: 4 MiB each, opened one after the other

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class ParameterKind:
    """What a parameter takes, in words and as a test.

    Args:
        is_texts: Several texts are taken. An iterator that a constructor is given is read first: what it gives is checked.
    """

    words: str
    fits: Callable[[object], bool]
    is_texts: bool = False


def _is_number(value: object) -> bool:
    # Compared, and not asked of math.isfinite(): an integer may be too large for a float
    return isinstance(value, (int, float)) and not isinstance(value, bool) and -math.inf < value < math.inf


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_several(value: object) -> bool:
    return isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping))


def _is_texts(value: object) -> bool:
    # What can be read once only (a generator) is left to its reader.
    return _is_several(value) and (
        not isinstance(value, Collection) or all(isinstance(item, str) for item in value)
    )


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _is_input(value: object) -> bool:
    try:
        return isinstance(value, bytes) or callable(getattr(value, "read", None)) or _is_utf8(value)
    except UnicodeEncodeError:
        return False


def _is_pairs(value: object) -> bool:
    return _is_several(value) and (
        not isinstance(value, Collection)
        or all(isinstance(each, (tuple, list)) and len(each) == 2 for each in value)
    )


def _of_class(name: str, sample: str) -> ParameterKind:
    """Return the kind of a class of a layer above."""
    return ParameterKind(sample, lambda value: any(each.__name__ == name for each in type(value).__mro__))


def _is_utf8(value: object) -> bool:
    return isinstance(value, str) and (value.isascii() or bool(value.encode()))


_TEXTS = ParameterKind('several texts, such as ["one", "two"]', _is_texts, is_texts=True)
_MAPPING = ParameterKind('a dict with texts as keys, such as {"name": value}', _is_mapping)
_FUNCTION = ParameterKind("a function", callable)
# A part of an annotation, or its head -> what it takes.
KINDS: Mapping[str, ParameterKind] = {
    "None": ParameterKind("None", lambda value: value is None),
    "str": ParameterKind("a text", lambda value: isinstance(value, str)),
    "bool": ParameterKind("True or False", lambda value: isinstance(value, bool)),
    "int": ParameterKind("a whole number", _is_whole),
    "float": ParameterKind("a number", _is_number),
    "Seconds": ParameterKind("a number of seconds above 0", lambda value: _is_number(value) and value > 0),  # type: ignore[operator]
    "bytes": ParameterKind("bytes", lambda value: isinstance(value, (bytes, bytearray, memoryview))),
    "os.PathLike[str]": ParameterKind("a Path", lambda value: isinstance(value, os.PathLike)),
    "Limits": ParameterKind(
        "Limits, such as Limits(wall_seconds=5)", lambda value: isinstance(value, Limits)
    ),
    "Count": ParameterKind("a whole number, 0 or more", lambda value: _is_whole(value) and value >= 0),  # type: ignore[operator]
    "Spares": ParameterKind(
        f"a whole number from 0 to {_MOST_SPARES}",
        lambda value: _is_whole(value) and 0 <= value <= _MOST_SPARES,  # type: ignore[operator]
    ),
    "Path": ParameterKind("a path that the system can have", is_system_text),
    "Paths": ParameterKind(
        "several paths that the system can have",
        lambda value: (
            _is_texts(value) and (not isinstance(value, Collection) or all(map(is_system_text, value)))
        ),
        is_texts=True,
    ),
    "Number": ParameterKind(
        "a whole number above 0",
        lambda value: _is_whole(value) and 0 < value < 1 << 63,  # type: ignore[operator]
    ),
    "Cost": ParameterKind("a number, 0 or more", lambda value: _is_number(value) and value >= 0),  # type: ignore[operator]
    "GivenInput": ParameterKind(
        "a text that UTF-8 can write, bytes, or a file that is open for reading, or None",
        lambda value: value is None or _is_input(value),
    ),
    "str | bytes": ParameterKind(
        "a text that UTF-8 can write, or bytes",
        lambda value: isinstance(value, (str, bytes)) and _is_input(value),
    ),
    "Mapping[str": _MAPPING,
    "Mapping[str, Mapping[str, str]]": ParameterKind(
        'a dict of dicts, such as {"api.github.com": {"Authorization": "Bearer …"}}',
        lambda value: _is_mapping(value)
        and all(map(_is_mapping, cast("Mapping[str, object]", value).values())),
    ),
    "dict[str": _MAPPING,
    "PromptTemplates": _MAPPING,
    **dict.fromkeys(("Resolve", "BeforeRun", "BeforeTool", "AfterTool"), _FUNCTION),
    "Callable": _FUNCTION,
    "ImportMode": ParameterKind(
        f"one of {', '.join(map(repr, IMPORT_MODES))} (modules are named in authorized_imports)",
        lambda value: value in IMPORT_MODES,
    ),
    "Iterable[str]": _TEXTS,
    "Sequence[str]": _TEXTS,
    "Iterable[str | os.PathLike[str]]": ParameterKind("several paths", _is_several),
    "Iterable[str | bytes]": ParameterKind("several texts or bytes", _is_several),
    "Iterable[tuple[str, Sequence[Case]]]": ParameterKind("several pairs of code and cases", _is_pairs),
    "Sequence[object]": ParameterKind("several values", _is_several),
    "Sequence[Case]": ParameterKind(
        'several Cases, such as [Case(stdin="1", stdout="2")]',
        lambda value: (isinstance(value, Sequence) and all(type(item).__name__ == "Case" for item in value)),
    ),
    "tuple": ParameterKind("a tuple, such as (1, 2)", lambda value: isinstance(value, (tuple, list))),
    "Iterable[Tool | Callable[..., object]]": ParameterKind(
        "tools, such as [WebSearchTool(), my_function]",
        lambda value: hasattr(value, "tools") or (isinstance(value, Iterable) and not isinstance(value, str)),
    ),
    "Iterable[Agent]": ParameterKind("several agents", _is_several),
    "Sequence[Callable[..., object]]": ParameterKind(
        "several functions",
        lambda value: _is_several(value) and all(map(callable, cast("Iterable[object]", value))),
    ),
    "Budget": _of_class("Budget", "a Budget, such as Budget(tokens=100_000)"),
    "Compaction": _of_class("Compaction", "a Compaction, such as Compaction(above_tokens=8000)"),
    "Price": _of_class("Price", "a Price, such as Price(input_per_million=3, output_per_million=15)"),
    "Request": _of_class("Request", 'a Request, such as Request(code="print(1)")'),
    "AuditLog": _of_class("AuditLog", "an AuditLog"),
    "IO[str]": ParameterKind(
        "a file that is open for writing", lambda value: callable(getattr(value, "write", None))
    ),
    "Model": ParameterKind("a model", lambda value: callable(value) or hasattr(value, "generate")),
}


def _either(one: ParameterKind, other: ParameterKind) -> ParameterKind:
    return ParameterKind(
        f"{one.words}, or {other.words}",
        lambda value: one.fits(value) or other.fits(value),
        one.is_texts or other.is_texts,
    )


def _kind_of(said: str) -> ParameterKind | None:
    if said in KINDS:
        return KINDS[said]
    kinds = [
        _one_of(part)
        or KINDS.get(part)
        or KINDS.get(part.partition(",")[0])
        or KINDS.get(part.partition("[")[0])
        for part in _parts(said)
    ]
    return None if None in kinds else functools.reduce(_either, (kind for kind in kinds if kind))


def _one_of(said: str) -> ParameterKind | None:
    """Return what a `Literal` takes; None where it is something else."""
    if not said.startswith("Literal["):
        return None
    values = ast.literal_eval(said.removeprefix("Literal"))
    return ParameterKind(
        " or ".join(map(repr, values)), lambda value: isinstance(value, str) and value in values
    )


def _parts(said: str) -> Iterator[str]:
    """Yield the parts of a union as it is written."""
    part = ""
    for piece in said.split(" | "):
        part = f"{part} | {piece}" if part else piece
        if part.count("[") == part.count("]"):
            yield part
            part = ""


# narrower than annotations
_BY_NAME = {
    "wall_seconds": "Seconds | None",
    "spares": "Spares",
    "scratch": "Path | None",
    "folders": "Paths",
    **dict.fromkeys(("boxes", "most_boxes"), "Number | None"),
    "audit": "AuditLog | Path | os.PathLike[str] | IO[str] | None",
    "above_tokens": "Count",
    "keep_steps": "Number",
    **dict.fromkeys(("input_per_million", "output_per_million"), "Cost"),
}

# What users of other libraries write -> what does it here; the first that there is.
_ELSEWHERE: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("timeout", "time_limit", "max_seconds", "wall_seconds", "timeout_seconds"),
        ("wall_seconds=…", "limits=Limits(wall_seconds=…)"),
    ),
    **dict.fromkeys(
        ("memory", "mem_limit", "memory_limit", "memory_bytes"), ("limits=Limits(memory_bytes=…)",)
    ),
    **dict.fromkeys(("cpu_seconds", "cpu_limit"), ("limits=Limits(cpu_seconds=…)",)),
    **dict.fromkeys(("max_print_outputs_length", "output_bytes"), ("limits=Limits(output_bytes=…)",)),
    **dict.fromkeys(("environment", "environ", "envs", "env_vars"), ("env={…}",)),
    **dict.fromkeys(("volumes", "binds", "folders"), ("mounts={…}",)),
    **dict.fromkeys(("allow_network", "internet"), ("network=True",)),
    **{
        name: (f'executor_kwargs={{"{name}": …}}',)
        for name in ("limits", "guard", "imports", "spares", "files", *PARAMETERS)
    },
    **dict.fromkeys(
        ("modules", "allowed_imports", "authorized_imports", "additional_authorized_imports"),
        ("authorized_imports=[…]", "additional_authorized_imports=[…]"),
    ),
}


@dataclass(frozen=True, slots=True)
class Parameters:
    """What one callable takes.

    Args:
        ordered: Names of those that may be given by position.
        kinds: Name -> what it takes; None where that is not known.
        needed: Names that must be given.
        takes_more: Names that are not in `kinds` are taken too.
    """

    ordered: tuple[str, ...]
    kinds: Mapping[str, ParameterKind | None]
    needed: frozenset[str]
    takes_more: bool = False

    def under(self, name: str, other: str) -> Parameters:
        """Return the same where the parameter `name` is called `other`."""
        kinds = {other if each == name else each: kind for each, kind in self.kinds.items()}
        return replace(self, kinds=kinds)

    def check(self, owner: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        """Raise `ConfigurationError` where a call of `owner` with these arguments does not fit (the caller's fault)."""
        if len(args) > len(self.ordered):
            ordered = ", ".join(self.ordered) or "nothing"
            raise ConfigurationError(f"{owner} takes {ordered} by position, not {len(args)} values")
        for name, value in zip(self.ordered, args, strict=False):
            self._check_one(owner, name, value)
        for name, value in kwargs.items():
            if name not in self.kinds and not self.takes_more:
                raise ConfigurationError(f"{owner} has no parameter {name!r}; {self._instead(name)}")
            self._check_one(owner, name, value)
        missing = self.needed - kwargs.keys() - set(self.ordered[: len(args)])
        if missing:
            raise ConfigurationError(f"{owner} needs {min(missing, key=list(self.kinds).index)}=")

    def read(self, kwargs: Mapping[str, object]) -> dict[str, object]:
        """Return the arguments with iterators over texts read: what can be read once only is checked, then used."""

        def is_read(name: str, value: object) -> bool:
            kind = self.kinds.get(name)
            return isinstance(value, Iterator) and kind is not None and kind.is_texts

        return {name: list(value) if is_read(name, value) else value for name, value in kwargs.items()}  # type: ignore[call-overload]

    def _check_one(self, owner: str, name: str, value: object) -> None:
        kind = self.kinds.get(name)
        if kind is not None and not kind.fits(value):
            of = _types(value) if kind.is_texts and isinstance(value, (list, tuple, set)) else ""
            raise ConfigurationError(f"{owner}: {name}= takes {kind.words}, not {_shown(value)}{of}")

    def _instead(self, name: str) -> str:
        known = [each for each in _ELSEWHERE.get(name, ()) if each.partition("=")[0] in self.kinds]
        near = known or [f"{each}=" for each in difflib.get_close_matches(name, self.kinds, 1, 0.7)]
        return f"did you mean {near[0]}?" if near else f"it takes {', '.join(self.kinds) or 'none'}"


def _shown(value: object) -> str:
    """Return a short description; no contents, which may be a key."""
    if value is None or type(value) in (bool, float) or (type(value) is int and value.bit_length() <= 64):
        return repr(value)
    if isinstance(value, str):
        return f"the text {value!r}" if len(value) <= 40 else f"a text of {len(value)} characters"
    return f"a {type(value).__name__}"


def _types(items: Iterable[object]) -> str:
    return f" of {' and '.join(sorted({type(item).__name__ for item in items}))}"


def _parameters(*functions: Callable[..., object]) -> Parameters:
    """Return what a call may give to the first of `functions`, each of which hands what it does not know to the next."""
    ordered: tuple[str, ...] | None = None
    kinds: dict[str, ParameterKind | None] = {}
    needed: set[str] = set()
    rest = True
    for function in functions:
        found = list(inspect.signature(function).parameters.values())
        if ordered is None and not any(each.kind is each.VAR_POSITIONAL for each in found):
            ordered = tuple(each.name for each in found if each.kind in _POSITIONAL)
            needed = {
                each.name for each in found if each.default is each.empty and each.kind not in _ANY_NUMBER
            }
        for each in found:
            if each.kind not in _ANY_NUMBER:
                kinds.setdefault(each.name, _kind(each))
        rest = any(each.kind is each.VAR_KEYWORD for each in found)
        if not rest:
            break
    return Parameters(ordered or (), kinds, frozenset(needed), rest)


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_ANY_NUMBER = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _kind(parameter: inspect.Parameter) -> ParameterKind | None:
    said = parameter.annotation
    spelled = said if isinstance(said, str) else inspect.formatannotation(said)
    return _kind_of(_BY_NAME.get(parameter.name, spelled))


def _without_self(function: Callable[..., object]) -> Callable[..., object]:
    return functools.partial(function, None)


@functools.cache
def constructor_parameters(cls: type) -> Parameters:
    """Return what the class's constructors take together: one hands to the next what it does not know."""
    own = [vars(each)["__init__"] for each in cls.__mro__ if "__init__" in vars(each) and each is not object]
    return _parameters(*map(_without_self, own))


def checked(
    function: Method, *, is_method: bool = False, rest: Callable[..., object] | None = None
) -> Method:
    """Return `function` with its arguments checked before anything else happens.

    Args:
        rest: What `function` does not know itself, it hands to this one.
    """
    together: tuple[Callable[..., object], ...] = (function,) if rest is None else (function, rest)
    parameters = _parameters(*(map(_without_self, together) if is_method else together))
    said = function.__name__

    @functools.wraps(function)
    def call(*args: object, **kwargs: object) -> object:
        owner = f"{type(args[0]).__name__}.{said}" if is_method else said
        parameters.check(owner, args[1:] if is_method else args, kwargs)
        return function(*args, **kwargs)

    return cast("Method", call)


class CheckedConstructor(ABCMeta):
    """Checks the arguments of constructors."""

    if not TYPE_CHECKING:  # type checkers would look no further than a metaclass's call

        def __call__(cls, *args: Any, **kwargs: Any) -> Any:
            """Return an object of the class."""
            parameters = constructor_parameters(cls)
            kwargs = parameters.read(kwargs)
            parameters.check(cls.__name__, args, kwargs)
            return super().__call__(*args, **kwargs)


class CheckedMethods(CheckedConstructor):
    """Checks the arguments of constructors, and of every public method that a class of this kind defines."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        """Return the class with checked methods."""
        for key, value in namespace.items():
            if inspect.isfunction(value) and not key.startswith("_"):
                namespace[key] = checked(value, is_method=True)
        return super().__new__(mcs, name, bases, namespace, **options)
