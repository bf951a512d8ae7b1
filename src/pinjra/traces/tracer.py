"""Tracer of `core.spans` over OpenTelemetry's API: spans, metrics of tokens and durations; contents only if wanted."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from opentelemetry import metrics, propagate, trace
from opentelemetry.trace import SpanKind, StatusCode

from pinjra.core.json_data import encodable, plain
from pinjra.core.redaction import shortened
from pinjra.core.spans import Operation, Span
from pinjra.traces.names import DURATIONS, SECONDS_BUCKETS, TOKEN_BUCKETS, attribute, provider

__all__ = ["OpenTelemetryTracer"]

_TEXT_CHARS = 100_000  # of one attribute
_KINDS = {"chat": SpanKind.CLIENT, "serve_request": SpanKind.SERVER}
_OF_METRICS = ("gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model", "error.type")
_OF_METRICS_TOO = {
    "invoke_agent": ("gen_ai.agent.name",),
    "execute_tool": ("gen_ai.tool.name",),
    "run_code": ("pinjra.executor", "pinjra.cause"),
}


class OpenTelemetryTracer:
    """Spans and metrics of the global providers.

    Args:
        contents: Whether they hold contents.
    """

    def __init__(self, *, contents: bool) -> None:
        self._contents = contents
        self._tracer = trace.get_tracer("pinjra")
        meter = metrics.get_meter("pinjra")
        self._durations = {
            operation: meter.create_histogram(
                name, unit="s", description=words, explicit_bucket_boundaries_advisory=SECONDS_BUCKETS
            )
            for operation, (name, words) in DURATIONS.items()
        }
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens of a request to a model.",
            explicit_bucket_boundaries_advisory=TOKEN_BUCKETS,
        )

    @contextmanager
    def span(
        self, operation: Operation, subject: str, facts: Mapping[str, object], above: Mapping[str, str] | None
    ) -> Iterator[Span]:
        """Return a span for a block of code; see `Tracer`."""
        parent = None if above is None else propagate.extract(above)
        name = f"{operation} {subject}" if subject else operation
        if operation == "serve_request":
            name = subject
        began = time.monotonic()
        with self._tracer.start_as_current_span(
            name,
            context=parent,
            kind=_KINDS.get(operation, SpanKind.INTERNAL),
            record_exception=False,  # its message may hold contents; `fail` tells it
            set_status_on_exception=False,
        ) as inner:
            made = _OpenSpan(inner, contents=self._contents)
            if operation not in ("run_code", "serve_request"):
                made.note_as("gen_ai.operation.name", operation)
            made.note(**facts)
            try:
                yield made
            except BaseException as error:
                made.fail(type(error).__name__, str(error))
                raise
            finally:
                self._measure(operation, made.attributes, time.monotonic() - began)

    def _measure(self, operation: Operation, attributes: Mapping[str, Any], seconds: float) -> None:
        names = (*_OF_METRICS, *_OF_METRICS_TOO.get(operation, ()))
        own = {name: attributes[name] for name in names if name in attributes}
        if operation in self._durations:
            self._durations[operation].record(seconds, own)
        if operation == "chat":
            for kind in ("input", "output"):
                tokens = attributes.get(f"gen_ai.usage.{kind}_tokens")
                if tokens:
                    self._tokens.record(tokens, {**own, "gen_ai.token.type": kind})

    def headers(self) -> Mapping[str, str]:
        """Return headers for a request to another process."""
        carrier: dict[str, str] = {}
        propagate.inject(carrier)
        return carrier


class _OpenSpan:
    """A span that has not ended."""

    def __init__(self, inner: trace.Span, *, contents: bool) -> None:
        self._inner = inner
        self._contents = contents
        self.attributes: dict[str, Any] = {}

    def note_as(self, name: str, value: object) -> None:
        """Add an attribute by its own name."""
        if value is None or value == () or value == "":
            return
        if isinstance(value, (list, tuple)):
            value = [shortened(encodable(str(item)), _TEXT_CHARS) for item in value]
        elif not isinstance(value, (bool, int, float)):
            value = shortened(encodable(str(value)), _TEXT_CHARS)
        self.attributes[name] = value
        self._inner.set_attribute(name, value)

    def note(self, **facts: object) -> None:
        """Add facts; see `Span`."""
        for name, value in facts.items():
            if name == "model_class":
                self.note_as("gen_ai.provider.name", provider(str(value)))
            else:
                self.note_as(attribute(name), value)

    def tell(self, name: str, contents: Callable[[], object]) -> None:
        """Add contents; see `Span`."""
        if self._contents and self._inner.is_recording():
            self.note_as(attribute(name), _text(contents()))

    def fail(self, kind: str, message: str) -> None:
        """Say that it failed; see `Span`."""
        self.note_as("error.type", kind)
        told = shortened(encodable(message), 1000) if self._contents else kind
        self._inner.set_status(StatusCode.ERROR, told)


def _text(contents: object) -> str:
    """Return contents as an attribute holds them: JSON, each text in it masked."""
    return contents if isinstance(contents, str) else json.dumps(plain(contents), ensure_ascii=False)
