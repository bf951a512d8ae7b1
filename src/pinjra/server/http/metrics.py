"""What the service counts, in the form that Prometheus reads."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from pinjra.core.execution import Execution


def end_of(done: Execution) -> str:
    """Return in a word how a run ended."""
    error = done.error
    return "ok" if error is None else (error.cause.value if error.cause else error.kind.value)


def _memory_bytes() -> float:
    try:
        # Not getrusage(2): its figure is handed down by whoever started this process.
        return float(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:  # not Linux
        return 0.0


class Metrics(Collector):
    """Counters of one service, in a registry of its own."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()

        def counter(name: str, words: str, *labels: str) -> Counter:
            return Counter(f"pinjra_{name}", words, labels, registry=registry)

        self.sessions = Gauge("pinjra_sessions", "Open sessions", ["tenant"], registry=registry)
        self.expired = counter("sessions_expired", "Sessions closed by their time")
        self.runs = counter("runs", "Runs by how they ended", "tenant", "end")
        self.seconds = Histogram("pinjra_run_seconds", "Time of a run on the clock", registry=registry)
        self.cpu = counter("run_cpu_seconds", "Processor time of runs", "tenant")
        judged = "Snippets that were judged: of /run_code, and of fleets whose boxes are here"
        self.verdicts = counter("verdicts", judged, "tenant", "end")
        self.tokens = counter("model_tokens", "Tokens of models", "tenant", "model", "kind")
        self.agent_runs = counter("agent_runs", "Runs of agents by how they ended", "tenant", "state")
        load = Gauge("pinjra_load", "Load of the machine, last minute", registry=registry)
        load.set_function(lambda: os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)
        memory = Gauge("pinjra_memory_bytes", "Resident memory of the service", registry=registry)
        memory.set_function(_memory_bytes)

    def count_tokens(self, tenant: str, model: str, read: int, written: int) -> None:
        """Count the tokens of one answer of a model."""
        self.tokens.labels(tenant, model, "read").inc(read)
        self.tokens.labels(tenant, model, "written").inc(written)

    def text(self, tenant: str | None) -> bytes:
        """Return the page that Prometheus reads.

        Args:
            tenant: Whose rows it has; None: those of all, "": sums only.
        """
        page = CollectorRegistry()
        page.register(self if tenant is None else _Rows(self, tenant))
        return generate_latest(page)

    def collect(self) -> Iterable[Metric]:
        """Yield what is counted."""
        return self.registry.collect()


@dataclass(frozen=True, slots=True)
class _Rows(Collector):
    """What one tenant may see of the metrics; "": what anybody may."""

    metrics: Metrics
    tenant: str

    def collect(self) -> Iterable[Metric]:
        """Yield what is counted, without the rows of others."""
        for family in self.metrics.collect():
            sums: dict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)
            own = []
            for sample in family.samples:
                others = tuple((name, value) for name, value in sample.labels.items() if name != "tenant")
                if sample.labels.get("tenant", self.tenant) == self.tenant:
                    own.append(sample)
                elif not self.tenant and not sample.name.endswith("_created"):
                    sums[sample.name, others] += sample.value
            summed = [Sample(name, dict(labels), value) for (name, labels), value in sums.items()]
            family.samples = own + summed
            yield family
