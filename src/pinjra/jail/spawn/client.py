"""A host's wish for a session -> a confined process and its stream. The host's side of the zygote.

One zygote for each (interpreter, modules to import, policy), started when first asked for, shared by all threads, ended at
interpreter exit, or with its last session when many others were asked for since. A process that the host forks gets zygotes of
its own: it closes what it inherited without a word.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import BinaryIO, TypeVar

from pinjra.core.descriptors import fill_standard_descriptors
from pinjra.core.errors import ConfigurationError, StartupFailed
from pinjra.core.module_path import installed_folders
from pinjra.core.processes import pid_of
from pinjra.jail.confine import Spec
from pinjra.jail.paths import PACKAGE
from pinjra.jail.plan import JailUnavailable, refused

_T = TypeVar("_T")
_MAX_PACKET = 1 << 20
_ENVIRONMENT = {  # of the zygote, and nothing else
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/bin:/bin",
    "HOME": "/dev/null",
    "PYTHONDONTWRITEBYTECODE": "1",
    "MALLOC_ARENA_MAX": "2",
    # threads of numerical libraries would not survive the fork, and a zygote has one thread
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
}
_BOOT = (
    "import sys; sys.path.append(sys.argv[2]); from pinjra.jail.spawn import forks; forks.hold_back(); "
    "from pinjra.jail.spawn.server import main; main(int(sys.argv[1]))"
)
# an interpreter may not start without the one, scratch folders may lie in the other; no session has them
_HANDED_ON = ("LD_LIBRARY_PATH", "TMPDIR")
_WORDS_BYTES = 1000  # of what a zygote wrote that did not come up
_START_SECONDS = 60.0  # importing pandas on a busy machine takes some
_END_SECONDS = 5.0
_MOST_KEPT = 8  # that wait for sessions: a host with a folder for each task has a configuration for each task


@dataclass(frozen=True)
class Config:
    """What one zygote is. Equal configurations share one.

    Args:
        serve: "module:function" that a confined child calls.
        preload: Modules to import before the first session.
        python_path: Folders with modules of whoever wrote `serve`, readable in the session.
        layers: Folders with modules for the guest, readable in the session. SECURITY: never on the zygote's own path.
        require, without: See `plan.make`.
        network: The guest may open internet sockets.
        refuses: It is a jail: without what `profile.REQUIRED` names there is none. False: whatever can be had is applied.
        programs: Files and folders to show so that programs can be started (`access.programs`); (): none can.
        makes_code: As of `Programs`.
        ports, addresses: Where the host's gateway listens in each session's own network; (): sessions have none.
        mounts: (name, path on this machine, whether it may be changed).
        inodes: Of what is shown: the view holds what was there when the zygote started.
        texts: (path, content) of files of the view that the host does not have.
        folders: Where the view has folders that a session may write, all in the scratch folder's quota; it begins in the first.
            "" there is the usual scratch folder, which is also meant by (); behind it, one that would hide libraries is left out.
            Without a mount namespace there is no view, and so only that one.
        loopback: The guest may open internet sockets, in a network of its own that has loopback and nothing else.
        terminals: The guest may open terminals of its own.
    """

    serve: str
    preload: tuple[str, ...] = ()
    python_path: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    network: bool = False
    refuses: bool = True
    programs: tuple[str, ...] = ()
    makes_code: bool = False
    ports: tuple[int, ...] = ()
    addresses: tuple[str, ...] = ()
    mounts: tuple[tuple[str, str, bool], ...] = ()
    texts: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ()
    loopback: bool = False
    terminals: bool = False
    inodes: tuple[tuple[int, int], ...] = ()
    python: str = field(default_factory=lambda: sys.executable)


@dataclass
class JailProcess:
    """A confined process and the host's end of its stream.

    Args:
        pidfd: Readable when the process, and so all of its session, is dead.
        door: Where the sockets of its own network come out; None: it has none.
    """

    zygote: Zygote | None
    number: int
    stream: socket.socket
    pidfd: int
    door: socket.socket | None = None

    @property
    def pid(self) -> int:
        """Return the number of the process, as this machine has it; 0: it has ended."""
        return max(pid_of(self.pidfd), 0) if self.pidfd >= 0 else 0

    def widen(self, sessions: int) -> None:
        """Let the box use what so many sessions may: it has been forked."""
        if self.zygote is not None:
            self.zygote.request({"op": "widen", "box": self.number, "sessions": sessions})

    def end(self) -> dict[str, object]:
        """Kill the session where it lives, clean up behind it, say how it ended. Once."""
        zygote, pidfd, self.zygote, self.pidfd = self.zygote, self.pidfd, None, -1
        if zygote is None:
            return {}
        os.close(pidfd)
        self.stream.close()
        if self.door is not None:
            self.door.close()
        try:
            message, _ = zygote.request({"op": "end", "box": self.number})
        except StartupFailed:
            return {}  # the zygote is gone, and the session with it
        return message


class Zygote:
    """A running zygote. Every method may be called from any thread.

    Args:
        applied, missing: Its plan.
        scratch: Where each session has its scratch folder, as it sees it; "" when that is another one each time.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    scratch: str

    def __init__(self, config: Config) -> None:
        """Start it and wait until it is ready.

        Raises:
            JailUnavailable: The machine cannot give what is required.
            ConfigurationError: An unknown name in `require` or `without`.
            StartupFailed: It did not come up.
        """
        self._lock = threading.Lock()
        with ExitStack() as stack:
            _needed(os.devnull, fill_standard_descriptors)
            # by which the zygote sees the end of this process
            pidfd = _needed("pidfd_open", lambda: os.pidfd_open(os.getpid()))
            stack.callback(os.close, pidfd)
            _needed("pidfd_send_signal", lambda: signal.pidfd_send_signal(pidfd, 0))
            memory = _needed("memfd_create", lambda: os.memfd_create("words", os.MFD_CLOEXEC))
            words = stack.enter_context(open(memory, "w+b"))
            kind = socket.SOCK_SEQPACKET
            self._control, other = _needed("socketpair", lambda: socket.socketpair(type=kind))
            with other:
                self._process = _start(config.python, other.fileno(), words.fileno())
            self._end = weakref.finalize(self, _end, self._control, self._process)
            self._control.settimeout(_START_SECONDS)
            ready = self._first_answer(config, pidfd, words)
        if "applied" not in ready:
            self.close()
            raise _refusal(ready)
        self.applied = _strings(ready, "applied")
        self.missing = _strings(ready, "missing")
        self.scratch = str(ready["scratch"])

    def _first_answer(self, config: Config, pidfd: int, words: BinaryIO) -> dict[str, object]:
        """Say what the zygote is to be; return what it answers when it is that.

        Raises:
            StartupFailed: It ended; with the words of what failed (its loader's, its interpreter's).
        """
        try:
            with self._lock:
                _send_config(self._control, config, pidfd)
            return self._receive()[0]
        except (OSError, StartupFailed) as error:
            self.close()
            words.seek(0)
            said = words.read().decode("utf-8", "replace").strip()[-_WORDS_BYTES:] or str(error)
            status = self._process.returncode
            raise StartupFailed(
                f"{config.python!r} did not come up (exit status {status}): {said}"
            ) from error
        except BaseException:
            self.close()
            raise

    def take(self, spec: Spec) -> JailProcess:
        """Return a new confined process.

        Raises:
            StartupFailed: The zygote is gone or broken.
        """
        message, fds = self.request({"op": "take", "spec": asdict(spec)})
        stream, pidfd, *doors = fds
        return JailProcess(
            zygote=self,
            number=_integer(message, "box"),
            stream=socket.socket(fileno=stream),
            pidfd=pidfd,
            door=socket.socket(fileno=doors[0]) if doors else None,
        )

    def request(self, message: dict[str, object]) -> tuple[dict[str, object], list[int]]:
        """Return the answer to one request, and the descriptors that came with it.

        Raises:
            StartupFailed: The zygote is gone or broken.
        """
        with self._lock:
            try:
                self._control.send(json.dumps(message).encode())
            except OSError as error:
                self._control.close()  # its process may live on for a while, of no use: the next session has another
                raise StartupFailed(f"the zygote is gone: {error}") from error
            answer, fds = self._receive()
        if "failed" in answer:
            raise StartupFailed(f"the zygote broke: {answer['failed']}")
        return answer, fds

    def is_alive(self) -> bool:
        """Return whether it still runs."""
        return self._control.fileno() >= 0 and self._process.poll() is None

    def close(self) -> None:
        """End it and all of its sessions. Idempotent."""
        self._end()

    def abandon(self) -> None:
        """Close what a forked process inherited: the zygote is the parent's."""
        self._end.detach()
        self._control.close()
        self._process.returncode = 0  # not our child: nothing to wait for

    def _receive(self) -> tuple[dict[str, object], list[int]]:
        try:
            data, fds, _, _ = socket.recv_fds(self._control, _MAX_PACKET, 3)
        except OSError as error:
            raise StartupFailed(f"the zygote does not answer: {error}") from error
        if not data:
            self._control.close()
            raise StartupFailed("the zygote died")
        answer: dict[str, object] = json.loads(data)
        return answer, fds


def _end(control: socket.socket, process: subprocess.Popen[bytes]) -> None:
    control.close()
    try:
        process.wait(_END_SECONDS)  # it ends at the end of its socket; the kernel kills what it has below
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _start(python: str, control: int, words: int) -> subprocess.Popen[bytes]:
    """Start the zygote's process: a clean one, never a fork of the host, whose memory holds secrets."""
    try:
        return subprocess.Popen(  # noqa: S603 (the interpreter that runs us, or that the operator names)
            [python, "-P", "-s", "-c", _BOOT, str(control), os.path.dirname(PACKAGE)],
            env=_ENVIRONMENT | {name: os.environ[name] for name in _HANDED_ON if name in os.environ},
            cwd="/",
            pass_fds=(control,),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=words,  # until it is ready: what its loader and its interpreter say when it does not come up
            start_new_session=True,  # Ctrl-C in a terminal is the host's business
        )
    except (OSError, TypeError) as error:  # None, in a program that holds a Python
        raise StartupFailed(f"cannot start {python!r} (sys.executable): {error}") from error


def _send_config(control: socket.socket, config: Config, pidfd: int) -> None:
    """Send a configuration, which may be longer than a packet, as a file of memory."""
    memory = os.memfd_create("config", os.MFD_CLOEXEC)
    with os.fdopen(memory, "wb") as file:
        file.write(_first_message(config))
        file.flush()
        socket.send_fds(control, [b"{}"], [pidfd, memory])


def _needed(name: str, call: Callable[[], _T]) -> _T:
    """Return what `call` does.

    Raises:
        JailUnavailable: The kernel has no such thing, or a container's filter refuses it.
        StartupFailed: There is no room for one more now.
    """
    try:
        return call()
    except (OSError, AttributeError) as error:
        raise refused(name, error) from error


def _first_message(config: Config) -> bytes:
    more: dict[str, object] = {
        "path": [*installed_folders(), *config.python_path],
        "readable": (*config.python_path, *config.layers),
        "texts": dict(config.texts),
    }
    return json.dumps({**vars(config), **more}).encode()


def _refusal(message: dict[str, object]) -> Exception:
    text = str(message.get("message") or message.get("failed"))
    kinds = {"JailUnavailable": JailUnavailable, "ConfigurationError": ConfigurationError}
    return kinds.get(str(message.get("refused")), StartupFailed)(text)


def _strings(message: dict[str, object], key: str) -> tuple[str, ...]:
    value = message[key]
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _integer(message: dict[str, object], key: str) -> int:
    value = message[key]
    if not isinstance(value, int):
        raise StartupFailed(f"the zygote answered {message!r}")
    return value


_zygotes: weakref.WeakValueDictionary[Config, Zygote] = weakref.WeakValueDictionary()
_kept: list[Zygote] = []  # asked for last: one that neither this nor a session holds ends
_lock = threading.Lock()
_hooks_of: list[int] = []  # the process that has asked for the hooks below; importing has no effects


def zygote_for(config: Config) -> Zygote:
    """Return the running zygote of this configuration, started when there is none.

    Raises:
        JailUnavailable, ConfigurationError, StartupFailed: As `Zygote`.
    """
    with _lock:
        if not _hooks_of:
            _hooks_of.append(os.getpid())
            os.register_at_fork(
                before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_abandon_all
            )
        found = _zygotes.get(config)
        if found is None or not found.is_alive():
            found = _zygotes[config] = Zygote(config)
        _kept[:] = [*(each for each in _kept if each is not found), found][-_MOST_KEPT:]
        return found


def _abandon_all() -> None:
    for zygote in list(_zygotes.values()):
        zygote.abandon()
    _lock.release()
