"""TransformersModel: weights of the hub's own format, run by PyTorch in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.core.optional import optional
from pinjra.models.adapted import AskedModel
from pinjra.models.base import (
    ChatMessage,
    Completion,
    ModelDelta,
    PromptStyle,
    Question,
    TokenUsage,
    ToolOffer,
)
from pinjra.models.chat_form import message_form, tool_form
from pinjra.models.errors import ProviderFailed, RequestRefused
from pinjra.models.stops import StopCutter
from pinjra.models.text_calls import with_text_calls


class TransformersModel(AskedModel):
    """A causal language model with a chat template, through `transformers`.

    Requests of several threads wait for each other. JSON schemas are not enforced by this backend; tool calls are read
    from the text.

    Args:
        model_id: On the hub or a folder; only a name when `model` and `tokenizer` are given.
        device_map: Where the weights go ("auto", "cpu", "cuda"); needs `accelerate` for "auto".
        torch_dtype: As `from_pretrained` takes it.
        trust_remote_code: Run Python that the model's repository brings along, on the host. Leave it off.
        max_new_tokens: Of one answer (`max_tokens` means the same).
        temperature: 0 is greedy.
        model, tokenizer: Already loaded ones.
        device: Means `device_map`.
        model_kwargs: Further arguments of `from_pretrained` for the weights.
        apply_chat_template_kwargs: Further arguments of the tokenizer's `apply_chat_template` (`enable_thinking`, …).
        generation: Of `generate`, as `GenerationConfig` has them: `do_sample`, `top_p`, `top_k`, …

    Raises:
        ConfigurationError: A parameter that nobody knows (the caller's fault).
        MissingDependency: torch or transformers is not installed (the operator's fault).
    """

    def __init__(
        self,
        model_id: str,
        *,
        device_map: str | None = None,
        torch_dtype: str = "auto",
        trust_remote_code: bool = False,
        max_new_tokens: int = 4096,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        prompt_style: PromptStyle = "full",
        model: Any = None,
        tokenizer: Any = None,
        device: str | None = None,
        model_kwargs: Mapping[str, Any] | None = None,
        apply_chat_template_kwargs: Mapping[str, Any] | None = None,
        **generation: Any,
    ) -> None:
        super().__init__(bool(generation.pop("flatten_messages_as_text", True)), model_id)
        self.model_id = model_id
        self.prompt_style: PromptStyle = prompt_style
        optional("torch", "pinjra[transformers]")  # transformers is imported without it, and fails later
        self._sdk: Any = optional("transformers", "pinjra[transformers]")
        for name in generation:
            if not hasattr(self._sdk.GenerationConfig(), name):
                raise ConfigurationError(
                    f"TransformersModel has no parameter {name!r}, nor has GenerationConfig"
                )
        self._generation = generation
        self._template_options = dict(apply_chat_template_kwargs or {})
        self._max_new_tokens = max_tokens or max_new_tokens
        self._temperature = temperature
        loading = {"trust_remote_code": trust_remote_code}
        self._tokenizer = tokenizer or self._sdk.AutoTokenizer.from_pretrained(model_id, **loading)
        self._model = model or self._sdk.AutoModelForCausalLM.from_pretrained(
            model_id,
            **{
                "device_map": device_map or device,
                "torch_dtype": torch_dtype,
                **loading,
                **(model_kwargs or {}),
            },
        )
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"TransformersModel({self.model_id!r})"

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data for `registry.from_dict`."""
        options = {"max_new_tokens": self._max_new_tokens, "temperature": self._temperature}
        return {"kind": "transformers", "model_id": self.model_id, "options": options}

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the answer's text as it comes, then the `Completion`. Raises as `Model.generate` does.

        Raises:
            RequestRefused: Images, or a prompt longer than the model's context.
        """
        if any(message.images for message in question.messages):
            raise RequestRefused(f"{self!r} reads text only; leave the images out")
        inputs = self._inputs(question.messages, question.tools)
        degree = self._temperature if question.temperature is None else question.temperature
        return self._answer(inputs, StopCutter(question.stop), degree, question.tools)

    def _inputs(self, messages: Sequence[ChatMessage], tools: Sequence[ToolOffer]) -> Any:
        """Return the prompt's tokens, by the model's own chat template.

        Raises:
            RequestRefused: The template refuses these messages.
        """
        from jinja2 import TemplateError

        begun = bool(messages) and messages[-1].role == "assistant"
        try:
            return self._tokenizer.apply_chat_template(
                [message_form(m) for m in messages],
                tools=[tool_form(t) for t in tools] or None,
                add_generation_prompt=not begun,
                continue_final_message=begun,
                return_tensors="pt",
                return_dict=True,
                **self._template_options,
            ).to(self._model.device)
        except (ValueError, TypeError, TemplateError) as error:
            raise RequestRefused(f"{self!r}: the chat template refuses the messages: {error}") from error

    def _answer(
        self, inputs: Any, cutter: StopCutter, temperature: float, tools: Sequence[ToolOffer]
    ) -> Iterator[ModelDelta | Completion]:
        run = _Generation(self._sdk, self._model, self._tokenizer, self._lock)
        sampling: dict[str, Any] = {
            "do_sample": temperature > 0,
            "max_new_tokens": self._max_new_tokens,
            **self._generation,
        }
        if temperature > 0:
            sampling["temperature"] = temperature
        for piece in run.pieces({**inputs, **sampling}):
            if shown := cutter.feed(piece):
                yield ModelDelta(shown)
            if cutter.is_stopped:
                run.stop()
        if held := cutter.end():
            yield ModelDelta(held)
        read = int(inputs["input_ids"].shape[-1])
        cut = run.written >= self._max_new_tokens and not cutter.is_stopped
        usage = TokenUsage(input_tokens=read, output_tokens=run.written)
        done = Completion(text=cutter.text, usage=usage, finish_reason="length" if cut else "stop")
        yield with_text_calls(done, tools)


class _Generation:
    """One `generate` on a thread of its own, as an iterator of pieces of text."""

    def __init__(self, sdk: Any, model: Any, tokenizer: Any, lock: threading.Lock) -> None:
        self._sdk, self._model, self._tokenizer, self._lock = sdk, model, tokenizer, lock
        self._stopped = threading.Event()
        self._failure: Exception | None = None
        self.written = 0

    def stop(self) -> None:
        """End the generation at the next token."""
        self._stopped.set()

    def pieces(self, arguments: dict[str, Any]) -> Iterator[str]:
        """Yield the text as it is produced; closing the iterator stops the generation.

        Raises:
            ProviderFailed: What `generate` raised, with its message.
        """
        streamer = self._sdk.TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        thread = threading.Thread(
            target=self._run, args=(arguments, streamer), name="transformers", daemon=True
        )
        thread.start()
        try:
            yield from streamer
        finally:
            self.stop()
            thread.join()
        if self._failure is not None:
            raise ProviderFailed(f"transformers: {self._failure}") from self._failure

    def _run(self, arguments: dict[str, Any], streamer: Any) -> None:
        try:
            with self._lock:
                out = self._model.generate(
                    **arguments, streamer=streamer, stopping_criteria=[self._criterion()]
                )
            self.written = int(out.shape[-1]) - int(arguments["input_ids"].shape[-1])
        except Exception as error:  # told to the thread that asked
            self._failure = error
            streamer.end()

    def _criterion(self) -> Callable[..., Any]:
        import torch

        def is_done(input_ids: Any, scores: Any, **_: Any) -> Any:
            return torch.full((input_ids.shape[0],), self._stopped.is_set(), device=input_ids.device)

        return is_done
