"""`ssh host python3 -` -> a transport: the worker is pushed in through the connection, nothing is installed at the far end.

Where the far end's kernel allows it the worker confines itself there with the jail's mechanisms that need no privilege; the
transport asks for that with `confine`, and the session fails to start rather than start weaker than asked.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pinjra.core.errors import ConfigurationError, MissingDependency
from pinjra.core.limits import Limits
from pinjra.executors.bootstrap.first_bytes import bootstrap_command, bootstrap_payload
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.pipes import SubprocessTransport
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.transport import Transport
from pinjra.executors.session.uploading import UploadingExecutor


@dataclass(kw_only=True, eq=False, repr=False)
class SshExecutor(UploadingExecutor):
    """Runs guest code on another machine, as the user that ssh logs in as.

    Args:
        host: As ssh takes it: "host", "user@host", or an alias of its configuration.
        python: The interpreter at the far end, 3.10 or later.
        options_ssh: Further arguments of ssh ("-p", "2222", "-i", …).
        confine: "jail": confine the worker at the far end, or fail; "none": the far end is a boundary by itself (a machine
            made for this).

    Raises:
        MissingDependency: There is no ssh here.
        ConfigurationError: The host could be taken for an option.
        StartupFailed: ssh could not log in, or the far end has no such Python, or cannot confine.
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **UploadingExecutor.ACCESS,
        "programs": 'whatever the far end has, with confine="none"',
    }
    PATIENCE = Patience(start_seconds=60.0, interrupt_seconds=0.5, kill_seconds=3.0, close_seconds=2.0)

    host: str = ""
    python: str = "python3"
    options_ssh: Sequence[str] = ()
    confine: str = "jail"

    def _configure(self) -> None:
        if not self.host or self.host.startswith("-"):
            raise ConfigurationError(
                f"executor ssh needs a host (executor_kwargs={{'host': 'user@machine'}}), not {self.host!r}"
            )
        if self.confine not in ("jail", "none"):
            raise ConfigurationError(f"confine must be 'jail' or 'none', not {self.confine!r}")
        is_confined = self.confine == "jail"
        if self.access.programs and is_confined:
            raise ConfigurationError(
                'the jail at the far end starts no programs: confine="none" on a machine made for this, or executor_type="jail"'
            )
        remote = bootstrap_command(self.python, _jail_arguments(self.limits) if is_confined else ())
        # BatchMode: a question on the terminal would hang for ever. ServerAlive: a dead line is noticed within 45 s.
        settings = ("BatchMode=yes", "ServerAliveInterval=15", "ServerAliveCountMax=3")
        flags = [part for setting in settings for part in ("-o", setting)]
        self._command = [_find_ssh(), "-T", *flags, *self.options_ssh, "--", self.host, shlex.join(remote)]

    def _open(self) -> Transport:
        inherited = {
            name: os.environ[name] for name in ("HOME", "PATH", "SSH_AUTH_SOCK", "USER") if name in os.environ
        }
        return SubprocessTransport(self._command, environment=inherited, first=bootstrap_payload())

    @classmethod
    def _check_here(cls) -> None:
        _find_ssh()
        raise ConfigurationError("needs executor_kwargs={'host': 'user@machine'}")

    @property
    def guarantees(self) -> Guarantees:
        confined = bool(self.hello.applied)
        by = {"network": "seccomp, Landlock", "processes": "RLIMIT_NPROC"} if confined else {}
        missing = self.hello.missing if confined else ("confinement at the far end: not asked for",)
        return self._enforced("remote", "another machine", *self.hello.applied, missing=missing, **by)


def _jail_arguments(limits: Limits) -> tuple[str, ...]:
    numbers = (limits.memory_bytes, limits.disk_bytes, limits.processes)
    return ("--jail", *(str(number or 0) for number in numbers))


def _find_ssh() -> str:
    found = shutil.which("ssh")
    if found is None:
        raise MissingDependency("ssh", "install an OpenSSH client")
    return found
