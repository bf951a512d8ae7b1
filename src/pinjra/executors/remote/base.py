"""What hosted vendors have in common: an SDK and a key -> a sandbox -> a worker in it, and its stream.

A vendor's file says what differs: how a sandbox is made, how the worker is started in it, how bytes get in and out.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Unpack

from pinjra.core.errors import BackendError, ConfigurationError, MissingDependency, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.bootstrap.first_bytes import bootstrap_payload
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.options import BoxOptions
from pinjra.executors.remote.packages import distributions_for, install_command, modules_of
from pinjra.executors.remote.stream_reader import StreamReader, Take
from pinjra.executors.session.capabilities import domains_of
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.transport import Transport
from pinjra.executors.session.uploading import UploadingExecutor

if TYPE_CHECKING:
    from typing import Self

INSTALL_SECONDS = 300
TAIL_CHARACTERS = 4096  # of stderr, kept to say why a worker died


class VendorExecutor(UploadingExecutor):
    """Runs guest code in a sandbox of somebody else; tools and agents stay here.

    Args:
        logger: Taken for the sake of programs that were written for another library; not used.
        api_key: None: the environment's.
        install: Install third-party authorised imports in the sandbox before the first run.
        additional_imports: Another name of `additional_authorized_imports`.
        allow_pickle: False; nothing is ever unpickled.
        options: `packages`, `network` (True, or domains), `mounts`, `programs`, `env`; `guard`, `rollback`, `protected`.

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
    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.5, kill_seconds=5.0, close_seconds=2.0)

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        logger: object = None,
        *,
        limits: Limits = Limits(),  # noqa: B008  (frozen)
        api_key: str | None = None,
        install: bool = True,
        additional_imports: Iterable[str] = (),
        allow_pickle: bool = False,
        **options: Unpack[BoxOptions],
    ) -> None:
        refuse_pickle(allow_pickle)
        imports = (*additional_authorized_imports, *additional_imports)
        self._key = api_key or self.find_key()
        self._packages = distributions_for(imports) if install else []
        super().__init__(imports, limits=limits, **options)

    def _configure(self) -> None:
        self._packages = [*self._packages, *self.access.packages]
        self._modules = modules_of(self.access.packages)
        self._domains = domains_of(type(self).__name__, self.access)

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
        """What the vendor's machine and the worker in it enforce."""
        network = "" if self._has_network else "blocked by the vendor"
        if network and self._domains:
            network = "the vendor's allow-list"
        there = {"memory": "RLIMIT_DATA in the sandbox", "files": "scratch folder in the sandbox"}
        return self._enforced("remote", self.WALL, network=network, **there)

    @property
    def _has_network(self) -> bool:
        """Whether guest code may reach all of the network, or nobody was asked to block it."""
        return self.access.open_network


class RemoteTransport:
    """The stream of a worker that an SDK starts; `start` begins it."""

    VENDOR: ClassVar[str]
    INPUT_BYTES: ClassVar[int] = 512 << 10  # of one request
    eight_bit_clean = False

    def __init__(self, sandbox: Any) -> None:
        self._sandbox = sandbox
        self._closed = threading.Event()
        self._stderr = ""
        self._reader: StreamReader | None = None

    # ------------------------------------------------------------ what a vendor adds

    def _start(self) -> None:
        """Start the worker; what the SDK raises is told as `StartupFailed`."""
        raise NotImplementedError

    def _listen(self, take: Take) -> None:
        """Hand every chunk of the worker's stdout to `take`, until it ends. Called on a thread of its own."""
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
            self._reader = StreamReader(self.VENDOR, self._listen)
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
        """Return the next bytes of stdout; see `Transport.read`."""
        return b"" if self._reader is None else self._reader.read(timeout_seconds)

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
        if self._reader is not None:
            self._reader.close()
        self._reader = StreamReader(self.VENDOR, self._listen)
        return True

    def kill(self) -> None:
        """End the sandbox: with it goes everything that the guest started."""
        if not self._closed.is_set():
            self._closed.set()
            with contextlib.suppress(Exception):  # it may be gone
                self._end()

    def close(self) -> None:
        """End the sandbox and let the threads end."""
        self.kill()
        if self._reader is not None:
            self._reader.close()
        with contextlib.suppress(Exception):  # never opened, or broken already
            self._free()

    def describe_death(self) -> str:
        """Return how it ended and the end of stderr; see `Transport.describe_death`."""
        words = []
        with contextlib.suppress(Exception):  # the sandbox, or who knows of it, is gone
            for word in self._ending():
                words.append(word)
        return ", ".join(word for word in (*words, self._stderr.strip()[-500:]) if word) or "it is gone"


def told(error: BaseException) -> str:
    """Return an error in one line, with its class."""
    return str(error) if isinstance(error, BackendError) else f"{type(error).__name__}: {error}"


def refuse_pickle(allow_pickle: bool) -> None:
    """Refuse a parameter of another library whose effect is a hole."""
    if allow_pickle:
        raise ConfigurationError(
            "allow_pickle=True: nothing of a sandbox is ever unpickled here (docs/protocol.md says which values cross)"
        )
