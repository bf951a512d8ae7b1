"""A real ssh server on loopback, as fixtures; skips, with the reason, where there cannot be one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from remote_standins.daemon import running, wait_until_it_says
from remote_standins.ports import held_port

SCRIPT = Path(__file__).resolve().parents[3] / "scripts" / "sshd-for-tests"
NEEDED = ("apt-get", "dpkg", "unshare", "ssh", "ssh-keygen")
FAR_PYTHON = "/usr/bin/python3"


@pytest.fixture(scope="session")
def sshd() -> Iterator[tuple[Path, int]]:
    """The folder with the key, and the port."""
    if os.geteuid() != 0:
        pytest.skip("an ssh server of our own needs root here")
    if not Path(FAR_PYTHON).exists():
        pytest.skip(f"there is no {FAR_PYTHON} for the far end")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with held_port() as held:
        port = held.getsockname()[1]
        script = ["sh", "-c", f'exec {SCRIPT} "$1" {port}', "sshd"]
        with running("sshd", script) as (folder, server):
            problem = wait_until_it_says("Server listening", server)
            if problem:
                pytest.skip(f"no ssh server: {problem[-300:]}")
            yield folder, port


@pytest.fixture
def ssh(sshd: tuple[Path, int]) -> type[Any]:
    from pinjra.executors.ssh import SshExecutor

    folder, port = sshd
    flags = ["-F", "none", "-i", str(folder / "key"), "-p", str(port), "-o", "StrictHostKeyChecking=no"]
    flags += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]

    class Here(SshExecutor):
        def __init__(self, imports: Any = (), **options: Any) -> None:
            settings = {"host": "visitor@127.0.0.1", "python": FAR_PYTHON, "options_ssh": flags, **options}
            super().__init__(imports, **settings)

    return Here
