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

__all__ = ["Metrics", "end_of"]


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
        self.registry = CollectorRegistry()
        self.sessions = Gauge("pinjra_sessions", "Open sessions", ["tenant"], registry=self.registry)
        self.expired = Counter(
            "pinjra_sessions_expired", "Sessions closed by their time", registry=self.registry
        )
        self.runs = Counter(
            "pinjra_runs", "Runs by how they ended", ["tenant", "end"], registry=self.registry
        )
        self.seconds = Histogram("pinjra_run_seconds", "Time of a run on the clock", registry=self.registry)
        self.cpu = Counter(
            "pinjra_run_cpu_seconds", "Processor time of runs", ["tenant"], registry=self.registry
        )
        self.verdicts = Counter(
            "pinjra_verdicts",
            "Snippets that were judged: of /run_code, and of fleets whose boxes are here",
            ["tenant", "end"],
            registry=self.registry,
        )
        self.tokens = Counter(
            "pinjra_model_tokens", "Tokens of models", ["tenant", "model", "kind"], registry=self.registry
        )
        self.agent_runs = Counter(
            "pinjra_agent_runs",
            "Runs of agents by how they ended",
            ["tenant", "state"],
            registry=self.registry,
        )
        load = Gauge("pinjra_load", "Load of the machine, last minute", registry=self.registry)
        load.set_function(lambda: os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0)
        memory = Gauge("pinjra_memory_bytes", "Resident memory of the service", registry=self.registry)
        memory.set_function(_memory_bytes)

    def count_tokens(self, tenant: str, model: str, read: int, written: int) -> None:
        """Count the tokens of one answer of a model."""
        self.tokens.labels(tenant, model, "read").inc(read)
        self.tokens.labels(tenant, model, "written").inc(written)

    def count_run(self, tenant: str, done: Execution) -> None:
        """Count one finished run."""
        self.runs.labels(tenant, end_of(done)).inc()
        self.seconds.observe(done.usage.wall_seconds)
        self.cpu.labels(tenant).inc(done.usage.cpu_seconds or 0.0)

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
