"""SessionExecutor: the executor contract over any transport. A backend adds `_open` and `guarantees`."""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import weakref
from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

from pinjra.core.access import AccessOptions, parse_access
from pinjra.core.calls import describe
from pinjra.core.errors import (
    BackendError,
    ConfigurationError,
    ExecutorClosed,
    ExecutorUnavailable,
    ProtocolViolation,
    SessionLost,
)
from pinjra.core.execution import ErrorKind, Execution, GuestError, Usage
from pinjra.core.file_names import is_file_name
from pinjra.core.files import GivenFiles, GivenInput, given_file, given_files
from pinjra.core.guest_files import GuestFile
from pinjra.core.limits import Limits
from pinjra.core.spans import Span, span
from pinjra.core.values import drained
from pinjra.executors.base import PythonExecutor, check_file_name
from pinjra.executors.guarantees import Boundary, Guarantees
from pinjra.executors.pool import POOL
from pinjra.executors.session.capabilities import check_can
from pinjra.executors.session.connection import LOCK_SECONDS, Patience, WorkerConnection
from pinjra.executors.session.file_pieces import PIECE_BYTES, with_progress
from pinjra.executors.session.guest_state import GuestState
from pinjra.executors.session.languages import language_of
from pinjra.executors.session.run import RunRecord
from pinjra.executors.session.standard_input import StandardInput
from pinjra.executors.session.transport import Transport
from pinjra.guard.policy import DEFAULT_AUTHORIZED, ImportMode
from pinjra.wire import messages as wire
from pinjra.wire.values.codec import EncodeError

if TYPE_CHECKING:
    from typing import Self


class SessionExecutor(PythonExecutor):
    """A session with a worker at the other end of a byte stream.

    Args:
        additional_authorized_imports: Module names besides the default list.
        guard: False gives plain CPython, where the backend is itself a boundary.
        imports: What can be imported without being authorised: "listed" (a reviewed list), "standard" (the standard library),
            "all" (whatever is installed in the box); None for the executor's own default.
        rollback: Keep a checkpoint, so that a step that is killed leaves the variables as they were.
        protected: Names that guest code may not bind at module level.
        scratch: The scratch folder's path in the box; "" lets the worker make one.
        spares: Sessions that are opened in advance, in idle time, for the next executors of the same configuration.
        files: Put into the scratch folder before the first run: ["a.csv", Path, {"name": b"…"}].
        access: `programs`, `network`, `secrets`, `packages`, `mounts`, `env`, `python_path`; see docs/sandbox.md.

    Raises:
        ConfigurationError: This executor has not what `access` asks for; says which one has (the caller's fault).
        StartupFailed: The worker did not come up (the host's or provider's fault).
    """

    PATIENCE = Patience()
    """A backend whose stream is slow gives more."""
    IMPORTS: ClassVar[ImportMode] = "standard"
    """The import mode where none is asked for."""
    WALLED: ClassVar[bool] = True
    """Something besides the worker itself confines it; else, where it cannot either, the guard's audit hook is on."""
    ACCESS: ClassVar[Mapping[str, str]] = {"env": "said with the configuration"}
    """Parameter of `core.access` -> the mechanism by which this backend has it."""
    VOLUMES: ClassVar[bool] = False
    """`mounts` may name volumes of a cluster."""

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        guard: bool = True,
        imports: ImportMode | None = None,
        rollback: bool = True,
        protected: Iterable[str] = (),
        scratch: str = "",
        spares: int = 0,
        files: GivenFiles = (),
        **access: Unpack[AccessOptions],
    ) -> None:
        given_files(files, check_file_name, limits.disk_bytes)  # refused before anything is started
        self._spares = spares
        self.access = parse_access(access)
        check_can(type(self).__name__, self.ACCESS, self.access, has_volumes=self.VOLUMES)
        self._modules: tuple[str, ...] = ()  # what `packages` brings
        self._links: tuple[str, ...] = ()  # "name=path": where the backend shows the user's folders
        self._environment: tuple[str, ...] = ()  # of the backend's own
        self._configure()
        self.limits = limits
        self.authorized_imports = (*DEFAULT_AUTHORIZED, *additional_authorized_imports, *self._modules)
        self.imports = imports or self.IMPORTS
        self._guard = guard
        self._rollback = rollback
        self._protected = tuple(protected)
        self._scratch = scratch
        self._pid = os.getpid()
        self._closed = False
        self._kind = (type(self), *((name, _hashable(value)) for name, value in sorted(vars(self).items())))
        self._pristine = dict(vars(self))
        self._begin()
        try:
            self.put_files(files)
        except BaseException:
            self.close()
            raise

    def _configure(self) -> None:
        """Get ready to open sessions with `self.access`; called once, before the first one."""

    @abstractmethod
    def _open(self) -> Transport:
        """Return a transport to a worker that was just started.

        Raises:
            StartupFailed, ExecutorUnavailable, BackendError, MissingDependency: As their names say.
        """

    def _open_fork(self, ask: Callable[[], None]) -> Transport:
        """Return a transport to a copy of this session, where the present one can branch.

        Args:
            ask: Makes the worker fork; called when the new stream is there.
        """
        branch: Callable[[Callable[[], None]], Transport] | None = getattr(
            self._connection.messages.transport, "branch", None
        )
        if branch is None:
            raise ExecutorUnavailable(f"{type(self).__name__} cannot fork a session; the jail can")
        if "fork" not in self.hello.capabilities:
            raise ExecutorUnavailable("this session cannot be forked: its supervisor offers no such thing")
        return branch(ask)

    def _enforced(self, boundary: Boundary, *isolation: str, **by: Any) -> Guarantees:
        """Return what the worker enforces wherever it runs, behind what stands around it.

        Args:
            isolation: Mechanisms, outermost first.
            by: Fields of `Guarantees` that something else than the worker enforces.
        """
        has_rollback = self._rollback and "rollback" in self.hello.capabilities
        own = Guarantees(
            boundary=boundary,
            isolation=isolation,
            memory="RLIMIT_DATA",
            wall="host timer, kill by the supervisor",
            cpu="measured by the supervisor",
            operations="guard" if self._guard else "",
            disk="RLIMIT_FSIZE, supervisor's quota",
            processes="counted by the supervisor",
            files="scratch folder",
            rollback="forked checkpoint" if has_rollback else "",
            missing=self.hello.missing,
        )
        return replace(own, **by)

    # ------------------------------------------------------------ start and end

    def _begin(self) -> None:
        """Have a session: a ready one of the same configuration, or a new one."""
        ready = POOL.take(self._kind) if self._spares else None
        if isinstance(ready, SessionExecutor):
            self._adopt(ready)
        else:
            self._start(self._open)
        if self._spares:
            POOL.want(self._kind, self._spares, partial(_opened, type(self), self._pristine))

    _end: weakref.finalize[..., SessionExecutor]

    def _adopt(self, ready: SessionExecutor) -> None:
        """Have the session of another executor of the same configuration, which has never used it."""
        ready._end.detach()
        vars(self).update(vars(ready))
        self._end = weakref.finalize(self, _end, self._connection, os.getpid())
        _LIVE.add(self)

    def is_unused(self) -> bool:
        """Return whether the session lives, and its worker has said nothing that nobody has heard."""
        return self._connection.is_silent()

    def discard(self) -> None:
        """End a session that nobody has used."""
        self._end()

    def _start(self, open_transport: Callable[[], Transport]) -> None:
        transport = open_transport()
        connection = self._connection = WorkerConnection(transport, self.limits, self.PATIENCE)
        # The connection knows nothing of this object, so that a session that nobody holds any more is closed.
        self._end = weakref.finalize(self, _end, connection, os.getpid())
        _LIVE.add(self)
        try:
            self.hello = connection.start(lambda hello: self._init(hello, transport.eight_bit_clean))
        except BaseException:
            self._end()
            raise

    def _init(self, hello: wire.Hello, is_clean: bool) -> wire.Init:
        return wire.Init(
            authorized_imports=tuple(dict.fromkeys(self.authorized_imports)),
            limits={name: getattr(self.limits, name) for name in Limits.__slots__},
            guard=self._guard,
            imports=self.imports,
            walled=self.WALLED,
            rollback=self._rollback,
            protected=self._protected,
            scratch=self._scratch,
            raw=is_clean and "raw" in hello.capabilities,
            resume=not is_clean,
            links=self._links,
            env=(*self._environment, *self.access.env),
        )

    def close(self) -> None:
        """End the session and its whole process tree; see `PythonExecutor.close`."""
        if not self._closed and os.getpid() == self._pid:  # a forked child leaves its parent's session alone
            self._closed = True
            self._end()
            _LIVE.discard(self)

    def _check_usable(self) -> None:
        if self._closed:
            raise ExecutorClosed("this executor is closed")
        if os.getpid() != self._pid:
            raise ExecutorClosed("this session is of the process that opened it; open another after a fork")

    @contextmanager
    def _in_use(self) -> Iterator[WorkerConnection]:
        """Hold the connection, idle and usable; note its loss."""
        self._check_usable()
        connection = self._connection
        connection.require_outside()
        with connection.lock:
            self._check_usable()
            connection.check()
            connection.require_idle()
            try:
                connection.recover()
                yield connection
            except (SessionLost, ProtocolViolation) as error:
                connection.note_loss(error)
                if self._closed:
                    raise ExecutorClosed("this executor was closed while it was in use") from error
                raise

    # ------------------------------------------------------------ runs

    def run(
        self,
        code: str,
        *,
        wall_seconds: float | None = None,
        language: str = "python",
        stdin: GivenInput = b"",
        files: GivenFiles = (),
    ) -> Execution:
        """Return what came of running `code` in the worker; see `PythonExecutor.run`.

        Args:
            language: "python", or "bash", "javascript", "cpp" where `programs=` allows bash, node or g++.
            stdin: What `input()` and `sys.stdin` read: text (as UTF-8), bytes, or a file that is open for reading, of which no
                more is read than the guest asks for. Behind it, and without it, is the end: EOFError.
            files: Put into the scratch folder first; see `PythonExecutor.put_files`.
        """
        if files:
            self.put_files(files)
        if language != "python":
            return self._run_language(code, language, wall_seconds, stdin)
        return self._run(code, (), stdin, wall_seconds)

    def exec(
        self, argv: Sequence[str], *, stdin: GivenInput = b"", timeout: float | None = None
    ) -> Execution:
        """Return what came of running a program in the box; see `PythonExecutor.exec`."""
        if not self.access.programs:
            raise ConfigurationError('exec() starts programs: open the box with programs=["bash", …] or "*"')
        words = (argv,) if isinstance(argv, str) else tuple(argv)
        if not words or not all(isinstance(word, str) and "\0" not in word for word in words):
            raise ConfigurationError(f"exec() wants a list of texts, not {argv!r:.200}")
        done = self._run("", words, stdin, timeout)
        is_status = type(done.value) is int and done.error is None
        return replace(done, value=None, status=cast("int", done.value) if is_status else None)

    def _run_language(self, code: str, name: str, wall_seconds: float | None, stdin: GivenInput) -> Execution:
        language = language_of(name)
        file = f".run-{secrets.token_hex(4)}{language.suffix(code)}"
        if self.access.programs:
            self.put_file(file, code.encode())
        script = f'trap \'rm -f "./$0" "./$0.o" "./$0.out"\' EXIT; {language.line}'
        done = self.exec(["sh", "-c", script, file], stdin=stdin, timeout=wall_seconds)
        if done.error or not done.status:
            return done
        status = done.status
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        why = f"the program ended with {how}"
        return replace(done, error=GuestError(kind=ErrorKind.EXCEPTION, type="ProgramFailed", message=why))

    def _run(
        self, code: str, argv: tuple[str, ...], stdin: GivenInput, wall_seconds: float | None
    ) -> Execution:
        with self._in_use() as connection, self._traced(code, argv, wall_seconds) as trace:
            record = RunRecord(self.limits, wall_seconds, self.on_output)
            connection.run(record, code, argv, StandardInput(stdin))
            return self._ended(record, trace)

    @contextmanager
    def _traced(self, code: str, argv: tuple[str, ...], wall_seconds: float | None) -> Iterator[Span]:
        def facts() -> dict[str, object]:
            limits = {f"limit.{name}": getattr(self.limits, name) for name in Limits.__slots__}
            if wall_seconds is not None:
                limits["limit.wall_seconds"] = wall_seconds
            program = argv[0] if argv else None
            return {"executor": type(self).__name__, "program": program, "guard": self._guard, **limits}

        with span("run_code", "", facts) as trace:
            trace.tell("code", lambda: list(argv) or code)
            yield trace

    async def arun(
        self,
        code: str,
        *,
        wall_seconds: float | None = None,
        language: str = "python",
        stdin: GivenInput = b"",
        files: GivenFiles = (),
    ) -> Execution:
        """Return what `run` returns, on the event loop and without a thread; see `PythonExecutor.arun`."""
        if files or language != "python" or not self._can_follow_on_loop():
            return await self._on_thread(
                lambda: self.run(code, wall_seconds=wall_seconds, language=language, stdin=stdin, files=files)
            )
        async with self._aturn():
            with self._in_use() as connection, self._traced(code, (), wall_seconds) as trace:
                record = RunRecord(self.limits, wall_seconds, self.on_output)
                await connection.arun(record, code, StandardInput(stdin))
                return self._ended(record, trace)

    def _can_follow_on_loop(self) -> bool:
        has_readers = type(asyncio.get_running_loop()).__name__ != "ProactorEventLoop"  # Windows
        return has_readers and self._connection.descriptor >= 0

    @asynccontextmanager
    async def _aturn(self) -> AsyncIterator[None]:
        """Wait for this session's turn without holding up the event loop, and have it."""
        while True:
            self._check_usable()
            connection = self._connection
            connection.require_outside()
            # The lock knows threads only, and another coroutine of this thread may be the one that runs.
            if connection.record is None and connection.lock.acquire(blocking=False):
                break
            await asyncio.sleep(LOCK_SECONDS)
        try:
            yield
        finally:
            connection.lock.release()

    def _ended(self, record: RunRecord, trace: Span) -> Execution:
        if record.is_given_back and self._closed:
            raise ExecutorClosed("this executor was closed while it was in use")
        files = {
            name: GuestFile(name=name, size=size, pieces=partial(self.file_pieces, name, size))
            for name, size in record.files.items()
            if is_file_name(name)  # SECURITY: the guest says so, and can say anything
        }
        done = record.execution(self._connection.tool_calls, files)
        _tell(trace, done)
        return done

    def interrupt(self) -> None:
        """Stop the run in progress, from any thread; a host tool on the caller's own thread ends first."""
        if os.getpid() == self._pid and not self._closed:
            self._connection.interrupt()

    # ------------------------------------------------------------ tools and variables

    def send_tools(self, tools: Mapping[str, Callable[..., object]]) -> None:
        """Grant host functions by name; see `PythonExecutor.send_tools`."""
        described = {name: describe(name, function) for name, function in tools.items()}
        with self._in_use() as connection:
            connection.tool_calls.functions.update(described)
            self._grant(connection, list(described))

    def revoke_tools(self, names: Iterable[str]) -> None:
        """Take grants back; see `PythonExecutor.revoke_tools`."""
        self._check_usable()
        functions = self._connection.tool_calls.functions
        wanted = list(names)
        for name in wanted:
            if name not in functions:
                raise ConfigurationError(
                    f"there is no tool {name!r:.100} to revoke; granted are {sorted(functions)}"
                )
        for name in wanted:
            functions.pop(name, None)

    @property
    def static_tools(self) -> dict[str, Callable[..., object]]:
        """Return the functions that are granted now, by name."""
        return dict(self._connection.tool_calls.functions)

    @property
    def state(self) -> GuestState:
        """Return the session's variables as a mapping; each look asks the guest."""
        return GuestState(self)

    def _grant(self, connection: WorkerConnection, names: list[str]) -> None:
        functions = connection.tool_calls.functions
        tools: dict[str, dict[str, str | bool]] = {
            name: {"doc": functions[name].doc, "async": functions[name].is_async} for name in names
        }
        if tools:
            _bind(connection, partial(wire.GrantTools, tools=tools))

    def send_variables(self, variables: Mapping[str, object]) -> None:
        """Set guest variables to copies; see `PythonExecutor.send_variables`."""
        for name in variables:
            if not isinstance(name, str) or not name.isidentifier():
                raise ConfigurationError(f"a variable's name must be an identifier, not {name!r}")
        with self._in_use() as connection:
            try:
                tree, blobs = connection.tool_calls.encoded(drained(dict(variables)))
            except (EncodeError, ValueError) as error:
                raise ConfigurationError(f"the variables cannot cross: {error}") from error
            _bind(connection, partial(wire.SetVariables, values=tree, blobs=blobs))

    # ------------------------------------------------------------ files

    def put_file(self, name: str, data: bytes | os.PathLike[str]) -> None:
        """Write a scratch file; see `PythonExecutor.put_file`."""
        file = given_file(check_file_name(name), data)
        quota = self.limits.disk_bytes
        if quota is not None and file.size > quota:
            raise ConfigurationError(f"{name!r}: {file.size} bytes are more than the quota of {quota} bytes")
        offset = 0
        for piece in with_progress(file.pieces(PIECE_BYTES), name, file.size):
            self._ask(partial(wire.PutFile, name=name, offset=offset, blobs=(piece,)), name)
            offset += len(piece)

    def get_file(self, name: str) -> bytes:
        """Return a scratch file's bytes; see `PythonExecutor.get_file`."""
        return b"".join(self._pieces_of(name))

    def file_pieces(self, name: str, size: int = 0) -> Iterator[bytes]:
        """Yield a scratch file piece by piece; see `PythonExecutor.file_pieces`.

        Args:
            size: For a progress bar; 0 for none.
        """
        return with_progress(self._pieces_of(name), name, size)

    def _pieces_of(self, name: str) -> Iterator[bytes]:
        check_file_name(name)
        offset, piece = 0, b""
        while offset == 0 or len(piece) == PIECE_BYTES:
            answer = self._ask(partial(wire.GetFile, name=name, offset=offset, size=PIECE_BYTES), name)
            if [len(data) <= PIECE_BYTES for data in answer.blobs] != [True]:
                raise ProtocolViolation(f"an answer without the bytes of {name!r}")
            piece = answer.blobs[0]
            offset += len(piece)
            # SECURITY: a worker that lies could go on for ever; who asks for all of it would hold all of it.
            if self.limits.disk_bytes is not None and offset > self.limits.disk_bytes:
                raise ConfigurationError(
                    f"{name!r} has more than Limits.disk_bytes ({self.limits.disk_bytes})"
                )
            yield piece
            if not piece:
                return

    def list_files(self) -> dict[str, int]:
        """Return relative name → bytes; see `PythonExecutor.list_files`."""
        return self._ask(wire.ListFiles, "").files or {}

    def _ask(self, make: Callable[..., wire.Message], what: str) -> wire.Done:
        """Return the answer, or raise what went wrong by whose fault it is. Tools may ask too, from their threads."""
        self._check_usable()
        answer = self._connection.ask(make)
        if not answer.problem:
            return answer
        if answer.problem == "not-found":
            raise FileNotFoundError(f"there is no regular file {what!r} in the scratch folder")
        if answer.problem in ("refused", "quota"):
            raise ConfigurationError(f"{what!r}: {answer.message:.2000}")
        raise BackendError(f"the worker could not do this: {answer.message:.2000}")

    # ------------------------------------------------------------ reset and fork

    def reset(self) -> None:
        """Forget variables and scratch files, keep the tools; a lost session is started anew, empty."""
        self._check_usable()
        if self._connection.lost is None:
            with self._in_use():
                self._ask(wire.Reset, "reset")
            return
        old = self._connection
        with old.lock:
            self._end()
            self._begin()
            self._connection.tool_calls.functions.update(old.tool_calls.functions)
        with self._in_use() as connection:
            self._grant(connection, list(connection.tool_calls.functions))

    def fork(self) -> Self:
        """Return an independent session with the same variables and files; see `PythonExecutor.fork`."""
        with self._in_use() as connection:
            copy = object.__new__(type(self))
            copy.__dict__.update(self.__dict__)
            copy._start(lambda: self._open_fork(self._fork_worker))
            copy._connection.tool_calls.inherit(connection.tool_calls)
            return copy

    def _fork_worker(self) -> None:
        answer = self._connection.ask(wire.Fork)
        if answer.problem:
            raise ExecutorUnavailable(f"the session cannot be forked: {answer.message:.2000}")


def _tell(trace: Span, done: Execution) -> None:
    """Tell a run's span what came of it."""
    used = {f"usage.{name}": getattr(done.usage, name) for name in Usage.__slots__}
    trace.note(**used, final=done.is_final_answer)
    for name in ("stdout", "stderr", "value"):
        trace.tell(name, partial(getattr, done, name))
    if (error := done.error) is not None:
        cause = error.cause.value if error.cause else None
        trace.note(error_kind=error.kind.value, cause=cause, rolled_back=error.rolled_back)
        trace.fail(error.type, error.message)


def _opened(cls: type[SessionExecutor], configuration: Mapping[str, object]) -> SessionExecutor:
    """Return an executor with a session of its own that is configured so."""
    executor = object.__new__(cls)
    vars(executor).update(configuration)
    executor._start(executor._open)
    _LIVE.discard(executor)  # it is the pool's, which closes what nobody takes
    return executor


def _hashable(value: object) -> Hashable:
    """Return what stands for an attribute in a key: itself, or its text."""
    try:
        hash(value)
    except TypeError:
        return repr(value)
    return value


def _bind(connection: WorkerConnection, make: Callable[..., wire.Message]) -> None:
    answer = connection.ask(make, of_interpreter=True)
    if answer.problem:
        raise ConfigurationError(f"the worker could not set this: {answer.message:.2000}")


# ---------------------------------------------------------------- the end of the process

_LIVE: weakref.WeakSet[SessionExecutor] = weakref.WeakSet()


def _end(connection: WorkerConnection, pid: int) -> None:
    if os.getpid() == pid:
        connection.close()


@atexit.register
def _close_all() -> None:
    for executor in list(_LIVE):
        executor.close()
