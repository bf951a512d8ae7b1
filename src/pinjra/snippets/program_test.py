"""A test's side: names of the program under test are calls to another box."""

from __future__ import annotations

import builtins
import contextlib
import importlib
from collections.abc import Callable, Iterator
from functools import partialmethod
from typing import Any, cast

from pinjra.core.values import Opaque
from pinjra.snippets.calls import CALLBACK, MISSING, failed, raised
from pinjra.snippets.frames import Message
from pinjra.wire.values.codec import decode, encode


class Test:
    """The test's side: names of the code under test are calls to another box."""

    def __init__(self, request: Message, limits: int | None, ask: Callable[[Message], Message]) -> None:
        self.request = request
        self.limits = limits
        self.ask = ask
        self.errors: dict[str, type[Exception]] = {}  # stand-ins of the program's own, to be caught by
        self.functions: list[Callable[..., object]] = []  # what the program was given to call

    def prepare(self, namespace: Message) -> None:
        """Define the names that the test uses and does not define."""
        request = self.request
        setup, entry = request["setup"], request["entry"]
        if setup:
            exec(compile(setup, "setup.py", "exec", dont_inherit=True), namespace)  # noqa: S102  (the test's own)
        wanted = [name for name in request["names"] if name not in namespace and not hasattr(builtins, name)]
        for name in request["modules"].keys() & {*wanted}:
            with contextlib.suppress(ImportError):
                namespace[name] = importlib.import_module(request["modules"][name])
        for name in request["names"]:
            if name == entry or (name in wanted and name not in namespace):
                found = self.call([name], None)
                if found is not MISSING:
                    namespace[name] = self._caught(name, found)
        if entry in namespace:
            namespace["candidate"] = namespace[entry]

    def _caught(self, name: str, found: object) -> object:
        """Return a class of our own for one of the program's exceptions; everything else as it is."""
        if not isinstance(found, Remote) or found._about != "exception":
            return found
        return self.errors.setdefault(name, type(name, (Exception,), {}))

    def call(self, path: list[Any], args: tuple[Any, ...] | None, **options: bool) -> object:
        """Return what the other side's function returns, or raise what it raised."""
        message: Message = {"call": path, **options, "args": None}
        if args is not None:
            message["args"], message["blobs"] = encode(args, self.limits, self._handle_of)
        answer = self.ask(message)
        while "back" in answer:
            answer = self.ask(self._called_back(answer))
        if "value" in answer:
            return self._taken(answer)
        if args is None and answer.get("error") in ("KeyError", "AttributeError"):
            return MISSING
        raise raised(answer, self.errors)

    def _taken(self, answer: Message) -> object:
        value = decode(answer["value"], answer["blobs"], self._remote)
        if not isinstance(value, Remote) and isinstance(answer.get("handle"), int):
            return Remote(self, Opaque(str(answer.get("type", "")), "", answer["handle"]), is_data=True)
        return value

    def _called_back(self, answer: Message) -> Message:
        """Return what a function of the test's own says to the program that it was given to."""
        try:
            args, kwargs = cast("tuple[Any, Any]", decode(answer["args"], answer["blobs"], self._remote))
            value = self.functions[answer["back"] - 1](*args, **kwargs)
            tree, blobs = encode(value, self.limits, self._handle_of)
            return {"value": tree, "blobs": blobs}
        except Exception as error:
            return failed(error)

    def _handle_of(self, value: object) -> Opaque:
        if isinstance(value, Remote):
            return Opaque(value._kind, "", value._handle)
        if callable(value):
            self.functions.append(value)
            return Opaque(type(value).__name__, CALLBACK, len(self.functions))
        return Opaque(type(value).__name__, "")

    def next_of(self, path: list[Any]) -> object:
        """Return the next item of an iterator of the other side; `MISSING` after the last one."""
        try:
            return self.call(path, ((), {}))
        except RuntimeError as error:
            if str(error).startswith("StopIteration:"):
                return MISSING
            raise

    def _remote(self, opaque: Opaque) -> object:
        if opaque.repr == "coroutine":
            return self._awaited(opaque.handle)
        return Remote(self, opaque) if opaque.handle else opaque

    async def _awaited(self, handle: int) -> object:
        return self.call([handle - 1], None, **{"await": True})


class Remote:
    """An object of the code under test: it can be called, read item by item, asked for attributes, and handed back; nothing else.

    SECURITY: no operator is passed on, so an object whose comparisons lie is equal to nothing here. What is data is compared as
    data: a dataclass, a member of an enumeration, or a kind of list, dict or number.
    """

    _test: Test
    _handle: int
    _kind: str
    _about: str
    _is_data: bool

    def __init__(self, test: Test, opaque: Opaque, *, is_data: bool = False) -> None:
        self.__dict__.update(
            _test=test, _handle=opaque.handle, _kind=opaque.type, _about=opaque.repr, _is_data=is_data
        )

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Call the program's function."""
        return self._test.call([self._handle - 1], (args, kwargs))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._test.call([self._handle - 1, name], None)
        if found is MISSING:
            raise AttributeError(f"{self._kind!r} object has no attribute {name!r}")
        return found

    def _by(self, method: str, *args: object) -> Any:
        try:
            return self._test.call([self._handle - 1, method], (args, {}))
        except AttributeError:
            raise TypeError(f"{self._kind!r} object has no {method}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self._by("__setattr__", name, value)

    def __eq__(self, other: object) -> bool:
        return self is other or (self._is_data and bool(self._data() == _plain(other)))

    def _data(self) -> object:
        """Return what it consists of, now."""
        answer = self._test.ask({"call": [self._handle - 1], "args": None})
        return decode(answer["value"], answer["blobs"]) if "value" in answer else MISSING

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    __len__ = partialmethod(_by, "__len__")
    __getitem__ = partialmethod(_by, "__getitem__")
    __setitem__ = partialmethod(_by, "__setitem__")
    __delitem__ = partialmethod(_by, "__delitem__")
    __instancecheck__ = partialmethod(_by, "__instancecheck__")
    __enter__ = partialmethod(_by, "__enter__")
    __str__ = partialmethod(_by, "__str__")
    __repr__ = partialmethod(_by, "__repr__")

    def __exit__(self, *error: object) -> None:
        self._by("__exit__", None, None, None)  # SECURITY: its answer would swallow what the test has found

    def __iter__(self) -> Iterator[object]:
        found = self._by("__iter__")
        return found if isinstance(found, Remote) else iter(found)

    def __next__(self) -> object:
        found = self._test.next_of([self._handle - 1, "__next__"])
        if found is MISSING:
            raise StopIteration
        return found


def _plain(value: object) -> object:
    return value._data() if isinstance(value, Remote) and value._is_data else value
