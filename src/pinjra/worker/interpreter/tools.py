"""Tool names -> what guest code calls: each call becomes a message, its answer a value or an exception."""

from __future__ import annotations

import _thread
import select
import threading
from collections.abc import Callable, Coroutine, Generator
from functools import partial
from time import sleep
from typing import TYPE_CHECKING

from pinjra.core.tool_errors import guest_exception
from pinjra.core.values import Opaque, drained
from pinjra.guard.errors import GuestStop
from pinjra.wire.messages import INPUT, Answer, Call, Value
from pinjra.wire.values.codec import Decoder, EncodeError, Encoder, type_name
from pinjra.wire.values.coding import register
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.interrupts import Interrupts

if TYPE_CHECKING:
    import asyncio

Args = tuple[object, ...]
Kwargs = dict[str, object]


class GuestTool:
    """What guest code holds instead of a tool of the host."""

    def __init__(self, name: str, doc: str, invoke: Callable[[Args, Kwargs], object]) -> None:
        self.__name__ = name
        self.__doc__ = doc
        self._invoke = invoke

    def __call__(self, *args: object, **kwargs: object) -> object:
        """Ask the host."""
        return self._invoke(args, kwargs)

    def __repr__(self) -> str:
        return f"<tool {self.__name__}>"

    def __deepcopy__(self, *_memo: object) -> GuestTool:
        return self

    __copy__ = __deepcopy__

    def __reduce__(self) -> str:
        raise TypeError("a tool cannot be pickled")


class HostObject:
    """An object of the host whose methods can be called; they run there."""

    __slots__ = ("_ask", "_opaque")

    def __init__(self, opaque: Opaque, ask: Callable[[str, Args, Kwargs], object]) -> None:
        self._opaque = opaque
        self._ask = ask

    def __getattr__(self, name: str) -> GuestTool:
        opaque = self._opaque
        if name not in opaque.methods:
            known = ", ".join(opaque.methods)
            raise AttributeError(
                f"{opaque.type!r} object of the host has no {name!r}; it has the methods {known}"
            )
        return GuestTool(name, "", partial(self._ask, f"{opaque.handle}.{name}"))

    def __repr__(self) -> str:
        return f"<{self._opaque.type} object of the host, with {', '.join(self._opaque.methods)}>"


class Unawaited(Coroutine[object, object, object]):
    """A call of an async tool made where no event loop runs: a coroutine for who awaits it, and the result for who uses it.

    Models forget `await`. Whatever uses the object as a value makes the call then, once, and waits.
    """

    def __init__(
        self, call: Callable[[], object], begin: Callable[[], Coroutine[object, object, object]]
    ) -> None:
        self._make = call
        self._begin = begin
        self._coroutine: Coroutine[object, object, object] | None = None
        self._results: list[object] = []

    def _value(self) -> object:
        if not self._results:
            self._results.append(self._make())
        return self._results[0]

    def _awaited(self) -> Coroutine[object, object, object]:
        if self._coroutine is None:
            self._coroutine = self._begin()
        return self._coroutine

    def send(self, value: object) -> object:
        """Go on, as coroutines do."""
        return self._awaited().send(value)

    def throw(self, *error: object) -> object:
        """Raise inside, as coroutines do."""
        return self._awaited().throw(*error)  # type: ignore[call-overload]

    def close(self) -> None:
        """End it, as coroutines do."""
        if self._coroutine is not None:
            self._coroutine.close()

    def __await__(self) -> Generator[object, object, object]:
        return self._awaited().__await__()

    def __getattr__(self, name: str) -> object:
        return getattr(self._value(), name)


def _use(name: str) -> Callable[..., object]:
    def method(self: Unawaited, *args: object) -> object:
        plain = [arg._value() if isinstance(arg, Unawaited) else arg for arg in args]
        result: object = getattr(self._value(), name, lambda *_: NotImplemented)(*plain)
        return result

    return method


# Python looks these up on the class.
_USES = (
    "getitem", "setitem", "delitem", "contains", "iter", "len", "str", "repr", "format", "bool", "int",
    "float", "index", "eq", "ne", "lt", "le", "gt", "ge", "hash", "add", "radd", "sub", "rsub", "mul",
    "rmul", "truediv", "rtruediv", "floordiv", "rfloordiv", "mod", "rmod", "pow", "rpow", "neg", "pos",
    "abs", "round", "call", "enter", "exit",
)  # fmt: skip
for _name in _USES:
    setattr(Unawaited, f"__{_name}__", _use(f"__{_name}__"))


def _encode_unawaited(encoder: Encoder, unawaited: Unawaited, depth: int) -> Value:
    """Return the tree of the result; where the call fails, of what says so."""
    try:
        result = unawaited._value()
    except (GuestStop, MemoryError):
        raise
    except BaseException as error:  # a tool raises what it likes
        said = f"{type_name(type(error))}: {error}"[:_SAID]
        return encoder.add(Opaque("Unawaited", f"<a call that nobody awaited; it raised {said}>"), depth)
    return encoder.add(result, depth)


_SAID = 1_000
register([Unawaited], _encode_unawaited)


class GuestTools:
    """Makes the stubs of one interpreter and carries their calls."""

    def __init__(self, channel: Channel, interrupts: Interrupts, encoder: Callable[[], Encoder]) -> None:
        self._channel = channel
        self._interrupts = interrupts
        self._encoder = encoder

    def stub(self, name: str, doc: str, *, is_async: bool) -> GuestTool:
        """Return what the guest gets for the tool `name`."""
        return GuestTool(name, doc, partial(self._call_async if is_async else self._call, name))

    def _message(self, name: str, args: Args, kwargs: Kwargs) -> Callable[..., Call]:
        """Return what makes the message, of the numbers that it still lacks."""
        encoder = self._encoder()
        try:
            trees = encoder.add([drained(value) for value in args])
            named = encoder.add({key: drained(value) for key, value in kwargs.items()})
        except EncodeError as error:
            raise ValueError(f"{name}: {error}") from None
        return partial(Call, name=name, args=trees, kwargs=named, blobs=encoder.blobs)

    def _call(self, name: str, args: Args, kwargs: Kwargs) -> object:
        """Return the answer of the host, waiting for it. An interrupt stops the run when the answer is there: the host answers
        at once then, or has the supervisor kill."""
        answers: list[Answer] = []
        with self._interrupts:
            self._channel.call(self._message(name, args, kwargs), answers.append)
            self._channel.wait_for(lambda: bool(answers))
        return self._open(answers[0])

    def next_input(self) -> bytes:
        """Return the next piece of the run's standard input, waiting for it; nothing at the end."""
        return _piece(self._call(INPUT, (), {}))

    def ask_input(self) -> Callable[[float], bytes | None]:
        """Ask for the next piece; return what gives it, or None where it has not come within so many seconds."""
        answers: list[Answer] = []
        with self._interrupts:
            self._channel.call(self._message(INPUT, (), {}), answers.append)

        def within(seconds: float) -> bytes | None:
            if not answers and select.select([self._channel], [], [], seconds)[0]:
                self._take_ready()
            return _piece(self._open(answers[0])) if answers else None

        return within

    def _open(self, answer: Answer) -> object:
        if answer.error_type:
            raise guest_exception(answer.error_type, answer.error_message)
        return Decoder(answer.blobs, self._with_methods).take(answer.value)

    def _with_methods(self, value: Opaque) -> object:
        return HostObject(value, self._call) if value.methods else value

    def _call_async(self, name: str, args: Args, kwargs: Kwargs) -> Coroutine[object, object, object]:
        """Send the call at once where an event loop runs, else when it is awaited."""
        import asyncio

        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return Unawaited(
                partial(self._call, name, args, kwargs), partial(self._begin_later, name, args, kwargs)
            )
        return _result(self._begin(loop, name, args, kwargs))

    async def _begin_later(self, name: str, args: Args, kwargs: Kwargs) -> object:
        import asyncio

        return await self._begin(asyncio.get_running_loop(), name, args, kwargs)

    def _begin(
        self, loop: asyncio.AbstractEventLoop, name: str, args: Args, kwargs: Kwargs
    ) -> asyncio.Future[object]:
        future: asyncio.Future[object] = loop.create_future()

        def clean_up(answer: Answer) -> None:
            if future.done():
                return
            try:
                future.set_result(self._open(answer))
            except Exception as error:
                future.set_exception(error)

        def on_answer(answer: Answer) -> None:
            try:
                loop.call_soon_threadsafe(clean_up, answer)
            except RuntimeError:  # the loop was closed: nobody waits any more
                pass

        _selecting(loop).add_reader(self._channel.fileno(), self._take_ready)
        self._channel.call(self._message(name, args, kwargs), on_answer)
        future.add_done_callback(lambda _future: self._stop_watching(loop))
        return future

    def _take_ready(self) -> None:
        with self._interrupts:
            self._channel.take_ready()

    def _stop_watching(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._channel.waiting and not loop.is_closed():
            _selecting(loop).remove_reader(self._channel.fileno())


def _piece(answer: object) -> bytes:
    return answer if isinstance(answer, bytes) else b""


def _selecting(loop: asyncio.AbstractEventLoop) -> asyncio.SelectorEventLoop:
    import asyncio

    if not isinstance(loop, asyncio.SelectorEventLoop):
        raise RuntimeError(f"a tool can be awaited on a selector event loop only, not {type(loop).__name__}")
    return loop


async def _result(future: asyncio.Future[object]) -> object:
    return await future


def has_threads() -> bool:
    """Return whether guest code has other threads than the main one, whose locks a fork would copy, and not them."""
    for _ in range(_JOINED_MILLISECONDS):
        if _thread._count() == 0:
            return False
        if threading.active_count() > 1:  # no time is given to what goes on
            break
        sleep(0.001)
    return True


# For one that `threading` knows no more: it was joined, and is counted until it is gone.
_JOINED_MILLISECONDS = 500
