"""Environment variables of OpenTelemetry's SDK -> its providers, where the program has set up none."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from typing import Any

from pinjra.core.errors import ConfigurationError, MissingDependency

try:
    from opentelemetry import context, metrics, propagate, trace
except ImportError as error:
    raise MissingDependency("opentelemetry", "pip install 'pinjra[otel]'") from error

__all__ = ["set_up"]

_PROTOCOLS = {"http/protobuf": "otlp_proto_http", "http/json": "otlp_proto_http", "grpc": "otlp_proto_grpc"}


def set_up() -> None:
    """Set the SDK up once, unless the program or `opentelemetry-instrument` has done so."""
    if not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        return
    try:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingDependency("opentelemetry-sdk", "pip install 'pinjra[otel]'") from error
    named = "OTEL_SERVICE_NAME" in os.environ or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    resource = Resource.create({} if named else {"service.name": "pinjra"})
    spans = TracerProvider(resource=resource)
    for exporter in _exporters("traces"):
        spans.add_span_processor(BatchSpanProcessor(exporter()))
    trace.set_tracer_provider(spans)
    readers: list[Any] = []
    for exporter in _exporters("metrics"):
        made = exporter()
        readers.append(made if isinstance(made, MetricReader) else PeriodicExportingMetricReader(made))
    metrics.set_meter_provider(MeterProvider(metric_readers=readers, resource=resource))
    above = {
        name: os.environ[name.upper()]
        for name in propagate.get_global_textmap().fields
        if name.upper() in os.environ
    }
    if above:
        context.attach(propagate.extract(above))  # all that this thread does is below another process's span


def _exporters(signal: str) -> list[Any]:
    """Return the classes of the exporters that OTEL_TRACES_EXPORTER or OTEL_METRICS_EXPORTER names; that of OTLP by default."""
    variable = f"OTEL_{signal.upper()}_EXPORTER"
    names = [name.strip() for name in os.environ.get(variable, "otlp").split(",") if name.strip()]
    return [_exporter(signal, variable, name) for name in names if name != "none"]


def _exporter(signal: str, variable: str, name: str) -> Any:
    if name == "otlp":
        general = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        said = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL", general)
        name = _PROTOCOLS.get(said.strip(), said)
    found = list(entry_points(group=f"opentelemetry_{signal}_exporter", name=name))
    if not found:
        known = sorted(entry_points(group=f"opentelemetry_{signal}_exporter").names)
        raise ConfigurationError(
            f"{variable} names {name!r}, which is not installed; there are: otlp, none, {', '.join(known)}"
        )
    return found[0].load()
