"""Requests of OpenAI's clients, below /openai/v1 -> answers of the models that the settings name."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any, Literal

import anyio.to_thread
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response

from pinjra.core.errors import ConfigurationError, PinjraError
from pinjra.models.adapted import question_of
from pinjra.models.base import Completion, FinishReason, ModelDelta, Question, ToolCall
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import Busy, NotFound, told
from pinjra.server.http.metrics import Metrics
from pinjra.server.http.operations import Operation
from pinjra.server.http.requests import OpenBody
from pinjra.server.http.tenants import Tenant
from pinjra.server.models import LoadedModels, arguments_of

_AT_ONCE = 4  # requests that models work on; the others wait in order
_WAITING = 64
_BUSY_SECONDS = 5.0
_MESSAGES = 10_000
# What is handed to the model as it is, where the request says it.
_SAMPLING = ("max_tokens", "seed", "top_p", "frequency_penalty", "presence_penalty")
_FINISH: Mapping[FinishReason, str] = {"refused": "content_filter", "unknown": "stop"}


# ---------------------------------------------------------------- bodies


class FunctionRequest(OpenBody):
    """A function that the model may call."""

    name: str = Field(min_length=1, max_length=64)
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})


class ToolRequest(OpenBody):
    """A tool that the model may call."""

    type: Literal["function"] = "function"
    function: FunctionRequest


class MessageRequest(OpenBody):
    """One turn. `content` is a text, or parts of text and of images as data: addresses."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[dict[str, Any]] | None = None
    tool_call_id: str | None = None


class StreamOptions(OpenBody):
    """With `include_usage` the last piece of a stream has the tokens."""

    include_usage: bool = False


class ChatRequest(OpenBody):
    """A chat to be continued."""

    model: str
    messages: list[MessageRequest] = Field(min_length=1, max_length=_MESSAGES)
    stream: bool = False
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int | None = Field(default=None, gt=0)
    max_completion_tokens: int | None = Field(default=None, gt=0)
    seed: int | None = None
    top_p: float | None = Field(default=None, gt=0, le=1)
    frequency_penalty: float | None = Field(default=None, ge=-2, le=2)
    presence_penalty: float | None = Field(default=None, ge=-2, le=2)
    tools: list[ToolRequest] | None = Field(default=None, max_length=1000)
    response_format: dict[str, Any] | None = None
    n: Literal[1] = 1

    def question(self) -> Question:
        """Return what the model is asked.

        Raises:
            ConfigurationError: An image that is no data: address (the client's fault).
        """
        options = {name: getattr(self, name) for name in _SAMPLING if getattr(self, name) is not None}
        if self.max_completion_tokens is not None:
            options["max_tokens"] = self.max_completion_tokens
        given = {
            "tools": [tool.function for tool in self.tools or ()],
            "temperature": self.temperature,
            "response_format": self.response_format,
            **options,
        }
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        return question_of([_message(each) for each in self.messages], stop, given)


def _message(given: MessageRequest) -> dict[str, Any]:
    message = given.model_dump(exclude_none=True)
    if given.role == "developer":
        message["role"] = "system"
    if isinstance(given.content, list):
        message["content"] = [_part(part) for part in given.content]
    return message


def _part(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if part.get("type") != "image_url":
        return part
    said = part.get("image_url")
    url = str(said.get("url", "")) if isinstance(said, Mapping) else ""
    head, _, data = url.partition(";base64,")
    # SECURITY: an address is not fetched: the service would be asked to reach what its clients cannot.
    if not head.startswith("data:"):
        raise ConfigurationError("an image is given as data:…;base64,…; addresses are not fetched")
    try:
        return {"type": "image", "image": base64.b64decode(data, validate=True)}
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"an image is base64: {error}") from None


# ---------------------------------------------------------------- answers


class TokensAnswer(BaseModel):
    """Tokens of one answer."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class ChoiceAnswer(BaseModel):
    """What the model said."""

    index: int
    message: dict[str, Any]
    finish_reason: str


class ChatAnswer(BaseModel):
    """A model's answer."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    choices: list[ChoiceAnswer]
    usage: TokensAnswer


class ModelAnswer(BaseModel):
    """A model that can be asked."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelsAnswer(BaseModel):
    """The models that can be asked."""

    object: Literal["list"]
    data: list[ModelAnswer]


def _calls(calls: tuple[ToolCall, ...]) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "id": call.id or f"call_{secrets.token_hex(6)}",
            "type": "function",
            "function": {"name": call.name, "arguments": call.written or json.dumps(call.arguments)},
        }
        for index, call in enumerate(calls)
    ]


def _usage(done: Completion) -> dict[str, int]:
    used = done.usage
    return {
        "prompt_tokens": used.input_tokens,
        "completion_tokens": used.output_tokens,
        "total_tokens": used.total_tokens,
    }


def _head(model: str, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{secrets.token_hex(12)}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }


def _whole(model: str, done: Completion) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": done.text}
    if done.tool_calls:
        message["tool_calls"] = [
            {name: part for name, part in call.items() if name != "index"} for call in _calls(done.tool_calls)
        ]
    reason = _FINISH.get(done.finish_reason, done.finish_reason)
    choice = {"index": 0, "message": message, "finish_reason": reason}
    return {**_head(model, "chat.completion"), "choices": [choice], "usage": _usage(done)}


# ---------------------------------------------------------------- models


class Models:
    """The models that clients may ask, shared by all tenants."""

    def __init__(self, names: Mapping[str, str], loaded: LoadedModels, metrics: Metrics) -> None:
        self.names = names
        self._loaded = loaded
        self._metrics = metrics
        self._room = asyncio.Semaphore(_AT_ONCE)  # a stream begins in one task and goes on in another
        self._asked = 0

    def check(self, name: str) -> None:
        """Check that there is such a model.

        Raises:
            NotFound: There is none.
        """
        if name not in self.names:
            raise NotFound(f"there is no model {name[:100]!r}; there are: {', '.join(self.names) or 'none'}")

    async def pieces(
        self, tenant: Tenant, name: str, question: Question
    ) -> AsyncGenerator[ModelDelta | Completion, None]:
        """Yield a model's answer in pieces, and last the whole; a client that leaves ends it.

        Raises:
            Busy: Too many wait.
            ModelError: By whose fault it is.
        """
        if self._asked >= _WAITING:
            raise Busy("the models have as many requests as may wait", _BUSY_SECONDS)
        self._asked += 1
        pieces: Iterator[ModelDelta | Completion] | None = None
        try:
            async with self._room:
                model = await anyio.to_thread.run_sync(self._loaded.get, self.names[name])
                pieces = model.stream(question.messages, **arguments_of(question))
                while (piece := await anyio.to_thread.run_sync(partial(next, pieces, None))) is not None:
                    if isinstance(piece, Completion):
                        self._metrics.count_tokens(
                            tenant.name, name, piece.usage.input_tokens, piece.usage.output_tokens
                        )
                    yield piece
        finally:
            self._asked -= 1
            if pieces is not None and hasattr(pieces, "close"):
                pieces.close()


# ---------------------------------------------------------------- requests


async def create_completion(request: Asked, wanted: ChatRequest) -> Response:
    """Continue a chat; with `stream` piece by piece."""
    models: Models = request.service.models
    models.check(wanted.model)
    question = wanted.question()
    pieces = models.pieces(request.tenant, wanted.model, question)
    first = await anext(pieces, None)  # what is wrong from the beginning is still said by the status
    if wanted.stream:
        return EventSourceResponse(
            _events(first, pieces, wanted), sep="\n", shutdown_grace_period=request.settings.drain_seconds
        )
    done = first if isinstance(first, Completion) else Completion()
    async for piece in pieces:
        if isinstance(piece, Completion):
            done = piece
    return JSONResponse(_whole(wanted.model, done))


async def _events(
    first: ModelDelta | Completion | None,
    pieces: AsyncGenerator[ModelDelta | Completion, None],
    wanted: ChatRequest,
) -> AsyncIterator[dict[str, str]]:
    head = _head(wanted.model, "chat.completion.chunk")

    def chunk(delta: dict[str, Any], reason: str | None = None) -> dict[str, str]:
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"data": json.dumps({**head, "choices": [choice]})}

    yield chunk({"role": "assistant", "content": ""})
    piece = first
    try:
        while piece is not None:
            if isinstance(piece, Completion):
                if piece.tool_calls:
                    yield chunk({"tool_calls": _calls(piece.tool_calls)})
                yield chunk({}, _FINISH.get(piece.finish_reason, piece.finish_reason))
                if wanted.stream_options is not None and wanted.stream_options.include_usage:
                    yield {"data": json.dumps({**head, "choices": [], "usage": _usage(piece)})}
            elif piece.text:
                yield chunk({"content": piece.text})
            piece = await anext(pieces, None)
    except PinjraError as error:  # the answer has begun: its status cannot say it any more
        yield {"data": json.dumps({"error": told(error)})}
    finally:
        await pieces.aclose()
    yield {"data": "[DONE]"}


def _described(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "pinjra"}


async def list_models(request: Asked) -> dict[str, Any]:
    """List the models that can be asked."""
    models: Models = request.service.models
    return {"object": "list", "data": [_described(name) for name in models.names]}


async def show_model(request: Asked) -> dict[str, Any]:
    """Describe a model."""
    models: Models = request.service.models
    name = request.path_params["model"]
    models.check(name)
    return _described(name)


_O = "/openai/v1"
OPERATIONS = (
    Operation(method="POST", path=_O + "/chat/completions", endpoint=create_completion, body=ChatRequest, answer=ChatAnswer,
              streams=True),
    Operation(method="GET", path=_O + "/models", endpoint=list_models, answer=ModelsAnswer),
    Operation(method="GET", path=_O + "/models/{model:path}", endpoint=show_model, answer=ModelAnswer),
)  # fmt: skip
