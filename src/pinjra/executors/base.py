"""PythonExecutor: the contract that every place to run guest code keeps."""

from __future__ import annotations

import asyncio
import os
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from functools import partial, wraps
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, InterpreterError
from pinjra.core.execution import CodeOutput, Execution, Stream
from pinjra.core.files import GivenFile, GivenFiles, GivenInput, given_files
from pinjra.core.limits import Limits
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.parameters import CheckedMethods

if TYPE_CHECKING:
    from typing import Self


_INSIST_SECONDS = 0.5  # longer than the grace an executor gives before it kills

P = ParamSpec("P")
T = TypeVar("T")
OutputCallback = Callable[[Stream, str], None]


def on_thread(
    method: Callable[Concatenate[Any, P], T],
) -> Callable[Concatenate[Any, P], Coroutine[Any, Any, T]]:
    """Return the `a…` form of a method: the same, awaited, done by one of the event loop's threads."""

    @wraps(method, updated=())  # its parameters are checked alike
    async def awaited(self: Any, /, *args: P.args, **named: P.kwargs) -> T:
        call = getattr(self, method.__name__)  # of the executor's own class
        return cast("T", await asyncio.to_thread(call, *args, **named))

    awaited.__name__ = f"a{method.__name__}"
    awaited.__qualname__ = f"PythonExecutor.a{method.__name__}"
    awaited.__doc__ = f"Do what `{method.__name__}` does, without holding up the event loop."
    return awaited


class PythonExecutor(metaclass=CheckedMethods):
    """A session of a guest Python: runs code, keeps variables between runs, calls host tools.

    Arguments of the wrong kind, and names that no parameter has, are a `ConfigurationError` before anything is sent: see
    `parameters`. An executor of your own must have `run`, `send_tools` and `send_variables`. One run at a time per executor (a
    second thread waits); `interrupt` and `close` may be called from any thread.
    Every method may raise:
        ExecutorClosed: The caller's fault: used after `close`.
        SessionLost: The session's process or stream is gone, with its state (cause in the error).
        BackendError: The provider's fault: its API, network or daemon failed.
        ProtocolViolation: A hostile worker; the session has been killed.
        InternalError: Our bug.
    """

    limits: Limits
    on_output: OutputCallback | None = None  # sees output as it is printed, called on the thread that runs

    @abstractmethod
    def run(self, code: str, *, wall_seconds: float | None = None) -> Execution:
        """Return what came of running `code`; the guest failing is a value in `Execution.error`.

        Args:
            code: Python source of any length.
            wall_seconds: For this run instead of `limits.wall_seconds`.
        """

    async def arun(self, code: str, *, wall_seconds: float | None = None) -> Execution:
        """Return what `run` returns; the event loop goes on meanwhile. Cancelled, it interrupts the run and waits for its end.

        A session on a stream of this machine (jail, local, oci, ssh) is followed by the loop itself; others by one of the loop's
        threads. Async tools run as tasks of the loop, all others on its threads.
        """
        return await self._on_thread(partial(self.run, code, wall_seconds=wall_seconds))

    async def aexec(
        self, argv: Sequence[str], *, stdin: GivenInput = b"", timeout: float | None = None
    ) -> Execution:
        """Return what `exec` returns; as `arun`, on one of the event loop's threads."""
        return await self._on_thread(partial(self.exec, argv, stdin=stdin, timeout=timeout))

    async def _on_thread(self, work: Callable[[], Execution]) -> Execution:
        running = asyncio.ensure_future(asyncio.to_thread(work))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            while not running.done():  # again and again: it may not have begun yet
                self.interrupt()
                await asyncio.wait({running}, timeout=_INSIST_SECONDS)
            raise

    def exec(
        self, argv: Sequence[str], *, stdin: GivenInput = b"", timeout: float | None = None
    ) -> Execution:
        """Return what came of running a program in the box: `status`, `stdout`, `stderr`; `error` where it did not end by itself.

        Args:
            argv: The program, by a name that `programs=` allows, and its arguments.
            stdin: Its standard input: text (as UTF-8), bytes, or a file that is open for reading.
            timeout: Seconds, instead of `limits.wall_seconds`.

        Raises:
            ConfigurationError: This box has no programs (the caller's fault).
        """
        name = type(self).__name__
        raise ConfigurationError(f'{name} starts no programs; the jail does, with programs="*"')

    def __call__(self, code: str) -> CodeOutput:
        """Return value, logs and whether it is final, as callers of this kind of library know it.

        Raises:
            InterpreterError: The guest's fault: its exception, a refused operation or a limit.
        """
        done = self.run(code)
        if done.error is not None:
            raise InterpreterError(str(done.error), done.error, done)
        return CodeOutput(done.value, done.logs, done.is_final_answer)

    @abstractmethod
    def send_tools(self, tools: Mapping[str, Callable[..., object]]) -> None:
        """Grant host functions by name. They stay on the host; the guest calls them through the bridge.

        Called again, it adds to what was granted before; a name that was granted already means the new function from then on.
        A grant lasts until `revoke_tools` or `close`, also over `reset` and into a `fork`. `final_answer` may be given to run
        before the answer is taken.

        Raises:
            ConfigurationError: A name is no identifier, or a value is not callable (the caller's fault).
        """

    def revoke_tools(self, names: Iterable[str]) -> None:
        """Take grants back, at once, from any thread, also during a run: whatever guest code still holds is refused.

        A call that has begun ends as it would have. Forks made before keep their own grants.

        Raises:
            ConfigurationError: A name is not granted (the caller's fault); then none is taken back.
        """
        raise ExecutorUnavailable(f"{type(self).__name__} cannot take a grant back; open another session")

    @abstractmethod
    def send_variables(self, variables: Mapping[str, object]) -> None:
        """Set guest variables to copies of plain values (whatever the codec carries).

        Raises:
            ConfigurationError: A value cannot cross (the caller's fault).
        """

    def put_file(self, name: str, data: bytes | os.PathLike[str]) -> None:
        """Write a file into the scratch folder.

        Args:
            name: Relative, without "..".
            data: Its bytes, or the path of a file of this machine, which is read piece by piece.

        Raises:
            ConfigurationError: The name leaves the folder, or the quota does not hold the data (the caller's fault).
        """
        raise self._lacks("files")

    def put_files(self, files: GivenFiles) -> tuple[GivenFile, ...]:
        """Write several files: paths of this machine, by their last part, and dicts of name → bytes or path; return them.

        Raises:
            ConfigurationError: A name is bad, a file is not there, or the quota does not hold all (the caller's fault); then
                nothing is sent.
        """
        limits: Limits | None = getattr(self, "limits", None)  # executors of others may have none
        given = given_files(files, limits.disk_bytes if limits else None)
        for file in given:
            self.put_file(file.name, file.source)
        return given

    def get_file(self, name: str) -> bytes:
        """Return a regular file of the scratch folder; links are not followed out of it.

        Raises:
            FileNotFoundError: There is no such regular file.
        """
        raise self._lacks("files")

    def file_pieces(self, name: str) -> Iterator[bytes]:
        """Yield a regular file of the scratch folder, of any size, piece by piece.

        Raises:
            FileNotFoundError: There is no such regular file.
        """
        yield self.get_file(name)

    def list_files(self) -> dict[str, int]:
        """Return relative name → size in bytes of each regular file in the scratch folder."""
        raise self._lacks("files")

    def interrupt(self) -> None:
        """Stop the run in progress, at once, from any thread; without one, do nothing."""

    def reset(self) -> None:
        """Forget all variables and scratch files; keep the tools."""
        raise self._lacks("a way to forget its variables")

    def fork(self) -> Self:
        """Return an independent session with the same variables and scratch files, where the backend can.

        Raises:
            ExecutorUnavailable: This backend cannot (`guarantees.fork` is "").
        """
        raise ExecutorUnavailable(f"{type(self).__name__} cannot fork a session; the jail can")

    def close(self) -> None:
        """End the session and its whole process tree. Idempotent; also done at interpreter exit."""

    asend_tools = on_thread(send_tools)
    asend_variables = on_thread(send_variables)
    arevoke_tools = on_thread(revoke_tools)
    aput_file = on_thread(put_file)
    aput_files = on_thread(put_files)
    aget_file = on_thread(get_file)
    alist_files = on_thread(list_files)
    areset = on_thread(reset)
    aclose = on_thread(close)

    async def afork(self) -> Self:
        """Do what `fork` does, without holding up the event loop."""
        return await asyncio.to_thread(self.fork)

    @classmethod
    def diagnose(cls) -> str:
        """Return "" when a session could be opened here and now, else one line: what is missing and how to get it.

        Starts nothing and asks no account.
        """
        try:
            cls._check_here()
        except (ConfigurationError, ExecutorUnavailable) as error:
            return str(error)
        return ""

    @classmethod
    def _check_here(cls) -> None:
        """Raise what would keep every session from being opened here and now."""

    @property
    def guarantees(self) -> Guarantees:
        """What this executor enforces here and now, and by which mechanism; nothing, where it does not say."""
        return Guarantees(boundary="none", missing=(f"{type(self).__name__} does not say what it enforces",))

    def _lacks(self, what: str) -> ExecutorUnavailable:
        return ExecutorUnavailable(f"{type(self).__name__} has no {what}")

    def __enter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
