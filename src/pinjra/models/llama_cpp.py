"""LlamaCppModel: an open model in this process, on the CPU, with no account and no server of your own.

The runtime is llama.cpp through the prebuilt wheels of xllamacpp. Things to know for whoever edits:
its in-process server also opens an HTTP port on 127.0.0.1, so it gets a random key; with all cores at work and any other
load it slows down tenfold, so one core is left; a begun reply is part of an unstreamed answer but not of a streamed one,
so only streams are used.
"""

from __future__ import annotations

import os
import queue
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.core.optional import optional
from pinjra.models.adapted import AskedModel
from pinjra.models.base import Completion, ModelDelta, PromptStyle, Question, ToolOffer
from pinjra.models.catalog import DEFAULT_NAME, find
from pinjra.models.chat_form import Accumulator, request_form
from pinjra.models.errors import ProviderFailed, RequestRefused, WeightsUnavailable
from pinjra.models.text_calls import with_text_calls
from pinjra.models.weights import located


@dataclass(eq=False, repr=False)
class LlamaCppModel(AskedModel):
    """A model of the catalog, or any GGUF file, run by llama.cpp in this process.

    Loads at the first request (seconds). Requests of several threads wait for each other.

    Args:
        model_id: A name of the catalog (`pinjra models list`), or the path of a .gguf file with a chat template.
        context_tokens: Prompt and answer together; costs memory.
        max_tokens: Of one answer.
        threads: All cores but one unless given.
        temperature: 0 is greedy: the same answer each time.
        seed: Of sampling, for temperatures above 0; a fresh one each time unless given.
        gpu_layers: Layers put on a GPU, where the installed wheel can.

    Raises:
        MissingDependency: xllamacpp is not installed (the operator's fault).
        WeightsUnavailable: The weights are not here; the message says how to fetch them.
    """

    model_id: str = DEFAULT_NAME
    _: KW_ONLY
    context_tokens: int = 8192
    max_tokens: int = 1024
    threads: int | None = None
    temperature: float = 0.0
    seed: int | None = None
    gpu_layers: int = 0
    prompt_style: PromptStyle = "small"

    def __post_init__(self) -> None:
        self._sdk: Any = optional("xllamacpp", "pinjra[llama-cpp]")
        self._path = _weights_path(self.model_id)
        self._sampling = {"max_tokens": self.max_tokens, "temperature": self.temperature}
        if self.seed is not None:
            self._sampling["seed"] = self.seed
        self._server: Any = None
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LlamaCppModel({self.model_id!r})"

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data for `registry.from_dict`."""
        options = {**self._sampling, "context_tokens": self.context_tokens, "prompt_style": self.prompt_style}
        return {"kind": "llama-cpp", "model_id": self.model_id, "options": options}

    def load(self) -> None:
        """Load the weights now instead of at the first request. Idempotent."""
        with self._lock:
            if self._server is None:
                self._server = self._sdk.Server(self._parameters())

    def close(self) -> None:
        """Free the memory; the next request loads again."""
        with self._lock:
            self._server = None

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the answer's text as it comes, then the `Completion`. Raises as `Model.generate` does.

        Raises:
            RequestRefused: Images (this runtime is text only), or a prompt longer than the context.
        """
        if any(message.images for message in question.messages):
            raise RequestRefused(f"{self!r} reads text only; leave the images out or use a hosted model")
        form = request_form(question.messages, question.stop, question.tools, question.response_schema)
        body = {**self._sampling, **question.options, **form, "cache_prompt": True}
        if question.temperature is not None:
            body["temperature"] = question.temperature
        self.load()
        return self._answer(body, question.tools)

    def _answer(self, body: dict[str, Any], tools: Sequence[ToolOffer]) -> Iterator[ModelDelta | Completion]:
        collected = Accumulator()
        for chunk in self._chunks({**body, "stream": True, "stream_options": {"include_usage": True}}):
            if piece := collected.add(_as_object(chunk)):
                yield ModelDelta(piece)
        yield with_text_calls(collected.finish(), tools)

    def _chunks(self, body: dict[str, Any]) -> Iterator[Mapping[str, Any]]:
        """Yield the server's chunks as they come; closing the iterator stops the generation at the next token."""
        server, stopped = self._server, threading.Event()
        chunks: queue.SimpleQueue[Mapping[str, Any] | BaseException | None] = queue.SimpleQueue()

        def take(chunk: Mapping[str, Any]) -> bool:
            chunks.put(chunk)
            return stopped.is_set()  # true ends the request

        def ask() -> None:
            try:
                server.handle_chat_completions(body, take)
                chunks.put(None)
            except BaseException as error:  # handed to the thread that asked
                chunks.put(error)

        threading.Thread(target=ask, name="llama.cpp request", daemon=True).start()
        try:
            while (chunk := chunks.get()) is not None:
                if isinstance(chunk, BaseException):
                    raise RequestRefused(f"{self!r}: {chunk}") from chunk
                _raise_if_error(chunk, repr(self))
                yield chunk
        finally:
            stopped.set()

    def _parameters(self) -> Any:
        parameters = self._sdk.CommonParams()
        parameters.model.path = str(self._path)
        parameters.n_ctx = self.context_tokens
        parameters.n_parallel = 1
        parameters.n_gpu_layers = self.gpu_layers
        threads = self.threads or max(1, (os.cpu_count() or 1) - 1)
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = threads
        parameters.warmup = False  # the first request warms up as well
        parameters.verbosity = -1
        parameters.hostnames = ["127.0.0.1"]
        # SECURITY: the server cannot be kept from opening its HTTP port; nobody knows this key, so nobody is answered.
        parameters.api_keys = [secrets.token_urlsafe(32)]
        parameters.endpoint_slots = False
        parameters.endpoint_props = False
        parameters.ui = False
        return parameters


def _raise_if_error(chunk: Mapping[str, Any], who: str) -> None:
    error = chunk.get("error")
    if error is None:
        return
    message = f"{who}: {error.get('message', error)}"
    raise RequestRefused(message) if 400 <= int(error.get("code", 500)) < 500 else ProviderFailed(message)


def _as_object(value: Any) -> Any:
    """Return JSON data as objects with attributes, the form that SDKs give chunks."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{str(k): _as_object(v) for k, v in value.items()})
    return [_as_object(v) for v in value] if isinstance(value, list) else value


def _weights_path(model_id: str) -> Path:
    if model_id.endswith(".gguf"):
        path = Path(model_id).expanduser()
        if not path.is_file():
            raise ConfigurationError(f"there is no file {model_id!r}")
        return path
    weights = find(model_id)
    here = located(weights)
    if here is None:
        size = f"{weights.size_bytes / 1e9:.1f} GB"
        raise WeightsUnavailable(
            f"the weights of {model_id} are not here ({size}): pinjra models pull {model_id}"
        )
    return here
