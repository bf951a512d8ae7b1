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
from dataclasses import dataclass, field, replace
from functools import partial
from keyword import iskeyword
from typing import TYPE_CHECKING, Any, ClassVar, cast

from pinjra.core.access import PARAMETERS, AccessOptions, Mount, parse_access
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
from pinjra.core.file_names import check_file_name, is_file_name
from pinjra.core.files import GivenFiles, GivenInput, given_file, given_files
from pinjra.core.guest_files import GuestFile
from pinjra.core.limits import Limits
from pinjra.core.spans import Span, span
from pinjra.core.values import drained, hash_of
from pinjra.executors.base import PythonExecutor
from pinjra.executors.guarantees import Boundary, Guarantees
from pinjra.executors.pool import POOL
from pinjra.executors.session.capabilities import Hosts, check_can
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

_NOT_STARTED = (126, 127)  # what a shell says of a program that may not be run, or is not there


@dataclass(kw_only=True, eq=False, repr=False)
class SessionExecutor(PythonExecutor):
    """A session with a worker at the other end of a byte stream. Its fields are its parameters, and those of a backend follow.

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
        programs, network, secrets, packages, mounts, env, python_path: See docs/sandbox.md.

    Raises:
        ConfigurationError: This executor has not what is asked for; says which one has (the caller's fault).
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
    HOSTS: ClassVar[Hosts] = "with ports"
    """Which hosts its network can be opened for."""
    VOLUMES: ClassVar[bool] = False
    """`mounts` may name volumes of a cluster."""

    additional_authorized_imports: Iterable[str] = field(default=(), kw_only=False)
    limits: Limits = Limits()  # noqa: RUF009  (frozen)
    guard: bool = True
    imports: ImportMode | None = None
    rollback: bool = True
    protected: Iterable[str] = ()
    scratch: str = ""
    spares: int = 0
    files: GivenFiles = ()
    programs: str | Iterable[str] = ()
    network: bool | str | Iterable[str] = False
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    packages: Iterable[str] = ()
    mounts: Mapping[str, str | os.PathLike[str] | Mount] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    python_path: Iterable[str | os.PathLike[str]] = ()

    def __post_init__(self) -> None:
        files, self.files = self.files, ()
        given_files(files, self.limits.disk_bytes)  # refused before anything is started
        self.access = parse_access(cast("AccessOptions", {name: getattr(self, name) for name in PARAMETERS}))
        name = type(self).__name__
        check_can(name, self.ACCESS, self.access, hosts=self.HOSTS, has_volumes=self.VOLUMES)
        self.additional_authorized_imports = tuple(self.additional_authorized_imports)
        self.imports = self.imports or self.IMPORTS
        self.protected = tuple(self.protected)
        self._modules: tuple[str, ...] = ()  # what `packages` brings
        self._links: tuple[str, ...] = ()  # "name=path": where the backend shows the user's folders
        self._environment: tuple[str, ...] = ()  # of the backend's own
        self._configure()
        self.authorized_imports = (*DEFAULT_AUTHORIZED, *self.additional_authorized_imports, *self._modules)
        self._pid = os.getpid()
        self._closed = False
        own = sorted(vars(self).keys() - set(PARAMETERS))  # what these ask for is in `access`
        self._kind = (type(self), *((name, _hashable(getattr(self, name))) for name in own))
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
        has_rollback = self.rollback and "rollback" in self.hello.capabilities
        own = Guarantees(
            boundary=boundary,
            isolation=isolation,
            memory="RLIMIT_DATA",
            wall="host timer, kill by the supervisor",
            cpu="measured by the supervisor",
            operations="guard" if self.guard else "",
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
        ready = POOL.take(self._kind) if self.spares else None
        if isinstance(ready, SessionExecutor):
            self._adopt(ready)
        else:
            self._start(self._open)
        if self.spares:
            POOL.want(self._kind, self.spares, partial(_opened, type(self), self._pristine))

    def _adopt(self, ready: SessionExecutor) -> None:
        """Have the session of another executor of the same configuration, which has never used it."""
        ready._end.detach()
        vars(self).update(vars(ready))
        self._end: weakref.finalize[..., SessionExecutor] = weakref.finalize(
            self, _end, self._connection, os.getpid()
        )
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
            guard=self.guard,
            imports=self.imports or self.IMPORTS,
            walled=self.WALLED,
            rollback=self.rollback,
            protected=tuple(self.protected),
            scratch=self.scratch,
            raw=is_clean and "raw" in hello.capabilities,
            resume=not is_clean,
            links=self._links,
            env=(*self._environment, *self.access.env),
        )

    def close(self) -> None:
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
        argv: Sequence[str] = (),
    ) -> Execution:
        """Return what came of running `code` in the worker; see `PythonExecutor.run`.

        Args:
            language: "python", or "bash", "javascript", "cpp" where `programs=` allows bash, node or g++.
            stdin: What `input()` and `sys.stdin` read: text (as UTF-8), bytes, or a file that is open for reading, of which no
                more is read than the guest asks for. Behind it, and without it, is the end: EOFError.
            files: Put into the scratch folder first; see `PythonExecutor.put_files`.
            argv: What the code finds as `sys.argv` from now on: its own name and its arguments. A program in another language
                gets the arguments.
        """
        words = _words("run(argv=)", argv)
        if files:
            self.put_files(files)
        if language != "python":
            return self._run_language(code, language, words[1:], stdin, wall_seconds)
        return self._run(code, words, stdin, wall_seconds)

    def exec(
        self, argv: Sequence[str], *, stdin: GivenInput = b"", timeout: float | None = None
    ) -> Execution:
        if not self.access.programs:
            raise ConfigurationError('exec() starts programs: open the box with programs=["bash", …] or "*"')
        if not (words := _words("exec()", argv)):
            raise ConfigurationError("exec() wants a list of texts, not []")
        done = self._run(None, words, stdin, timeout)
        is_status = type(done.value) is int and done.error is None
        return replace(done, value=None, status=cast("int", done.value) if is_status else None)

    def _run_language(
        self, code: str, name: str, arguments: Sequence[str], stdin: GivenInput, wall_seconds: float | None
    ) -> Execution:
        language = language_of(name)
        wants = f"language={name!r} wants programs={list(language.programs)!r}"
        if not self.access.programs:
            raise ConfigurationError(wants)
        file = f".run-{secrets.token_hex(4)}{language.suffix(code)}"
        self.put_file(file, code.encode())
        script = f'trap \'rm -f "./$0" "./$0.o" "./$0.out"\' EXIT; {language.line}'
        done = self.exec(["sh", "-c", script, file, *arguments], stdin=stdin, timeout=wall_seconds)
        if done.error or not done.status:
            return done
        status = done.status
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        why = f"the program ended with {how}"
        hint = wants if status in _NOT_STARTED and self.access.programs != ("*",) else None
        error = GuestError(kind=ErrorKind.EXCEPTION, type="ProgramFailed", message=why, hint=hint)
        return replace(done, error=error)

    def _run(
        self, code: str | None, argv: tuple[str, ...], stdin: GivenInput, wall_seconds: float | None
    ) -> Execution:
        with self._in_use() as connection, self._traced(code, argv, wall_seconds) as trace:
            record = RunRecord(self.limits, wall_seconds, self.on_output)
            connection.run(record, code, argv, StandardInput(stdin))
            return self._ended(record, trace)

    @contextmanager
    def _traced(self, code: str | None, argv: tuple[str, ...], wall_seconds: float | None) -> Iterator[Span]:
        def facts() -> dict[str, object]:
            limits = {f"limit.{name}": getattr(self.limits, name) for name in Limits.__slots__}
            if wall_seconds is not None:
                limits["limit.wall_seconds"] = wall_seconds
            program = argv[0] if code is None else None
            return {"executor": type(self).__name__, "program": program, "guard": self.guard, **limits}

        with span("run_code", "", facts) as trace:
            trace.tell("code", lambda: list(argv) if code is None else code)
            yield trace

    async def arun(
        self,
        code: str,
        *,
        wall_seconds: float | None = None,
        language: str = "python",
        stdin: GivenInput = b"",
        files: GivenFiles = (),
        argv: Sequence[str] = (),
    ) -> Execution:
        """Return what `run` returns, on the event loop and without a thread; see `PythonExecutor.arun`."""
        words = _words("arun(argv=)", argv)
        if files or language != "python" or not self._can_follow_on_loop():
            options: dict[str, Any] = {"language": language, "stdin": stdin, "files": files, "argv": words}
            return await self._on_thread(partial(self.run, code, wall_seconds=wall_seconds, **options))
        async with self._aturn():
            with self._in_use() as connection, self._traced(code, words, wall_seconds) as trace:
                record = RunRecord(self.limits, wall_seconds, self.on_output)
                await connection.arun(record, code, words, StandardInput(stdin))
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

    @property
    def pid(self) -> int:
        """Return the number of the box's first process, as this machine has it; 0: it runs elsewhere, or has ended."""
        return self._connection.messages.transport.pid

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
        described = {name: describe(name, function) for name, function in tools.items()}
        with self._in_use() as connection:
            connection.tool_calls.functions.update(described)
            self._grant(connection, list(described))

    def revoke_tools(self, names: Iterable[str]) -> None:
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
        for name in variables:
            if not isinstance(name, str) or not name.isidentifier() or iskeyword(name):
                raise ConfigurationError(
                    f"a variable's name must be an identifier that is no keyword, not {name!r}"
                )
        with self._in_use() as connection:
            try:
                tree, blobs = connection.tool_calls.encoded(drained(dict(variables)))
            except (EncodeError, ValueError) as error:
                raise ConfigurationError(f"the variables cannot cross: {error}") from error
            _bind(connection, partial(wire.SetVariables, values=tree, blobs=blobs))

    # ------------------------------------------------------------ files

    def put_file(self, name: str, data: bytes | os.PathLike[str]) -> None:
        file = given_file(check_file_name(name), data)
        quota = self.limits.disk_bytes
        if quota is not None and file.size > quota:
            raise ConfigurationError(f"{name!r}: {file.size} bytes are more than the quota of {quota} bytes")
        offset = 0
        for piece in with_progress(file.pieces(PIECE_BYTES), name, file.size):
            self._ask(partial(wire.PutFile, name=name, offset=offset, blobs=(piece,)), name)
            offset += len(piece)

    def get_file(self, name: str) -> bytes:
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
            with self._in_use() as connection:
                self._ask(wire.Reset, "reset")
                connection.tool_calls.forget_objects()
            return
        old = self._connection
        with old.lock:
            self._end()
            self._begin()
            self._connection.tool_calls.functions.update(old.tool_calls.functions)
        with self._in_use() as connection:
            self._grant(connection, list(connection.tool_calls.functions))

    def fork(self) -> Self:
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


def _words(owner: str, argv: Iterable[object]) -> tuple[str, ...]:
    """Return the words of a command line.

    Raises:
        ConfigurationError: They are no texts that a program can be given (the caller's fault).
    """
    words = tuple(argv)
    if not all(isinstance(word, str) and "\0" not in word for word in words):
        raise ConfigurationError(f"{owner} wants a list of texts, not {list(words)!r:.200}")
    return cast("tuple[str, ...]", words)


def _hashable(value: object) -> Hashable:
    """Return what stands for an attribute in a key: itself, or its text."""
    return repr(value) if hash_of(value) is None else value


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
