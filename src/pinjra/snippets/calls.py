"""What a program and its test say to each other: both sides of a call."""

from __future__ import annotations

import builtins
import types
from collections.abc import Coroutine, Mapping
from typing import Any

from pinjra.snippets.frames import KEPT_TEXT, Message

CALLBACK = "a function of the test"
MISSING = object()


def failed(error: BaseException) -> Message:
    """Return how an exception is told to the other side."""
    try:
        message = str(error)[:KEPT_TEXT]
    except BaseException:  # guest code
        message = ""
    return {
        "error": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "message": message,
    }


def raised(answer: Message, own: Mapping[str, type[Exception]]) -> BaseException:
    """Return the exception that the other side said it had, as near as there is one here."""
    names = [str(name) for name in answer.get("bases", ())]
    kinds = [own.get(name) or getattr(builtins, name, None) for name in names]
    # SECURITY: what ends an iteration would end `all(map(…))` of the test, with success
    if not {"StopIteration", "StopAsyncIteration"} & {*names}:
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Exception):
                return _made(kind, str(answer.get("message", "")))
    error = answer.get("error", "the code under test has ended")
    return RuntimeError(f"{error}: {answer.get('message', '')}")


def _made(kind: type[Exception], message: str) -> Exception:
    """Return an exception of a class, also of one that wants more than a message (`UnicodeDecodeError`)."""
    try:
        return kind(message)
    except TypeError:
        error = kind.__new__(kind, message, [Exception()])  # a group is of some
        error.args = (message,)
        return error


def awaited(value: Coroutine[Any, Any, object]) -> object:
    """Return what a coroutine returns."""
    import asyncio  # few need it, and a box is open sooner without

    return asyncio.run(value)


def read_out(value: object) -> object:
    """Return what an iterator gives, and what a coroutine returns, for one who compares values."""
    if isinstance(value, types.CoroutineType):
        return awaited(value)
    return list(value) if hasattr(value, "__next__") else value  # type: ignore[call-overload]
