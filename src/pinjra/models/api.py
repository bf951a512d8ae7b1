"""What all models reached through an SDK share: options, retries, blame, cutting at stops, and keeping secrets secret."""

from __future__ import annotations

import asyncio
import inspect
import re
from abc import ABC, abstractmethod
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeVar
from urllib.parse import urlsplit, urlunsplit
from weakref import WeakKeyDictionary

from pinjra.core.coroutines import at_once
from pinjra.core.errors import ConfigurationError, PinjraError
from pinjra.core.nearest import nearest
from pinjra.core.pace import Pace
from pinjra.models.adapted import AskedModel, question_of
from pinjra.models.base import ChatMessage, Completion, ModelDelta, PromptStyle, Question
from pinjra.models.chat_form import Accumulator, completion_of, request_form
from pinjra.models.errors import RequestRefused
from pinjra.models.registry import from_dict
from pinjra.models.retry import Sleep, blame, client_errors, hold, retrying
from pinjra.models.stop_support import takes_stop
from pinjra.models.stops import StopCutter, cut

T = TypeVar("T")

REMOVE_PARAMETER: Any = object()
"""An option's value that says: never send this parameter, whoever asks for it."""

# What providers say: "Unsupported parameter: 'stop' is not supported with this model".
_REFUSES_STOP = re.compile(
    r"(?:unsupported|unrecognized|unknown)[^\n]{0,60}\bstop\b|\bstop\b[^\n]{0,60}(?:not supported|not allowed)",
    re.IGNORECASE,
)
# Options that may be written down; everything else (headers, bodies, clients) may hold a secret.
_PLAIN_OPTIONS = (
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "seed",
    "timeout",
    "provider",
)

_SECRET_NAME = re.compile("key|token|secret|password|credential", re.IGNORECASE)

# What SDKs, and what reads their answers, raise for answers that are none: another page of a proxy, half of one, odd values.
_UNREADABLE = (AssertionError, AttributeError, LookupError, TypeError, ValueError)

# Pieces still read after a stop sequence, for the token counts of a server that leaves the sequence in the text and ends
# there; a server that knows no stop sequences would go on to the end of its output, so then the stream is closed.
_LATE_PIECES = 4


class ApiModel(AskedModel, ABC):
    """A model behind an SDK. Subclasses say how to ask once, how to stream once, and which errors are the SDK's.

    Args:
        options: Sent with every request (`temperature`, `max_tokens`, …); one that is `REMOVE_PARAMETER` never is. Also the
            parameters that all models behind an SDK have: `attempts` (of one request, the first included: 4),
            `retry_wait_seconds` (upper bound of the first pause between them, 1; it doubles each time), `retry` (False: one
            attempt), `requests_per_minute`, `client` (of the SDK, already made), `custom_role_conversions` (role → role to
            send), `flatten_messages_as_text` (send no images).

    Raises:
        ConfigurationError: An option that the SDK does not know (the caller's fault).
    """

    kind: ClassVar[str]
    prompt_style: PromptStyle = "full"

    def __init__(
        self,
        model_id: str,
        *,
        secrets: Sequence[str | None] = (),
        base_url: str | None = None,
        options: Mapping[str, Any],
    ) -> None:
        given = dict(options)
        super().__init__(bool(given.pop("flatten_messages_as_text", False)), model_id)
        self.base_url = base_url
        attempts: int = given.pop("attempts", 4)
        self.attempts = attempts if given.pop("retry", True) else 1
        self.retry_wait_seconds: float = given.pop("retry_wait_seconds", 1.0)
        self._client: Any = given.pop("client", None)
        self._connect_awaited: Callable[[], Any] | None = None  # makes an async client, where the SDK has one
        self._clients: WeakKeyDictionary[asyncio.AbstractEventLoop, tuple[Any, object]] = WeakKeyDictionary()
        self._roles = {
            _text(k): _text(v) for k, v in (given.pop("custom_role_conversions", None) or {}).items()
        }
        often = given.pop("requests_per_minute", None)
        if often is not None and not (isinstance(often, int | float) and often > 0):
            raise ConfigurationError(f"requests_per_minute must be above 0, not {often!r}")
        self._pace = Pace(often)
        self._takes_stop = takes_stop(model_id)
        self.options = given
        self._secrets = (*(s for s in secrets if s), *_secret_texts(self.options))

    def _connect(
        self, made: Callable[..., Any], awaited: Callable[..., Any], arguments: dict[str, Any]
    ) -> None:
        """Make the SDK's client, where the caller gave none, and note how its async one is made.

        Raises:
            ConfigurationError: The SDK does not take these arguments (the caller's fault).
        """
        if self._client is not None:
            return
        try:
            self._client = made(**arguments)
        except TypeError as error:
            raise ConfigurationError(f"client_kwargs of {type(self).__name__}: {error}") from error
        if "http_client" not in arguments:  # it would be a client for threads
            self._connect_awaited = partial(awaited, **arguments)

    def _check_options(self, request: Callable[..., object]) -> None:
        """Raise where an option is none of the parameters of the SDK's own function for a request."""
        known = set(inspect.signature(request).parameters)
        for name in self.options:
            if name not in known:
                raise ConfigurationError(
                    f"{type(self).__name__} has no parameter {name!r}: {nearest(name, sorted(known), listed=False)}"
                )

    def __repr__(self) -> str:
        where = f", base_url={public_url(self.base_url)!r}" if self.base_url else ""
        return f"{type(self).__name__}({self.model_id!r}{where})"

    def __reduce__(self) -> tuple[object, ...]:
        # SECURITY: a pickle must not carry the key: the model is made again with the keys of the environment there.
        return from_dict, (self.to_dict(),)

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data for `registry.from_dict`; keys and headers are not in it."""
        plain = {k: v for k, v in self.options.items() if k in _PLAIN_OPTIONS and _is_plain(v)}
        where = {"base_url": public_url(self.base_url)} if self.base_url else {}
        return {"kind": self.kind, "model_id": self.model_id, "options": {**where, **plain}}

    def answer(self, question: Question) -> Completion:
        """Return the model's answer. Raises as `Model.generate` does."""
        return at_once(self._answer(self._client, question, hold))

    async def agenerate(self, messages: Sequence[Any], **options: Any) -> Completion:
        """Return what `generate` returns, awaited: by the SDK's async client, or on a thread where it has none."""
        question = question_of(messages, None, options)
        client = await self._awaited_client()
        if client is None:
            return await asyncio.to_thread(self.answer, question)
        return await self._answer(client, question, asyncio.sleep)

    async def _answer(self, client: Any, question: Question, sleep: Sleep) -> Completion:
        done = await self._retrying(question, lambda sent: self._ask(client, sent), sleep)
        return replace(done, text=cut(done.text, question.stop))

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the answer's text as it comes, then the `Completion`. Raises as `Model.generate` does."""
        return _held(at_once(self._opened(self._client, question, hold)))

    async def astream(
        self, messages: Sequence[Any], **options: Any
    ) -> AsyncIterator[ModelDelta | Completion]:
        """Yield what `stream` yields, awaited; as `agenerate`."""
        question = question_of(messages, None, options)
        client = await self._awaited_client()
        if client is None:
            items = awaited(await asyncio.to_thread(lambda: list(self.pieces(question))))
        else:
            items = await self._opened(client, question, asyncio.sleep)
        async with aclosing(items):
            async for item in items:
                yield item

    @property
    def can_be_awaited(self) -> bool:
        """Whether `agenerate` and `astream` need no thread."""
        return self._connect_awaited is not None

    async def _awaited_client(self) -> Any:
        """Return this event loop's client, which is closed with the loop; None where the SDK has none."""
        if self._connect_awaited is None:
            return None
        loop = asyncio.get_running_loop()
        held = self._clients.get(loop)
        if held is None:
            until_the_end = _until_the_loop_ends(self._connect_awaited())
            held = self._clients[loop] = (await anext(until_the_end), until_the_end)
        return held[0]

    def _sent(self, question: Question) -> Question:
        """Return the question as this backend takes it."""
        messages = question.messages
        if self._roles or self.flatten_messages_as_text:
            messages = [self._as_asked(message) for message in messages]
        return replace(question, messages=messages, stop=question.stop if self._takes_stop else ())

    def _as_asked(self, message: ChatMessage) -> ChatMessage:
        role: Any = self._roles.get(message.role, message.role)
        return replace(message, role=role, images=() if self.flatten_messages_as_text else message.images)

    def _request(self, question: Question, form: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's parameters: `form` over the options of this call and of the model, without what is never sent."""
        sampling = {} if question.temperature is None else {"temperature": question.temperature}
        sent = {**self.options, **question.options, **form, **sampling}
        never = {name for name, value in {**sent, **self.options}.items() if value is REMOVE_PARAMETER}
        return {name: value for name, value in sent.items() if name not in never}

    @abstractmethod
    async def _ask(self, client: Any, question: Question) -> Completion:
        """Return the answer of one request, of the SDK's client for threads or of that for event loops.

        May raise the SDK's errors.
        """

    @abstractmethod
    def _stream(self, client: Any, question: Question) -> AsyncGenerator[str | Completion]:
        """Yield pieces of text of one request and then the completion (its text is not looked at); as `_ask`."""

    @abstractmethod
    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        """Return the SDK's own classes of errors for a failing request (its HTTP client's are known already)."""

    async def _opened(
        self, client: Any, question: Question, sleep: Sleep
    ) -> AsyncGenerator[ModelDelta | Completion]:
        async def begin(sent: Question) -> tuple[AsyncGenerator[str | Completion], str | Completion | None]:
            pieces = self._stream(client, sent)
            return pieces, await anext(pieces, None)

        return self._cut(*await self._retrying(question, begin, sleep), StopCutter(question.stop))

    async def _cut(
        self, pieces: AsyncGenerator[str | Completion], first: str | Completion | None, cutter: StopCutter
    ) -> AsyncGenerator[ModelDelta | Completion]:
        done, item, late = Completion(finish_reason="unknown"), first, 0
        try:
            while item is not None:
                if isinstance(item, Completion):
                    done = item
                elif shown := cutter.feed(item):
                    yield ModelDelta(shown)
                late += cutter.is_stopped
                item = None if late > _LATE_PIECES else await self._blaming(lambda: anext(pieces, None))
        finally:
            await pieces.aclose()
        if held := cutter.end():
            yield ModelDelta(held)
        finish = "stop" if cutter.is_stopped else done.finish_reason
        yield replace(done, text=cutter.text, finish_reason=finish)

    async def _retrying(self, question: Question, ask: Callable[[Question], Awaitable[T]], sleep: Sleep) -> T:
        async def once() -> T:
            if wait := self._pace.seconds():
                await sleep(wait)
            return await self._blaming(lambda: ask(self._sent(question)))

        try:
            return await retrying(once, sleep, attempts=self.attempts, wait_seconds=self.retry_wait_seconds)
        except RequestRefused as error:
            if not (self._takes_stop and _REFUSES_STOP.search(str(error))):
                raise
        self._takes_stop = False  # a model that no table knows yet; its text is cut here
        return await self._retrying(question, ask, sleep)

    async def _blaming(self, call: Callable[[], Awaitable[T]]) -> T:
        """Return the result of `call`; the SDK's errors become ours."""
        try:
            return await call()
        except PinjraError:
            raise
        except (*self._sdk_errors(), *client_errors()) as error:
            blamed = blame(error, repr(self), self._secrets)
        except _UNREADABLE as error:
            blamed = blame(error, repr(self), self._secrets)
        # SECURITY: raised outside of the handler, so that the SDK's error (with what the server wrote) is not chained.
        raise blamed


class ChatApiModel(ApiModel):
    """A model whose SDK speaks the OpenAI form of chat completions."""

    @abstractmethod
    def _create(self, client: Any, body: dict[str, Any]) -> Any:
        """Send one request; return its completion, or its chunks when `body["stream"]`; of an async client, what gives it."""

    def _body(self, question: Question) -> dict[str, Any]:
        form = request_form(question.messages, question.stop, question.tools, question.response_schema)
        return self._request(question, form)

    async def _ask(self, client: Any, question: Question) -> Completion:
        answer = self._create(client, self._body(question))
        return completion_of(await answer if inspect.isawaitable(answer) else answer)

    async def _stream(self, client: Any, question: Question) -> AsyncGenerator[str | Completion]:
        collected = Accumulator()
        body = {**self._body(question), "stream": True, "stream_options": {"include_usage": True}}
        async with aclosing(_chunks(self._create(client, body))) as chunks:
            async for chunk in chunks:
                if text := collected.add(chunk):
                    yield text
        yield collected.finish()


async def _chunks(answer: Any) -> AsyncGenerator[Any]:
    """Yield what a stream gives and close it: an SDK's stream for threads, or what gives one for event loops."""
    is_awaited = inspect.isawaitable(answer)
    stream = await answer if is_awaited else answer
    try:
        async for chunk in stream if is_awaited else awaited(stream):
            yield chunk
    finally:
        close = (is_awaited and getattr(stream, "aclose", None)) or getattr(stream, "close", None)
        if close is not None and inspect.isawaitable(closing := close()):
            await closing


async def awaited(items: Iterable[T]) -> AsyncGenerator[T]:
    """Yield items where coroutines are waited for at once."""
    for item in items:
        yield item


def _held(items: AsyncGenerator[T]) -> Iterator[T]:
    """Yield what is made without an event loop."""
    try:
        while (item := at_once(_next(items))) is not None:
            yield item
    finally:
        at_once(items.aclose())


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)


async def _until_the_loop_ends(client: Any) -> AsyncIterator[Any]:
    """Yield a client. An event loop that ends closes the generators that began on it (`shutdown_asyncgens`), this one too."""
    try:
        yield client
    finally:
        await client.close()


def _text(role: Any) -> str:
    return str(getattr(role, "value", role))


def public_url(url: str) -> str:
    """Return `url` without user, password, query and fragment: those may be secrets."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _secret_texts(options: Mapping[str, Any]) -> list[str]:
    """Return the texts among options that are secrets by their names, and all values of headers."""
    found = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            found += (
                [v for v in value.values() if isinstance(v, str)]
                if "header" in name
                else _secret_texts(value)
            )
        elif isinstance(value, str) and _SECRET_NAME.search(name):
            found.append(value)
    return found


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
