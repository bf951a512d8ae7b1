"""Adapters for the attack and conformance harnesses: make(imports, tools, limits) -> run(code) -> (output, logs), close()."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pinjra.core.errors import InterpreterError
from pinjra.core.limits import Limits
from pinjra.executors.base import PythonExecutor


def limits_of(given: dict[str, Any]) -> Limits:
    """Return our limits for the harness's ("wall_s", "memory_mb", …; "seconds" in the conformance harness)."""
    # The attack harness limits wall time, the conformance harness processor time (on a machine that others use too).
    wall, cpu = (
        (given["wall_s"], given["wall_s"] * 2) if "wall_s" in given else (30, given.get("seconds", 10))
    )
    return Limits(
        wall_seconds=wall,
        cpu_seconds=cpu,
        memory_bytes=given.get("memory_mb", 1024) << 20,
        output_bytes=given.get("output_bytes", 16 << 20) - 4096,
        value_bytes=given.get("answer_bytes", 64 << 20) - 4096,
        disk_bytes=given.get("disk_mb", 64) << 20,
        processes=given.get("max_processes", 32),
        operations=2_000_000_000,
    )


class Adapter:
    """One executor behind the harnesses' protocol."""

    def __init__(
        self, executor: PythonExecutor, tools: dict[str, Callable[..., Any]], *, raises: bool
    ) -> None:
        self.executor = executor
        self.raises = raises
        executor.send_tools(tools)

    def run(self, code: str) -> tuple[Any, str]:
        """Return the value and the logs; guest errors stand in the logs, or are raised with `guest_logs`."""
        done = self.executor.run(code)
        if done.error is None:
            return done.value, done.logs
        if self.raises:
            error = InterpreterError(str(done.error), done.error, done)
            error.guest_logs = done.logs  # type: ignore[attr-defined]
            raise error
        return None, f"{done.logs}\n{done.error}"

    def close(self) -> None:
        """End the session."""
        self.executor.close()


def _make(executor_class: str, *, raises: bool, **options: Any) -> Callable[..., Adapter]:
    def make(imports: list[str], tools: dict[str, Callable[..., Any]], limits: dict[str, Any]) -> Adapter:
        from pinjra.executors.registry import executor_class as find

        executor = find(executor_class)(list(imports), limits=limits_of(limits), **options)  # type: ignore[call-arg]
        return Adapter(executor, tools, raises=raises)

    return make


# For the attack harness: an error is text.
make_local = _make("local", raises=False)
make_jail = _make("jail", raises=False)
make_jail_unguarded = _make("jail", raises=False, guard=False)
make_jail_programs = _make("jail", raises=False, guard=False, programs="*")
make_jail_host = _make("jail", raises=False, guard=False, network=["api.github.com"])
make_docker = _make("docker", raises=False)

# For the conformance and speed harness: an error is raised.
bench_local = _make("local", raises=True)
bench_jail = _make("jail", raises=True)
