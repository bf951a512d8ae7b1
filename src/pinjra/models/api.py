"""What all models reached through an SDK share: options, retries, blame, cutting at stops, and keeping secrets secret."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

from pinjra.models.adapted import AskedModel
from pinjra.models.base import Completion, ModelDelta, PromptStyle, Question
from pinjra.models.chat_form import Accumulator, completion_of, request_form
from pinjra.models.registry import from_dict
from pinjra.models.retry import blame, client_errors, retrying
from pinjra.models.stops import StopCutter

__all__ = ["ApiModel", "ChatApiModel", "Question", "public_url"]

T = TypeVar("T")

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

# Pieces still read after a stop sequence, for the token counts of a server that leaves the sequence in the text and ends
# there; a server that knows no stop sequences would go on to the end of its output, so then the stream is closed.
_LATE_PIECES = 4


class ApiModel(AskedModel, ABC):
    """A model behind an SDK. Subclasses say how to ask once, how to stream once, and which errors are the SDK's.

    Args:
        attempts: Tries of one request, the first included.
        retry_wait_seconds: Upper bound of the first pause between tries; it doubles each time.
        options: Sent with every request (`temperature`, `max_tokens`, …).
    """

    kind: ClassVar[str]
    prompt_style: PromptStyle = "full"

    def __init__(
        self,
        model_id: str,
        *,
        secrets: Sequence[str | None] = (),
        base_url: str | None = None,
        attempts: int = 4,
        retry_wait_seconds: float = 1.0,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(model_id=model_id)
        self.base_url = base_url
        self.attempts = attempts
        self.retry_wait_seconds = retry_wait_seconds
        self.options = dict(options or {})
        self._secrets = (*(s for s in secrets if s), *_secret_texts(self.options))

    def __repr__(self) -> str:
        where = f", base_url={public_url(self.base_url)!r}" if self.base_url else ""
        return f"{type(self).__name__}({self.model_id!r}{where})"

    def __reduce__(self) -> tuple[object, ...]:
        # SECURITY: a pickle must not carry the key: the model is made again with the keys of the environment there.
        return from_dict, (self.to_dict(),)

    def __deepcopy__(self, memo: object) -> Self:
        return self  # it has no state that two owners could change

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data for `registry.from_dict`; keys and headers are not in it."""
        plain = {k: v for k, v in self.options.items() if k in _PLAIN_OPTIONS and _is_plain(v)}
        where = {"base_url": public_url(self.base_url)} if self.base_url else {}
        return {"kind": self.kind, "model_id": self.model_id, "options": {**where, **plain}}

    def answer(self, question: Question) -> Completion:
        """Return the model's answer. Raises as `Model.generate` does."""
        done = self._retrying(lambda: self._ask(question))
        cutter = StopCutter(question.stop)
        return replace(done, text=cutter.feed(done.text) + cutter.end())

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the answer's text as it comes, then the `Completion`. Raises as `Model.generate` does."""
        pieces, first = self._retrying(lambda: self._opened(question))
        return self._cut(pieces, first, StopCutter(question.stop))

    @abstractmethod
    def _ask(self, question: Question) -> Completion:
        """Return the answer of one request; may raise the SDK's errors."""

    @abstractmethod
    def _stream(self, question: Question) -> Iterator[str | Completion]:
        """Yield pieces of text of one request and then the completion (its text is not looked at)."""

    @abstractmethod
    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        """Return the SDK's own classes of errors for a failing request (its HTTP client's are known already)."""

    def _opened(self, question: Question) -> tuple[Iterator[str | Completion], str | Completion | None]:
        pieces = self._stream(question)
        return pieces, next(pieces, None)

    def _cut(
        self, pieces: Iterator[str | Completion], first: str | Completion | None, cutter: StopCutter
    ) -> Iterator[ModelDelta | Completion]:
        text, done, item, late = "", Completion(finish_reason="unknown"), first, 0
        try:
            while item is not None:
                if isinstance(item, Completion):
                    done = item
                elif shown := cutter.feed(item):
                    text += shown
                    yield ModelDelta(shown)
                late += cutter.is_stopped
                item = None if late > _LATE_PIECES else self._blaming(lambda: next(pieces, None))
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()
        if held := cutter.end():
            text += held
            yield ModelDelta(held)
        finish = "stop" if cutter.is_stopped else done.finish_reason
        yield replace(done, text=text, finish_reason=finish)

    def _retrying(self, call: Callable[[], T]) -> T:
        return retrying(
            lambda: self._blaming(call), attempts=self.attempts, wait_seconds=self.retry_wait_seconds
        )

    def _blaming(self, call: Callable[[], T]) -> T:
        """Return the result of `call`; the SDK's errors become ours."""
        try:
            return call()
        except (*self._sdk_errors(), *client_errors()) as error:
            blamed = blame(error, repr(self), self._secrets)
        # SECURITY: raised outside of the handler, so that the SDK's error (with what the server wrote) is not chained.
        raise blamed


class ChatApiModel(ApiModel):
    """A model whose SDK speaks the OpenAI form of chat completions."""

    @abstractmethod
    def _create(self, body: dict[str, Any]) -> Any:
        """Send one request; return the SDK's completion, or its iterator of chunks when `body["stream"]`."""

    def _body(self, question: Question) -> dict[str, Any]:
        body = request_form(question.messages, question.stop, question.tools, question.response_schema)
        sampling = {} if question.temperature is None else {"temperature": question.temperature}
        return {**self.options, **question.options, **body, **sampling}

    def _ask(self, question: Question) -> Completion:
        return completion_of(self._create(self._body(question)))

    def _stream(self, question: Question) -> Iterator[str | Completion]:
        collected = Accumulator()
        chunks = self._create(
            {**self._body(question), "stream": True, "stream_options": {"include_usage": True}}
        )
        try:
            for chunk in chunks:
                if text := collected.add(chunk):
                    yield text
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        yield collected.finish("")


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
