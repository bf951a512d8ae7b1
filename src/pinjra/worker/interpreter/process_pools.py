"""Pools of processes (the standard library's, joblib's loky) and of C libraries' threads, in a box without programs and /proc.

Both start a Python of its own beside their workers that removes named memory and semaphores behind them. It has no work in a box,
whose memory ends with it. Workers of loky, and those that are spawned, are Pythons of their own, too: here they are forks that go
on as a new Python would.

What does not work: joblib's `backend="multiprocessing"` in its place (no lambdas, no generators of results), and workers that
outlive a run (the supervisor ends what a run leaves behind, and a pool of dead workers fails the next run).
"""

from __future__ import annotations

import atexit
import gc
import glob
import os
import runpy
import signal
import socket
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import ModuleType

from pinjra.worker.interpreter.imports import Adapt, adapt_modules

_BUNDLED = "joblib.externals."
_SHARED = "/dev/shm"  # noqa: S108  (in a jail the scratch folder)
_THREADS = ("QueueFeederThread", "ExecutorManagerThread", "QueueManagerThread")
_END_SECONDS = 1.0


def adapt() -> None:
    """Let these modules do without programs and /proc."""
    adapted = {f"{prefix}{name}": adapt for prefix in ("", _BUNDLED) for name, adapt in _ADAPTED.items()}
    adapt_modules({**adapted, "joblib._multiprocessing_helpers": _looking_for_locks_here})


def end_pools() -> None:
    """End the workers that loky keeps for the next use, and remove what they shared; without one, do nothing."""
    for prefix in ("", _BUNDLED):
        module = sys.modules.get(f"{prefix}loky.reusable_executor")
        pool = getattr(module, "_executor", None)
        if module is None or pool is None:
            continue
        with suppress(Exception):  # whatever it is, the supervisor ends them
            getattr(pool, "terminate", pool.shutdown)(kill_workers=True)  # joblib's removes its files, too
        module._executor = None  # type: ignore[attr-defined]
        _wait_for_threads()
        for name in glob.glob(f"{_SHARED}/sem.loky-{os.getpid()}-*"):
            with suppress(OSError):
                os.unlink(name)


def _wait_for_threads() -> None:
    """Wait for the threads of pools that are over: as long as there are threads, no checkpoint is made."""
    for thread in threading.enumerate():
        if thread.name.startswith(_THREADS):
            thread.join(_END_SECONDS)


# ---------------------------------------------------------------- one function a module


def _without_tracker(module: ModuleType) -> None:
    tracker = module._resource_tracker

    def ensure_running() -> None:
        if getattr(tracker, "_fd", None) is None:
            tracker._fd = os.open(os.devnull, os.O_WRONLY)  # workers are handed it

    for name, instead in (("ensure_running", ensure_running), *((name, _nothing) for name in _TRACKING)):
        for owner in (tracker, module):
            if hasattr(owner, name):
                setattr(owner, name, instead)


def _counting_processors(module: ModuleType) -> None:
    of_group = module._cpu_count_cgroup

    def count(processors: int) -> int:
        try:
            return int(of_group(processors))
        except OSError:  # the host's control groups are there and cannot be read
            return processors

    vars(module).update(_cpu_count_cgroup=count)


def _looking_for_locks_here(module: ModuleType) -> None:
    """joblib looks when it is imported, which may have been before there was a box around it."""
    library = module.mp
    try:
        if library is not None:
            library.Semaphore()
    except OSError:
        for name, each in list(sys.modules.items()):
            if name.startswith("joblib.") and getattr(each, "mp", None) is library:
                vars(each)["mp"] = None


def _listening_by_internet(module: ModuleType) -> None:
    """Where a box has a loopback of its own (`network=[…]`) managers listen there: sockets with a path are nobody's."""
    try:
        socket.socket(socket.AF_UNIX).close()
    except PermissionError:
        vars(module)["default_family"] = "AF_INET"


def _without_server(module: ModuleType) -> None:
    """What a server would fork (the default from Python 3.14 on) is spawned: servers listen on a socket with a path."""
    contexts = module._concrete_contexts
    if module._default_context._default_context is contexts.get("forkserver"):
        module._default_context._default_context = contexts["spawn"]
    contexts["forkserver"] = contexts["spawn"]


def _listing_libraries(module: ModuleType) -> None:
    """threadpoolctl reads the loaded libraries in /proc, or has the loader call a function, whose code no box may make."""
    from pinjra.worker.interpreter.loaded_libraries import find  # here: not every Python has ctypes

    for name in ("_find_libraries_with_linux", "_find_libraries_with_dl_iterate_phdr"):
        setattr(module.ThreadpoolController, name, find)


_TRACKING = ("register", "unregister", "maybe_unlink")
_ADAPTED: Mapping[str, Adapt] = {
    "threadpoolctl": _listing_libraries,
    "multiprocessing.resource_tracker": _without_tracker,
    "multiprocessing.util": lambda module: vars(module).update(
        spawnv_passfds=lambda _path, words, fds: _fork_python(list(map(os.fsdecode, words)), fds)
    ),
    "multiprocessing.context": _without_server,
    "multiprocessing.connection": _listening_by_internet,
    "loky.backend.resource_tracker": _without_tracker,
    "loky.backend.fork_exec": lambda module: vars(module).update(fork_exec=_fork_python),
    "loky.backend.context": _counting_processors,
    "loky.process_executor": lambda module: vars(module).update(_USE_PSUTIL=False),
    # a thread that only looks whether bars are drawn often enough: with it no later step could be rolled back
    "tqdm.std": lambda module: setattr(module.tqdm, "monitor_interval", 0),
}


def _nothing(*_: object) -> None:
    """Do nothing, and be no reason to start a process."""


# ---------------------------------------------------------------- a fork that goes on as a new Python would


def _fork_python(
    command: Sequence[str], keep_fds: Iterable[int], env: Mapping[str, str] | None = None
) -> int:
    """Return the process id of a fork that runs `python -m MODULE …` or `python -c CODE …`."""
    pid = os.fork()
    if pid:
        return pid
    from pinjra.jail.walls.libc import close_all_but  # here: not every worker has the modules of a jail

    status = 1
    try:
        os.environ.update(env or {})
        gc.freeze()  # what the parent has is not collected here: it would close descriptors that are others' by then
        close_all_but({0, 1, 2, *map(int, keep_fds)})
        atexit._clear()
        if (util := sys.modules.get("multiprocessing.util")) is not None:
            atexit.register(util._exit_function)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        status = _run(command)
        atexit._run_exitfuncs()  # from 3.13 on queues send only here what they hold
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _run(command: Sequence[str]) -> int:
    at = next(number for number, word in enumerate(command) if word in ("-m", "-c"))
    sys.argv = list(command[at + 1 :]) if command[at] == "-m" else ["-c", *command[at + 2 :]]
    try:
        if command[at] == "-m":
            sys.modules.pop(command[at + 1], None)  # it is imported already, by who starts it
            runpy.run_module(command[at + 1], run_name="__main__", alter_sys=True)
        else:
            exec(command[at + 1], {"__name__": "__main__"})  # noqa: S102  (the library's own line)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0
