"""What hosted vendors have in common: an SDK and a key -> a sandbox -> a worker in it, and its stream.

A vendor's file says what differs: how a sandbox is made, how the worker is started in it, how bytes get in and out.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import select
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from pinjra.core.errors import BackendError, ConfigurationError, MissingDependency, StartupFailed
from pinjra.executors.bootstrap.first_bytes import bootstrap_payload
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.pipes import is_ready
from pinjra.executors.remote.packages import distributions_for, install_command, modules_of
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.transport import Transport
from pinjra.executors.session.uploading import UploadingExecutor

if TYPE_CHECKING:
    from typing import Self

Take = Callable[["str | bytes"], None]
INSTALL_SECONDS = 300
MOST_WAITING = 256  # chunks that may wait for the reader: SDKs give at most 64 KiB each, so 16 MiB
POLL_SECONDS = 1.0  # who listens looks so often whether somebody still reads
TAIL_CHARACTERS = 4096  # of stderr, kept to say why a worker died


@dataclass(kw_only=True, eq=False, repr=False)
class VendorExecutor(UploadingExecutor):
    """Runs guest code in a sandbox of somebody else; tools and agents stay here.

    Args:
        logger: Taken for the sake of programs that were written for another library; not used.
        api_key: None: the environment's.
        install: Install third-party authorised imports in the sandbox before the first run.
        additional_imports: Another name of `additional_authorized_imports`.
        allow_pickle: False; nothing is ever unpickled.
        network: True, or domains.

    Raises:
        MissingDependency: The SDK is not installed.
        ConfigurationError: There is no key.
        StartupFailed: The sandbox or an installation failed.
    """

    VENDOR: ClassVar[str]
    SDK: ClassVar[str]
    """Its module, which `EXTRA` of this distribution installs."""
    EXTRA: ClassVar[str]
    KEYS: ClassVar[tuple[str, ...]]
    """Variables of the environment, any of which is enough."""
    KEY_HINT: ClassVar[str]
    WALL: ClassVar[str]
    """What the vendor says stands around a sandbox."""
    ACCESS: ClassVar[Mapping[str, str]] = {
        **UploadingExecutor.ACCESS,
        "packages": "pip in the sandbox, before the first run",
        "programs": "whatever the sandbox has",
        "network": "all, or the vendor's allow-list of domains",
    }
    HOSTS = "domains"
    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.5, kill_seconds=5.0, close_seconds=2.0)

    logger: object = field(default=None, kw_only=False)
    api_key: str | None = None
    install: bool = True
    additional_imports: Iterable[str] = ()
    allow_pickle: bool = False

    def _configure(self) -> None:
        refuse_pickle(self.allow_pickle)
        self.additional_authorized_imports = (*self.additional_authorized_imports, *self.additional_imports)
        self._key = self.api_key or self.find_key()
        named = distributions_for(self.additional_authorized_imports) if self.install else ()
        self._packages = [*named, *self.access.packages]
        self._modules = modules_of(self.access.packages)
        self._domains = [host.removesuffix(":") for host in self.access.hosts]

    @property
    def _is_sealed(self) -> bool:
        """Whether the vendor is to block all of the network."""
        return not self.access.open_network and not self._domains

    # ------------------------------------------------------------ what a vendor adds

    @abstractmethod
    def _create(self) -> Any:
        """Return a new sandbox; what the SDK raises is told as `StartupFailed`."""

    @abstractmethod
    def _transport(self, sandbox: Any) -> RemoteTransport:
        """Return a transport that was not started yet."""

    def _run_command(self, sandbox: Any, command: str) -> str:
        """Run a shell command to its end; return what it said when it failed, else ""."""
        raise NotImplementedError

    def _take_network(self, sandbox: Any) -> None:
        """Take the network away that an installation needed, but for the domains that are allowed."""

    # ------------------------------------------------------------ what they share

    @classmethod
    def sdk(cls) -> Any:
        """Return the SDK's module.

        Raises:
            MissingDependency: It is not installed.
        """
        try:
            return importlib.import_module(cls.SDK)
        except ImportError:
            raise MissingDependency(f"the {cls.VENDOR} SDK", f"pip install 'pinjra[{cls.EXTRA}]'") from None

    @classmethod
    def find_key(cls) -> str:
        """Return the key in the environment.

        Raises:
            ConfigurationError: There is none.
        """
        found = next((os.environ[name] for name in cls.KEYS if os.environ.get(name)), "")
        if not found:
            raise ConfigurationError(f"{cls.VENDOR} needs a key: {cls.KEY_HINT}")
        return found

    @classmethod
    def _check_here(cls) -> None:
        cls.sdk()
        cls.find_key()

    def _open(self) -> Transport:
        try:
            sandbox = self._create()
        except Exception as error:  # the SDK's and its HTTP client's own errors
            raise StartupFailed(f"{self.VENDOR} did not start a sandbox: {told(error)}") from error
        return self._transport(sandbox).start(lambda: self._install(sandbox))

    def _install(self, sandbox: Any) -> None:
        """Install distributions before the worker starts; the end of what pip said is in the error."""
        if not self._packages:
            return
        try:
            problem = self._run_command(sandbox, install_command(self._packages))
            if not problem and not self.access.open_network:
                self._take_network(sandbox)
        except Exception as error:
            problem = getattr(error, "stderr", "") or str(error) or type(error).__name__
        if problem:
            names = ", ".join(self._packages)
            raise StartupFailed(f"installing {names} in the sandbox failed: {problem}"[:2000])

    @property
    def guarantees(self) -> Guarantees:
        network = "" if self._has_network else "blocked by the vendor"
        if network and self._domains:
            network = "the vendor's allow-list"
        there = {"memory": "RLIMIT_DATA in the sandbox", "files": "scratch folder in the sandbox"}
        return self._enforced("remote", self.WALL, network=network, **there)

    @property
    def _has_network(self) -> bool:
        """Whether guest code may reach all of the network, or nobody was asked to block it."""
        return self.access.open_network


class Stopped(Exception):
    """Nobody reads any more."""


class RemoteTransport(Transport):
    """The stream of a worker that an SDK starts; `start` begins it. A daemon thread collects what comes, to be read in time."""

    VENDOR: ClassVar[str]
    INPUT_BYTES: ClassVar[int] = 512 << 10  # of one request
    eight_bit_clean = False

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self._closed = threading.Event()
        self._stderr = ""
        self._chunks: queue.Queue[bytes | Exception] = queue.Queue(MOST_WAITING)  # a new one for each stream
        self._last: bytes | Exception | None = None  # how the stream ended
        self._listener = threading.Thread()

    # ------------------------------------------------------------ what a vendor adds

    def _start(self) -> None:
        """Start the worker; what the SDK raises is told as `StartupFailed`."""
        raise NotImplementedError

    def _listen(self, take: Take) -> None:
        """Hand every chunk of the worker's stdout to `take`, until it ends. Called on a thread of its own.

        Args:
            take: Waits while the reader is behind; raises `Stopped` when nobody reads any more.
        """
        raise NotImplementedError

    def _send(self, data: bytes) -> None:
        """Send one piece to stdin."""
        raise NotImplementedError

    def _attach(self) -> bool:
        """See that `_listen` can be called again for the same worker; False, or an error: it cannot."""
        return False

    def _end(self) -> None:
        """End the sandbox, and with it everything that the guest started."""
        raise NotImplementedError

    def _beat(self) -> None:
        """Tell the vendor that the sandbox is in use."""

    def _ending(self) -> Iterator[str]:
        """Yield what is known of why the stream ended; an error says no more."""
        yield from ()

    def _free(self) -> None:
        """Free what the host holds, once the sandbox has ended."""

    # ------------------------------------------------------------ what they share

    def start(self, prepare: Callable[[], object] = lambda: None) -> Self:
        """Prepare the sandbox, start the worker, listen to it, and push its code in; else end the sandbox.

        Raises:
            StartupFailed: It did not start.
        """
        try:
            prepare()
            self._start()
            self._begin_listening()
            self.write(bootstrap_payload())
        except BaseException as error:
            self.close()
            if isinstance(error, StartupFailed) or not isinstance(error, Exception):
                raise
            raise StartupFailed(f"the worker did not start: {told(error)}") from error
        return self

    def keep_alive(self, every_seconds: float) -> None:
        """Call `_beat` for as long as this host is there and the sandbox is not closed."""
        name = f"pinjra-{self.VENDOR}-heartbeat"
        threading.Thread(target=self._keep_alive, args=(every_seconds,), name=name, daemon=True).start()

    def _keep_alive(self, every_seconds: float) -> None:
        while not self._closed.wait(max(1.0, every_seconds)):
            with contextlib.suppress(Exception):  # the next beat tries again; a dead sandbox ends the stream
                self._beat()

    def _note_stderr(self, text: str) -> None:
        self._stderr = (self._stderr + text)[-TAIL_CHARACTERS:]

    def read(self, timeout_seconds: float | None) -> bytes:
        if self._last is None:
            try:
                item = self._chunks.get(timeout=timeout_seconds)
            except queue.Empty:
                raise TimeoutError("nothing came from the sandbox") from None
            if item and isinstance(item, bytes):
                return item
            self._last = item
        if isinstance(self._last, Exception):
            raise BackendError(f"the stream broke: {type(self._last).__name__}: {self._last}") from self._last
        return b""

    def write(self, data: bytes) -> None:
        """Send all of `data` to stdin. Not repeated on failure: the protocol's resume does that exactly."""
        for piece in self._pieces(data):
            try:
                self._send(piece)
            except Exception as error:
                raise BackendError(f"{self.VENDOR} took no input: {told(error)}") from error

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), self.INPUT_BYTES):
            yield data[start : start + self.INPUT_BYTES]

    def reopen(self) -> bool:
        """Listen again to the same worker after the stream broke; False when it, or its sandbox, is gone."""
        if self._closed.is_set():
            return False
        try:
            if not self._attach():
                return False
        except Exception:  # the worker or the sandbox is gone
            return False
        self._begin_listening()
        return True

    def _begin_listening(self) -> None:
        self._chunks, self._last = queue.Queue(MOST_WAITING), None
        name, chunks = f"pinjra-{self.VENDOR}", self._chunks
        self._listener = threading.Thread(target=self._collect, args=(chunks,), name=name, daemon=True)
        self._listener.start()

    def _collect(self, chunks: queue.Queue[bytes | Exception]) -> None:
        def take(chunk: str | bytes) -> None:
            data = chunk.encode("utf-8", "replace") if isinstance(chunk, str) else bytes(chunk)
            if data:
                self._put(chunks, data)

        with contextlib.suppress(Stopped):
            try:
                self._listen(take)
                self._put(chunks, b"")
            except Exception as error:  # whatever the SDK raises ends this stream and is the reader's to see
                self._put(chunks, error)

    def _put(self, chunks: queue.Queue[bytes | Exception], item: bytes | Exception) -> None:
        while chunks is self._chunks:
            try:
                return chunks.put(item, timeout=POLL_SECONDS)
            except queue.Full:
                continue
        raise Stopped

    def kill(self) -> None:
        """End the sandbox: with it goes everything that the guest started."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(Exception):  # it may be gone
                self._end()

    def close(self) -> None:
        self.kill()
        self._chunks = queue.Queue()  # so that the thread ends
        with contextlib.suppress(Exception):  # never opened, or broken already
            self._free()

    def describe_death(self) -> str:
        """Return how it ended and the end of stderr; see `Transport.describe_death`."""
        words = []
        with contextlib.suppress(Exception):  # the sandbox, or who knows of it, is gone
            for word in self._ending():
                words.append(word)
        return ", ".join(word for word in (*words, self._stderr.strip()[-500:]) if word) or "it is gone"


def is_readable(connection: Any) -> bool:
    """Wait for a moment; return whether a connection, encrypted or not, has something to read."""
    pending = getattr(connection, "pending", None)  # decrypted already, so that no poll would tell
    if pending is not None and pending():
        return True
    return is_ready(connection.fileno(), select.POLLIN, POLL_SECONDS)


def told(error: BaseException) -> str:
    """Return an error in one line, with its class."""
    return str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"


def refuse_pickle(allow_pickle: bool) -> None:
    """Refuse a parameter of another library whose effect is a hole."""
    if allow_pickle:
        raise ConfigurationError(
            "allow_pickle=True: nothing of a sandbox is ever unpickled here (docs/protocol.md says which values cross)"
        )
