"""Models and messages as their users write them -> the forms that agents and our own models work with."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Self

from pinjra.models.base import ChatMessage, Completion, Model, ModelDelta, Question, ToolOffer, usage_of
from pinjra.models.errors import CompletionInvalid, RequestRefused


class AskedModel(Model):
    """A model that answers questions: whatever form its callers use, it sees one. Ours derive from it."""

    def generate(
        self, messages: Sequence[Any], stop_sequences: Sequence[str] | None = None, **options: Any
    ) -> Completion:
        """Return the model's answer; see `Model.generate`. Messages may be dicts."""
        return self.answer(question_of(messages, stop_sequences, options))

    def stream(
        self, messages: Sequence[Any], stop_sequences: Sequence[str] | None = None, **options: Any
    ) -> Iterator[ModelDelta | Completion]:
        """Yield the answer's text as it is produced; the last item is the whole `Completion`.

        Closing the iterator ends the request. Retries happen only before the first piece. Raises as `generate` does.
        """
        return self.pieces(question_of(messages, stop_sequences, options))

    generate_stream = stream

    def __deepcopy__(self, memo: object) -> Self:
        return self  # it may be used by any number of owners

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def answer(self, question: Question) -> Completion:
        """Return the answer to a question: the last of its pieces."""
        *_, done = self.pieces(question)
        return done if isinstance(done, Completion) else Completion(text=done.text)

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the pieces of the answer to a question, and then the completion."""
        raise NotImplementedError


def message_of(message: Any) -> ChatMessage:
    """Return a message in our form.

    Raises:
        RequestRefused: It is neither a `ChatMessage` nor a dict with a role (the caller's fault).
    """
    if isinstance(message, ChatMessage) and isinstance(message.content, str) and type(message.role) is str:
        return message
    if isinstance(message, Mapping) and "role" in message:
        return ChatMessage.from_dict(message)
    if hasattr(message, "role") and hasattr(message, "content"):
        names = ("role", "content", "tool_calls", "tool_call_id")
        made = ChatMessage.from_dict({name: getattr(message, name, None) for name in names})
        made.images = made.images or tuple(getattr(message, "images", ()))
        return made
    raise RequestRefused(
        f"a message must be a ChatMessage or a dict with role and content, not {message!r:.200}"
    )


def question_of(
    messages: Sequence[Any], stop_sequences: Sequence[str] | None, options: Mapping[str, Any]
) -> Question:
    """Return what is asked, whichever names the caller used for it."""
    rest = dict(options)
    tools = rest.pop("tools", None) or rest.pop("tools_to_call_from", None) or ()
    rest.pop("tools_to_call_from", None)
    schema = rest.pop("response_schema", None)
    form = rest.pop("response_format", None)
    if schema is None and isinstance(form, Mapping):
        schema = form.get("json_schema", {}).get("schema")
    return Question(
        messages=tuple(message_of(message) for message in messages),
        stop=tuple(rest.pop("stop", None) or stop_sequences or ()),
        tools=tuple(_schema_of(tool) for tool in tools),
        response_schema=schema,
        temperature=rest.pop("temperature", None),
        options=rest,
    )


def _schema_of(tool: Any) -> ToolOffer:
    if hasattr(tool, "parameters"):
        return tool  # type: ignore[no-any-return]  # it has what the protocol says
    raise RequestRefused(f"{tool!r:.200} is no tool")


def adapted(model: Any) -> Any:
    """Return a model whose `generate` takes our parameters and gives a `Completion`: itself, or what calls it."""
    if isinstance(model, AskedModel):
        return model
    generate = getattr(model, "generate", None)
    own = generate is not None and getattr(type(model), "generate", None) is not Model.generate
    names = _parameters(generate if own else model)
    if own and names is not None and ("stop" in names or ("stop_sequences" not in names and "**" in names)):
        return model
    return _Foreign(model, generate if own else model, names or {"stop_sequences"})


def _parameters(function: Any) -> set[str] | None:
    """Return the names of a callable's parameters, "**" for any; None where it does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return None
    return {"**" if p.kind is p.VAR_KEYWORD else p.name for p in parameters}


class _Foreign:
    """A model as other libraries have them: `generate(messages, stop_sequences=None, …)` gives a message or a text."""

    def __init__(self, model: Any, call: Any, names: set[str]) -> None:
        self._model, self._call, self._names = model, call, names
        self.model_id = getattr(model, "model_id", type(model).__name__)

    def generate(self, messages: Sequence[ChatMessage], **options: Any) -> Completion:
        """Return the model's answer."""
        question = question_of(messages, None, options)
        given = {
            "stop_sequences": list(question.stop) or None,
            "tools_to_call_from": list(question.tools) or None,
        }
        named = {
            k: v for k, v in given.items() if v is not None and (k in self._names or "**" in self._names)
        }
        flat = bool(getattr(self._model, "flatten_messages_as_text", False))
        return completion_from(self._call([_Message(m, flat=flat) for m in question.messages], **named))


class _Message(dict[str, Any]):
    """A message as other libraries' models read it: a dict, and the same by attributes."""

    def __init__(self, message: ChatMessage, *, flat: bool) -> None:
        parts: list[dict[str, Any]] = [{"type": "text", "text": message.content}]
        parts += [{"type": "image", "image": image} for image in message.images]
        super().__init__(role=message.role, content=message.content if flat else parts)
        if message.tool_calls:
            self["tool_calls"] = message.dict()["tool_calls"]
        if message.tool_call_id is not None:
            self["tool_call_id"] = message.tool_call_id

    def __getattr__(self, name: str) -> Any:
        if name in ("tool_calls", "raw", "token_usage"):
            return self.get(name)
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None


def completion_from(answer: Any) -> Completion:
    """Return a completion from what somebody's model gave: a `Completion`, a message of any kind, or a text.

    Raises:
        CompletionInvalid: It is none of them.
    """
    if isinstance(answer, Completion):
        return answer
    if isinstance(answer, str):
        return Completion(text=answer)
    if not isinstance(answer, Mapping) and not hasattr(answer, "content"):
        raise CompletionInvalid(f"the model gave {type(answer).__name__} instead of a message or a text")
    names = ("content", "tool_calls")
    told = answer if isinstance(answer, Mapping) else {name: getattr(answer, name, None) for name in names}
    message = ChatMessage.from_dict({"role": "assistant", **told})
    usage, calls = getattr(answer, "token_usage", None), tuple(message.tool_calls)
    return Completion(
        text=message.content,
        tool_calls=calls,
        usage=usage_of(usage, "input_tokens", "output_tokens"),
        finish_reason="tool_calls" if calls else "stop",
    )
