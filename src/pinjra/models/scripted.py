"""ScriptedModel: replays completions in order. For tests, examples and documentation; a first-class model."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from pinjra.models.adapted import AskedModel
from pinjra.models.base import ChatMessage, Completion, ModelDelta, PromptStyle, Question, TokenUsage
from pinjra.models.errors import ModelExhausted
from pinjra.models.stops import cut

Script = str | Completion | Exception | Callable[[Sequence[ChatMessage]], "str | Completion"]


Request = Question
"""What a scripted model was asked."""


class ScriptedModel(AskedModel):
    """A model that answers with what it was given, in order, and records what it was asked.

    Args:
        completions: A text, a `Completion`, an exception to raise, or a function of the messages, one per
            request. A single function instead of a list answers every request.
        prompt_style: "small" makes agents use the prompt of small models.

    Text is cut at stop sequences, as a server would. Tokens are counted as words, so that budgets can be
    tried.
    """

    def __init__(
        self,
        completions: Iterable[Script] | Callable[[Sequence[ChatMessage]], str | Completion],
        *,
        model_id: str = "scripted",
        prompt_style: PromptStyle = "full",
    ) -> None:
        super().__init__(model_id=model_id)
        self.prompt_style = prompt_style
        self.requests: list[Request] = []
        self._always = completions if callable(completions) else None
        self._remaining: list[Script] = [] if callable(completions) else list(completions)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        left = "a function" if self._always else f"{len(self._remaining)} completions left"
        return f"ScriptedModel({self.model_id!r}, {left})"

    def __getstate__(self) -> dict[str, object]:
        """Leave functions behind that no import finds; asked for them, the copy's script has ended."""
        state = super().__getstate__()
        if self._always is not None and _is_local(self._always):
            state["_always"] = None
        state["_remaining"] = [each for each in self._remaining if not _is_local(each)]
        return state

    def answer(self, question: Question) -> Completion:
        """Return the next completion of the script.

        Raises:
            ModelExhausted: The script has ended (the caller's fault).
        """
        script = self._next(question)
        if isinstance(script, Exception):
            raise script
        answer = script if isinstance(script, str | Completion) else script(question.messages)
        done = Completion(text=answer) if isinstance(answer, str) else answer
        text = cut(done.text, question.stop)
        usage = done.usage if done.usage.total_tokens else _word_usage(question.messages, text)
        return replace(done, text=text, usage=usage)

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the next completion word by word, then whole. Raises as `answer` does."""
        done = self.answer(question)
        for piece in re.findall(r"\s*\S+|\s+$", done.text):
            yield ModelDelta(piece)
        yield done

    def _next(self, request: Request) -> Script:
        with self._lock:
            self.requests.append(request)
            if self._always is not None:
                return self._always
            if not self._remaining:
                asked = len(self.requests)
                raise ModelExhausted(f"the script has {asked - 1} completions; this is request {asked}")
            return self._remaining.pop(0)


def _is_local(script: Script) -> bool:
    return callable(script) and "<" in getattr(script, "__qualname__", "")


def _word_usage(messages: Sequence[ChatMessage], text: str) -> TokenUsage:
    return TokenUsage(
        input_tokens=sum(len(m.content.split()) for m in messages), output_tokens=len(text.split())
    )
