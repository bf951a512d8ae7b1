"""Chat messages -> Completion: the contract that every model keeps, and the words it is written in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from pinjra.models.errors import (
    AuthenticationFailed as AuthenticationFailed,
)
from pinjra.models.errors import (
    CompletionInvalid as CompletionInvalid,
)
from pinjra.models.errors import (
    ModelError as ModelError,
)
from pinjra.models.errors import (
    ProviderFailed as ProviderFailed,
)
from pinjra.models.errors import (
    RateLimited as RateLimited,
)
from pinjra.models.errors import (
    RequestRefused as RequestRefused,
)

__all__ = [
    "AuthenticationFailed",
    "ChatMessage",
    "Completion",
    "CompletionInvalid",
    "FinishReason",
    "JsonSchema",
    "Model",
    "ModelDelta",
    "ModelError",
    "PromptStyle",
    "ProviderFailed",
    "RateLimited",
    "RequestRefused",
    "Role",
    "TokenUsage",
    "ToolCall",
    "ToolSchema",
]

Role = Literal["system", "user", "assistant", "tool"]
PromptStyle = Literal["full", "small"]
FinishReason = Literal["stop", "length", "tool_calls", "refused", "unknown"]
JsonSchema = Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's wish to call a tool. `arguments` is what the model wrote: check it before use."""

    id: str
    name: str
    arguments: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """One turn of a chat.

    Args:
        tool_calls: Calls that an assistant's turn asked for.
        tool_call_id: For role "tool": the call that this is the result of.
        images: PNG, JPEG, GIF or WebP files (told apart by their first bytes), shown after the text.
    """

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None
    images: tuple[bytes, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one completion, or of several added up. 0 where the backend does not tell."""

    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def total_tokens(self) -> int:
        """Return input and output together."""
        return self.input_tokens + self.output_tokens

    def dict(self) -> dict[str, int]:
        """Return it as a dictionary, with the total."""
        return {
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "total_tokens": self.total_tokens,
        }

    def __add__(self, other: TokenUsage) -> TokenUsage:
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A model's whole answer.

    Args:
        text: Without the stop sequence that ended it and without the begun reply that it continues.
        finish_reason: "stop" also when a stop sequence was met; "length" when the output limit cut it.
    """

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: TokenUsage = field(default_factory=TokenUsage)
    finish_reason: FinishReason = "stop"


@dataclass(frozen=True, slots=True)
class ModelDelta:
    """The next piece of a completion's text, as it is produced."""

    text: str


class ToolSchema(Protocol):
    """What a model is told of a tool. `parameters` is a JSON schema of type "object"."""

    @property
    def name(self) -> str:
        """Return the name that the model calls."""

    @property
    def description(self) -> str:
        """Return what the tool does, for the model."""

    @property
    def parameters(self) -> Mapping[str, object]:
        """Return the JSON schema of the arguments."""


@runtime_checkable
class Model(Protocol):
    """A language model. Safe to use from several threads at once.

    A last message of role "assistant" is a *begun reply*: the model continues it; the completion has only
    what was added. Every model of style "small" can do so; of the hosted ones only those whose page says so.
    """

    @property
    def model_id(self) -> str:
        """Return the model's name as its provider spells it."""

    @property
    def prompt_style(self) -> PromptStyle:
        """Return which prompt suits: "small" for models of a few billion parameters or fewer."""

    def generate(
        self,
        messages: Sequence[ChatMessage],
        *,
        stop: Sequence[str] = (),
        tools: Sequence[ToolSchema] = (),
        response_schema: JsonSchema | None = None,
        temperature: float | None = None,
    ) -> Completion:
        """Return the model's answer to `messages`.

        Args:
            stop: Texts that end the answer; not part of it.
            tools: Offered to the model for structured calls.
            response_schema: JSON schema that the text keeps, where the backend can enforce it.
            temperature: For this call instead of the model's own.

        Raises:
            AuthenticationFailed: The operator's fault: key missing or wrong.
            RequestRefused: The caller's fault: too long, unknown model, bad schema.
            RateLimited: After the retries: too many requests.
            ProviderFailed: After the retries: network or provider.
            CompletionInvalid: The model's fault: what came back is no completion.
        """

    def stream(
        self,
        messages: Sequence[ChatMessage],
        *,
        stop: Sequence[str] = (),
        tools: Sequence[ToolSchema] = (),
        response_schema: JsonSchema | None = None,
        temperature: float | None = None,
    ) -> Iterator[ModelDelta | Completion]:
        """Yield the answer's text as it is produced; the last item is the whole `Completion`.

        Closing the iterator ends the request. Retries happen only before the first piece. Raises as
        `generate` does.
        """
