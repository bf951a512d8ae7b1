"""Spans and metrics -> OpenTelemetry, by the GenAI conventions. `enable()` once; see docs/traces.md."""

from __future__ import annotations

import os

from pinjra.core.spans import set_tracer
from pinjra.traces.setup import set_up
from pinjra.traces.tracer import OpenTelemetryTracer

__all__ = ["disable", "enable"]

_CONTENTS = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"  # as other GenAI instrumentations have it


def enable(contents: bool | None = None) -> None:
    """Trace everything that this process does from now on, by the tracer and meter providers that the program has set up.

    Without any, they are set up as the SDK's environment variables say: OTEL_TRACES_EXPORTER and OTEL_METRICS_EXPORTER ("otlp" by
    default), OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_SDK_DISABLED, … TRACEPARENT puts all below a span of
    another process.

    Args:
        contents: Also what models, tools and code are given and give, redacted; None: as
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says, no by default.

    Raises:
        MissingDependency: `pip install 'pinjra[otel]'` (the operator's fault).
    """
    set_up()
    wanted = os.environ.get(_CONTENTS, "").lower() in ("1", "true", "span_only", "span_and_event")
    set_tracer(OpenTelemetryTracer(contents=wanted if contents is None else contents))


def disable() -> None:
    """Trace nothing any more. What was traced is still sent."""
    set_tracer(None)
