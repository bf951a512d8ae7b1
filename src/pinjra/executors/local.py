"""Guest code -> a run in this very process, behind the language guard. Not a security boundary: see SECURITY.md.

What crosses is copied by the wire's codec, as in every other executor: no live object of one side is in the other's hands.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from pinjra.core.calls import HostFunction, describe
from pinjra.core.errors import ConfigurationError, ExecutorClosed
from pinjra.core.execution import Artifact, Cause, ErrorKind, Execution, GuestError, Stream, Usage
from pinjra.core.limits import Limits
from pinjra.executors.alarm import Alarm
from pinjra.executors.base import PythonExecutor, check_file_name
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.local_tools import LocalBridge
from pinjra.executors.session.safe_text import printable
from pinjra.executors.watchdog import WATCHDOG, Watch, listen_on_main_thread, unlisten
from pinjra.guard.errors import GuestStop
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter, Outcome
from pinjra.guard.policy import Policy
from pinjra.wire.values.codec import EncodeError, ValueLimits, decode, encode

__all__ = ["LocalPythonExecutor"]


class LocalPythonExecutor(PythonExecutor):
    """Runs guarded code in this process: no start-up cost, no boundary.

    Args:
        additional_authorized_imports: Module names besides the default list (`pkg`, `pkg.sub`, `pkg.*`, `*`).
        additional_functions: Host functions to grant at once, as by `send_tools`.
        protected: Names that guest code may not bind at module level.
    """

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        additional_functions: Mapping[str, Callable[..., object]] | None = None,
        protected: Iterable[str] = (),
    ) -> None:
        self.limits = limits
        self._lock = threading.RLock()
        self._closed = False
        self._watch: Watch | None = None
        self._scratch: Path | None = None
        self._functions: dict[str, HostFunction] = {}
        self._output = _Output(self, None)
        self.authorized_imports = (*DEFAULT_AUTHORIZED, *additional_authorized_imports)
        policy = Policy(authorized_imports=self.authorized_imports, protected=frozenset(protected))
        self._interpreter = Interpreter(policy, limits=limits, write=lambda s, t: self._output.write(s, t))
        self._bridge = LocalBridge(self)
        if additional_functions:
            self.send_tools(additional_functions)

    # ------------------------------------------------------------ runs

    def run(self, code: str, *, wall_seconds: float | None = None) -> Execution:
        """Return what came of running `code` in this process; see `PythonExecutor.run`."""
        with self._lock:
            self._check_open()
            self._output = _Output(self, self.limits.output_bytes)
            wall = self.limits.wall_seconds if wall_seconds is None else wall_seconds
            started = time.perf_counter()
            self._bridge.begin_run()
            outcome, watch = self._run_watched(code, wall)
            return self._execution(outcome, watch, time.perf_counter() - started)

    def _run_watched(self, code: str, wall_seconds: float | None) -> tuple[Outcome, Watch]:
        watch = self._watch = Watch(self.limits, wall_seconds, self._interpreter.stop)
        WATCHDOG.add(watch)
        watch.lower_ceiling()
        listening = listen_on_main_thread(self._raise_if_stopped)
        alarm = Alarm(self._look)
        if listening:
            alarm.arm(watch.wall_left())
        outcome: Outcome | None = None
        try:
            outcome = self._interpreter.run(code, self._cross)
        except GuestStop:  # a stop that came when the run was over already
            pass
        finally:
            _uninterrupted(alarm.disarm)
            _uninterrupted(lambda: WATCHDOG.remove(watch))
            self._watch = None
            if listening:
                unlisten()
        if outcome is None:
            cause = watch.cause or Cause.HOST
            error = GuestError(
                kind=ErrorKind.LIMIT, type="GuestStop", message=f"stopped: {cause.value}", cause=cause
            )
            outcome = Outcome(value=None, error=error, is_final=False, operations=0, notes=())
        return outcome, watch

    def _raise_if_stopped(self) -> None:
        watch = self._watch
        if watch is not None and watch.cause is not None and not watch.is_inline:
            raise GuestStop(watch.cause)

    def _look(self) -> float:
        """End the run if its wall limit is reached; else return the seconds that are left."""
        watch = self._watch
        if watch is None:
            return 1.0
        if watch.find_cause(time.monotonic(), None) is Cause.WALL:
            watch.cause = Cause.WALL
            watch.stop(Cause.WALL)
        self._raise_if_stopped()
        return watch.wall_left() or 0.0

    def _execution(self, outcome: Outcome, watch: Watch, wall_seconds: float) -> Execution:
        error, value = outcome.error, outcome.value
        if error is None and isinstance(value, _TooLarge):
            why, value = value.why, None
            error = GuestError(
                kind=ErrorKind.LIMIT, type="ValueTooLarge", message=why, cause=Cause.VALUE,
                hint="print or return a summary instead",
            )  # fmt: skip
        if error is not None:
            error = _printable_error(error)
        usage = Usage(
            wall_seconds=wall_seconds,
            tool_seconds=watch.tool_seconds,
            operations=outcome.operations,
            output_bytes=self._output.size,
            tool_calls=self._bridge.calls,
        )
        return Execution(
            value=value,
            stdout=self._output.text("stdout"),
            stderr=self._output.text("stderr"),
            error=error,
            artifacts=_artifacts(value),
            usage=usage,
            is_final_answer=outcome.is_final and error is None,
            notes=outcome.notes,
        )

    def _cross(self, value: object) -> object:
        """Return a copy of a guest's value that is safe in the host's hands; called while the run is open."""
        try:
            return self._bridge.to_host(value)
        except EncodeError as error:
            return _TooLarge(str(error))

    # ------------------------------------------------------------ tools, variables, files

    def send_tools(self, tools: Mapping[str, Callable[..., object]]) -> None:
        """Grant host functions by name; see `PythonExecutor.send_tools`."""
        with self._lock:
            self._check_open()
            described = {name: describe(name, function) for name, function in tools.items()}
            self._functions.update(described)
            self._bind(described)

    def _bind(self, functions: Mapping[str, HostFunction]) -> None:
        for name, function in functions.items():
            self._interpreter.bind(name, self._bridge.stub(function))

    def send_variables(self, variables: Mapping[str, object]) -> None:
        """Set guest variables to copies; see `PythonExecutor.send_variables`."""
        with self._lock:
            self._check_open()
            for name, value in variables.items():
                if not name.isidentifier():
                    raise ConfigurationError(f"a variable's name must be an identifier, not {name!r}")
                try:
                    tree, blobs = encode(value, ValueLimits(value_bytes=None))
                except EncodeError as error:
                    raise ConfigurationError(f"variable {name!r}: {error}") from error
                self._interpreter.set_variable(name, decode(tree, blobs))

    def put_file(self, name: str, data: bytes) -> None:
        """Write a scratch file. The guest cannot read it here (`guarantees.files`): `open` is refused in this process."""
        path = self._folder() / check_file_name(name)
        used = sum(self.list_files().values())
        if self.limits.disk_bytes is not None and used + len(data) > self.limits.disk_bytes:
            raise ConfigurationError(
                f"{name!r}: {len(data)} bytes more than the quota of {self.limits.disk_bytes} bytes"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def get_file(self, name: str) -> bytes:
        """Return a scratch file's bytes."""
        path = self._folder() / check_file_name(name)
        if path.is_symlink() or not path.is_file():
            raise FileNotFoundError(name)
        return path.read_bytes()

    def list_files(self) -> dict[str, int]:
        """Return name → bytes."""
        folder = self._folder()
        files = sorted(p for p in folder.rglob("*") if p.is_file() and not p.is_symlink())
        return {str(p.relative_to(folder)): p.stat().st_size for p in files}

    def _folder(self) -> Path:
        self._check_open()
        if self._scratch is None:
            self._scratch = Path(tempfile.mkdtemp(prefix="pinjra-"))
        return self._scratch

    # ------------------------------------------------------------ control

    def interrupt(self) -> None:
        """Stop the run in progress; a host tool in progress ends first."""
        watch = self._watch
        if watch is not None and watch.cause is None:
            watch.cause = Cause.INTERRUPT
            if watch.find_cause(time.monotonic(), None) is not None:
                WATCHDOG.stop_now(watch)

    def reset(self) -> None:
        """Forget variables and files, keep the tools."""
        with self._lock:
            self._check_open()
            self._interpreter.clear()
            self._bind(self._functions)
            self._remove_scratch()

    def close(self) -> None:
        """End the session."""
        if not self._closed:
            self.interrupt()
            with self._lock:
                self._closed = True
                self._interpreter.clear()
                self._bridge.close()
                self._remove_scratch()

    def _remove_scratch(self) -> None:
        if self._scratch is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            self._scratch = None

    def _check_open(self) -> None:
        if self._closed:
            raise ExecutorClosed("this executor is closed")

    @property
    def guarantees(self) -> Guarantees:
        """What is enforced without a boundary."""
        return Guarantees(
            boundary="none",
            isolation=("language guard", "audit hook"),
            memory="resident size, watched" if _can_watch_memory() else "",
            wall="watchdog thread; a signal on the main thread",
            cpu="watchdog thread" if hasattr(time, "pthread_getcpuclockid") else "",
            operations="guard",
            network="audit hook",
            missing=(
                "isolation: the guest shares this process",
                "disk, processes: refused by guard and audit hook, not limited by the kernel",
                "rollback, fork: a process of its own is needed",
                "files: the guest has no open()",
            ),
        )


class _TooLarge:
    """Stands for a value that is beyond the limits."""

    def __init__(self, why: str) -> None:
        self.why = why


class _Output:
    """What a run prints: handed on live, kept up to a limit, then one marker and nothing more."""

    def __init__(self, executor: LocalPythonExecutor, limit_bytes: int | None) -> None:
        self._executor = executor
        self._limit = limit_bytes
        self._parts: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._cut = False
        self.size = 0

    def write(self, stream: Stream, text: str) -> None:
        """Take text that the guest printed."""
        if self._cut:
            return
        size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
        if self._limit is not None and self.size + size > self._limit:
            text = text[: self._limit - self.size] + f"\n… output cut at {self._limit} bytes …\n"
            self._cut = True
        self.size += size
        text = printable(text)
        self._parts[stream].append(text)
        if self._executor.on_output is not None:
            self._executor.on_output(stream, text)

    def text(self, stream: Stream) -> str:
        """Return all that was kept of a stream."""
        return "".join(self._parts[stream])


def _uninterrupted(action: Callable[[], None]) -> None:
    """Do `action` to its end, also when late stops arrive in its middle."""
    while True:
        try:
            action()
            return
        except GuestStop:
            continue


def _printable_error(error: GuestError) -> GuestError:
    from dataclasses import replace

    return replace(
        error,
        message=printable(error.message),
        traceback=printable(error.traceback),
        type=printable(error.type),
    )


def _artifacts(value: object) -> tuple[Artifact, ...]:
    """Return the PNG of a value that is an image."""
    if type(value).__module__.startswith("PIL.") and hasattr(value, "save"):
        import io

        buffer = io.BytesIO()
        with contextlib.suppress(OSError, ValueError):  # a mode that PNG does not have
            value.save(buffer, format="PNG")
            return (Artifact(media_type="image/png", data=buffer.getvalue()),)
    return ()


def _can_watch_memory() -> bool:
    from pinjra.executors.watchdog import resident_bytes

    return resident_bytes() is not None
