"""Cases and what was seen -> a verdict. Expected answers stay on the host; nothing of a guest's is compared by the guest."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, cast, get_args

from pinjra.core.errors import ConfigurationError
from pinjra.core.file_names import check_file_name
from pinjra.core.limits import Limits
from pinjra.core.value_text import MOST, Room
from pinjra.executors.parameters import CheckedConstructor

Status = Literal[
    "passed", "wrong", "exception", "compile", "wall", "processor", "memory", "output", "infrastructure"
]
Compare = Literal["lines", "exact", "tokens", "numbers", "json"] | Callable[[Any, Any], bool]

_ROOM, _ROOM_OF_FILE = 64 << 10, 64  # bytes of a message that are for what goes with it
_DEFINING = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
_PASSIVE = (ast.Import, ast.ImportFrom, ast.Pass)
_RELATIVE, _ABSOLUTE = 1e-6, 1e-9  # of "numbers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case(metaclass=CheckedConstructor):
    """One thing that a program must do: exactly one of `stdout`, `call` or `test` is given.

    Args:
        stdin, stdout: What it reads, and must print.
        compare: "lines" (white space at the ends of lines and of the text does not count), "exact", "tokens" (words), "numbers"
            (words, where both are numbers they may differ by a millionth), "json" (tuples are lists, keys texts, numbers as in
            "numbers"); or a function (seen, expected) -> bool on the host.
        call, args, kwargs, equals: A function of the program, and what it must return. Floats compare as `compare` says.
        test: Source of a test; `candidate` in it is the function `entry`. It runs in another box than the program.
        setup: Source that runs before the test, with it.
        files: Given to the program, by name.
    """

    stdin: str | bytes = ""
    stdout: str | None = None
    compare: Compare = "lines"
    call: str = ""
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    equals: Any = None
    test: str = ""
    setup: str = ""
    entry: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_files(self.files)
        kinds = [self.stdout is not None, bool(self.call), bool(self.test)]
        if sum(kinds) != 1:
            raise ConfigurationError("a Case has exactly one of stdout=, call= or test=")
        if not callable(self.compare) and self.compare not in get_args(get_args(Compare)[0]):
            raise ConfigurationError(
                f'compare= is "lines", "exact", "tokens", "numbers", "json" or a function, not {self.compare!r}'
            )
        if not (self.entry and "def check(" in self.test) and (name := _uncalled(self.test)):
            raise ConfigurationError(
                f"Case: test= defines {name} and does nothing with it, so every program would pass: call it in a last line "
                f"(`{name}()`; `unittest.main()`), or give entry= to a test that is a function `check(candidate)`"
            )


def _uncalled(test: str) -> str:
    """Return the last name that a test defines, where it does nothing else: what only pytest would call; else ""."""
    try:
        body = ast.parse(test).body if "def " in test else []
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the box will say so
        return ""
    defined = [each.name for each in body if isinstance(each, _DEFINING) and not each.decorator_list]
    passive = [
        each
        for each in body
        if isinstance(each, _PASSIVE) or isinstance(getattr(each, "value", None), (ast.Constant, ast.Dict))
    ]
    return defined[-1] if defined and len(defined) + len(passive) == len(body) else ""


def check_size(
    most_bytes: int | None, *said: str | bytes, files: Mapping[str, bytes] = MappingProxyType({})
) -> None:
    """Check that what a box is given fits into one message to it.

    Args:
        most_bytes: `value_bytes` of the box; None for no limit.

    Raises:
        ConfigurationError: It does not (the caller's fault).
    """
    size = sum(map(_bytes_of, said)) + sum(
        _ROOM_OF_FILE + len(name) + memoryview(data).nbytes for name, data in files.items()
    )
    if most_bytes is not None and size + _ROOM > most_bytes:
        raise ConfigurationError(
            f"a snippet, its input and its files have {size} bytes together, which is more than can be sent to a box: "
            f"{most_bytes} with what goes with them; box_limits=Limits(value_bytes=…, …) of the Fleet allows more"
        )


def _bytes_of(said: str | bytes) -> int:
    if isinstance(said, str) and not said.isascii():
        return len(said.encode("utf-8", "surrogatepass"))
    return len(said)


def check_files(files: Mapping[str, bytes]) -> None:
    """Check files that a snippet is given; ConfigurationError: one has no such name, or is no bytes (the caller's fault)."""
    for name, content in files.items():
        check_file_name(name.removeprefix("/"))  # of the scratch folder, or of `folders=`
        if not isinstance(content, (bytes, bytearray, memoryview)):
            raise ConfigurationError(f"files[{name!r}] is bytes, not {type(content).__name__}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one case.

    Args:
        message: For people; never shown to the program.
        is_killed: Its process was killed, and not for its time.
    """

    status: Status
    message: str = ""
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    is_killed: bool = False

    @property
    def total_cpu_seconds(self) -> float:
        """Return the processor time of this run."""
        return self.cpu_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a program on its cases.

    Args:
        status: Of the first case that did not pass, "passed" when all did; "infrastructure" says nothing about the program.
        cases: As many as were run.
        attempts: How often it was run, because boxes were lost.
    """

    status: Status
    cases: tuple[CaseResult, ...] = ()
    index: int = 0
    attempts: int = 1

    @property
    def passed(self) -> bool:
        """Return whether every case passed."""
        return self.status == "passed"

    @property
    def fraction(self) -> float:
        """Return the share of cases that passed, of those that were judged."""
        judged = [case for case in self.cases if case.status != "infrastructure"]
        return sum(case.status == "passed" for case in judged) / len(judged) if judged else 0.0


def is_same_text(seen: str, expected: str, compare: Compare) -> bool:
    """Return whether a program printed what it should."""
    return bool((compare if callable(compare) else _TEXTS[compare])(seen, expected))


def _is_same_json(seen: str, expected: str) -> bool:
    try:
        return are_equal(json.loads(seen), json.loads(expected), "json")
    except (ValueError, RecursionError):
        return False


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def _are_near_words(seen: str, expected: str) -> bool:
    words, wanted = seen.split(), expected.split()
    return len(words) == len(wanted) and all(map(_is_near_word, words, wanted))


def _is_near_word(seen: str, expected: str) -> bool:
    if seen == expected:
        return True
    try:
        return _is_near(_number(seen), _number(expected))
    except (ValueError, OverflowError):
        return False


def _number(word: str) -> int | float:
    """Return the number that a word is; a whole one is exact.

    Raises:
        ValueError: It is none, or too large to be compared as one.
    """
    try:
        return int(word)
    except ValueError:
        found = float(word)
        if math.isinf(found) and "inf" not in word.lower():  # SECURITY: all of these would be equal
            raise
        return found


def _is_near(seen: float, expected: float) -> bool:
    """Return whether two numbers are the same for "numbers". A whole one is not near to another: it counts something."""
    if isinstance(expected, int):
        return seen == expected or (
            isinstance(seen, float) and math.isclose(seen, expected, abs_tol=_RELATIVE, rel_tol=0)
        )
    return math.isclose(seen, expected, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE)


_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "exact": lambda seen, expected: seen == expected,
    "lines": lambda seen, expected: _lines(seen) == _lines(expected),
    "tokens": lambda seen, expected: seen.split() == expected.split(),
    "numbers": _are_near_words,
    "json": _is_same_json,
}


def are_equal(seen: object, expected: object, compare: Compare) -> bool:
    """Return whether a value that crossed from a guest, plain data by then, is the expected one."""
    if callable(compare):
        return bool(compare(seen, expected))
    seen, expected = _plain_number(seen), _plain_number(expected)
    if compare == "json":
        seen, expected = _as_json(seen), _as_json(expected)
    if compare in ("numbers", "json") and _is_number(seen) and _is_number(expected):
        return _is_near(seen, expected)  # type: ignore[arg-type]
    if isinstance(expected, (list, tuple)):
        return type(seen) is type(expected) and _are_equal_items(
            cast("Sequence[object]", seen), expected, compare
        )
    if isinstance(expected, dict):
        return (
            isinstance(seen, dict)
            and seen.keys() == expected.keys()
            and all(are_equal(seen[key], value, compare) for key, value in expected.items())
        )
    if hasattr(expected, "__array__") or hasattr(seen, "__array__"):
        return _are_equal_arrays(seen, expected)
    return bool(seen == expected) or (seen != seen and expected != expected)  # nan


def _are_equal_items(seen: Sequence[object], expected: Sequence[object], compare: Compare) -> bool:
    return len(seen) == len(expected) and all(
        are_equal(a, b, compare) for a, b in zip(seen, expected, strict=True)
    )


def _plain_number(value: Any) -> object:
    """Return what a number of numpy is in Python; everything else as it is."""
    is_scalar = hasattr(value, "__array__") and getattr(value, "shape", None) == () and hasattr(value, "item")
    return value.item() if is_scalar else value


def _as_json(value: object) -> object:
    """Return one level of a value as JSON has it."""
    if isinstance(value, tuple):
        return list(cast("Sequence[object]", value))
    if isinstance(value, dict):
        return {_json_key(key): item for key, item in value.items()}
    return value


def _json_key(key: object) -> str:
    if key is None or isinstance(key, bool):
        return json.dumps(key)
    if not Room(MOST).holds(key):  # SECURITY: a key may hold an array that takes minutes to be written
        raise ValueError(f"a key of type {type(key).__name__} is too large")
    return str(key)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _are_equal_arrays(seen: object, expected: object) -> bool:
    if type(seen) is not type(expected):
        return False
    if hasattr(seen, "equals"):
        return bool(seen.equals(expected))
    # SECURITY: of two shapes that fit into each other numpy compares what fits: an empty array is "all" of anything
    if getattr(seen, "shape", None) != getattr(expected, "shape", None):
        return False
    same = seen == expected
    return bool(same.all()) if hasattr(same, "all") else bool(same)


PER_CASE = Limits(wall_seconds=10.0, cpu_seconds=10.0, memory_bytes=512 << 20, output_bytes=16 << 20)
