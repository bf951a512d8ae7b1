"""Chat messages -> Completion: the contract that every model keeps, and the words it is written in."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, ClassVar, Literal, Protocol

from pinjra.core.images import png_of
from pinjra.core.json_data import encodable, encodable_data

Role = Literal["system", "user", "assistant", "tool"]
PromptStyle = Literal["full", "small"]
FinishReason = Literal["stop", "length", "tool_calls", "refused", "unknown"]
JsonSchema = Mapping[str, object]


class MessageRole(str, Enum):
    """The roles by name; each is its text."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"
    TOOL_CALL = "tool-call"
    TOOL_RESPONSE = "tool-response"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A model's wish to call a tool. `arguments` is what the model wrote: check it before use.

    Args:
        problem: Why what the model wrote is no JSON object; then `arguments` is empty and `written` is the text itself.
    """

    id: str
    name: str
    arguments: dict[str, object]
    problem: str = ""
    written: str = ""


@dataclass(slots=True)
class ChatMessage:
    """One turn of a chat. What others hand over as messages (dicts, parts of content) becomes one by `models.adapted`.

    Args:
        tool_calls: Calls that an assistant's turn asked for.
        raw: What the provider's SDK gave, for whoever made the message.
        token_usage: Of an assistant's turn, where it is known.
        tool_call_id: For role "tool": the call that this is the result of.
        images: PNG, JPEG, GIF or WebP files (told apart by their first bytes), shown after the text.
    """

    role: Role
    content: str = ""
    tool_calls: Sequence[ToolCall] = ()
    raw: object = field(default=None, repr=False)
    token_usage: TokenUsage | None = None
    tool_call_id: str | None = None
    images: tuple[bytes, ...] = field(default=(), repr=False)

    def __getitem__(self, name: str) -> Any:
        """Return a field, as of a message that is a dict."""
        if name not in ("role", "content", "tool_calls", "tool_call_id"):
            raise KeyError(name)
        return getattr(self, name)

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], raw: object = None, token_usage: TokenUsage | None = None
    ) -> ChatMessage:
        """Return the message of a dict as chat completions have it: content a text, or parts of text and images."""
        role = getattr(data.get("role"), "value", data.get("role"))
        text, images = _content_of(data.get("content"))
        return cls(
            role=_ROLES.get(str(role), str(role)),  # type: ignore[arg-type]  # a provider may have roles of its own
            content=text,
            tool_calls=tuple(tool_call_of(call) for call in data.get("tool_calls") or ()),
            raw=raw,
            token_usage=token_usage,
            tool_call_id=data.get("tool_call_id"),
            images=images,
        )

    def dict(self) -> dict[str, object]:
        """Return it as a dictionary, as chat completions have it; without `raw`."""
        calls = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in self.tool_calls
        ]
        usage = self.token_usage.dict() if self.token_usage else None
        return {"role": self.role, "content": self.content, "tool_calls": calls or None, "token_usage": usage}

    def encodable(self) -> ChatMessage:
        """Return the message with half characters written out: no provider takes them."""
        safe = encodable(self.content)
        return self if safe is self.content else replace(self, content=safe)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """Tokens of one completion, or of several added up. 0 where the backend does not tell, or says no number."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __post_init__(self) -> None:
        for name in ("input_tokens", "output_tokens"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:  # of somebody's server: it is added up
                object.__setattr__(self, name, 0)

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
    role: ClassVar[Role] = "assistant"

    @property
    def content(self) -> str:
        """Return the text, by the name that chat messages give it."""
        return self.text

    @property
    def token_usage(self) -> TokenUsage:
        """Return the usage, by the name that chat messages give it."""
        return self.usage


@dataclass(frozen=True, slots=True)
class ModelDelta:
    """The next piece of a completion's text, as it is produced."""

    text: str

    @property
    def content(self) -> str:
        """Return the text, by the name that other libraries give it."""
        return self.text


class ToolOffer(Protocol):
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a model is asked: the arguments of one `generate` or `stream`, together.

    Args:
        stop: Texts that end the answer; not part of it.
        tools: Offered to the model for structured calls.
        response_schema: JSON schema that the text keeps, where the backend can enforce it.
        temperature: For this call instead of the model's own.
        options: Further ones of this call, for the backend.
    """

    messages: Sequence[ChatMessage]
    stop: Sequence[str] = ()
    tools: Sequence[ToolOffer] = ()
    response_schema: JsonSchema | None = None
    temperature: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


class Model:
    """A language model. Safe to use from several threads at once.

    A last message of role "assistant" is a *begun reply*: the model continues it; the completion has only what was added.
    Every model of style "small" can do so; of the hosted ones only those whose page says so.

    A model of your own needs `generate`: either with these parameters, or as other libraries have it, with
    `(messages, stop_sequences=None, **kwargs)` and a `ChatMessage` or text as its result.

    Attributes:
        model_id: The model's name as its provider spells it.
        prompt_style: Which prompt suits: "small" for models of a few billion parameters or fewer.
    """

    model_id: str = "model"
    prompt_style: PromptStyle = "full"
    flatten_messages_as_text: bool = False

    def __init__(
        self, flatten_messages_as_text: bool = False, model_id: str | None = None, **kwargs: Any
    ) -> None:
        self.flatten_messages_as_text = flatten_messages_as_text
        if model_id is not None:
            self.model_id = model_id
        self.kwargs = kwargs

    def generate(self, messages: Sequence[Any], *args: Any, **options: Any) -> Any:
        """Return the model's answer to `messages`: a `Completion`, a `ChatMessage` or a text.

        Args:
            options: `stop`, `tools`, `response_schema` and `temperature`, as `Question` has them.

        Raises:
            AuthenticationFailed: The operator's fault: key missing or wrong.
            RequestRefused: The caller's fault: too long, unknown model, bad schema.
            RateLimited: After the retries: too many requests.
            ProviderFailed: After the retries: network or provider.
            CompletionInvalid: The model's fault: what came back is no completion.
        """
        raise NotImplementedError(f"{type(self).__name__} has no generate() method: write one")

    def __call__(self, messages: Sequence[Any], *args: Any, **options: Any) -> Any:
        """Return `generate(messages, …)`."""
        return self.generate(messages, *args, **options)


def usage_of(told: object, read: str, written: str) -> TokenUsage:
    """Return the tokens that an SDK's object tells by these names."""
    return TokenUsage(input_tokens=getattr(told, read, 0), output_tokens=getattr(told, written, 0))


# what other libraries keep in memory -> what is sent
_LONGEST_ARGUMENTS = 300_000  # characters: more than the longest output of any model, unless it is looping
_ROLES = {"tool-call": "assistant", "tool-response": "user"}


def tool_call_of(call: Any) -> ToolCall:
    """Return a call in our form: of an object or dict with `function`, or with name and arguments of its own."""
    if isinstance(call, ToolCall):
        return call
    function = _get(call, "function") or call
    return tool_call(_get(call, "id"), _get(function, "name"), _get(function, "arguments"))


def _finite(written: str) -> float:
    """Return a number; NaN and what is too large for one could not be sent on as JSON."""
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(f"{written[:50]} is no number that JSON can hold")
    return number


def tool_call(number: object, name: object, written: object) -> ToolCall:
    """Return a call whose arguments came as JSON text or as an object; what is neither is told in `problem`."""
    name, own = str(name or ""), str(number or "")
    parsed: object = written
    try:
        if isinstance(written, str) and len(written) > _LONGEST_ARGUMENTS:
            raise ValueError(f"more than {_LONGEST_ARGUMENTS:,} characters")
        if isinstance(written, str):
            parsed = json.loads(written or "{}", parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        problem = f"the arguments of {name!r} are no JSON: {error}: {str(written)[:500]!r}"
        return ToolCall(id=own, name=name, arguments={}, problem=problem, written=str(written))
    if parsed is None:
        parsed = {}
    if not isinstance(parsed, Mapping):
        problem = f"the arguments of {name!r} must be a JSON object, not {str(parsed)[:500]!r}"
        return ToolCall(id=own, name=name, arguments={}, problem=problem, written=str(parsed))
    return ToolCall(id=own, name=name, arguments={str(k): encodable_data(v) for k, v in parsed.items()})


def _content_of(content: Any) -> tuple[str, tuple[bytes, ...]]:
    """Return text and images of a message's content: a text, None, or parts."""
    if content is None or isinstance(content, str):
        return content or "", ()
    if not isinstance(content, list | tuple):
        return str(content), ()
    texts, images = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif _get(part, "type") == "image":
            images.append(image_bytes(_get(part, "image")))
        elif isinstance(_get(part, "text"), str):
            texts.append(_get(part, "text"))
    return "\n".join(texts), tuple(images)


def image_bytes(image: Any) -> bytes:
    """Return an image's file: bytes as they are, a PIL image as PNG."""
    return image if isinstance(image, bytes) else png_of(image)


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
