"""A server of somebody else's -> one that ends with the tests, with all that it started, in whatever way these end.

The command runs in process and mount namespaces of its own, below a watcher that reads a pipe of ours. When our end is closed
(at a fixture's end, or by the kernel when the tests were killed) the watcher kills the first process of the namespace; with it
the kernel ends all the others and their mounts; then the folder is removed. Needs root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

NAMESPACES = ("unshare", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc")
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
CGROUPS = "/sys/fs/cgroup"


@contextmanager
def running(name: str, command: Sequence[str]) -> Iterator[tuple[Path, subprocess.Popen[str]]]:
    """Run `command FOLDER` with a new temporary folder; give that and the watcher, whose output is the command's."""
    folder = tempfile.mkdtemp(prefix=f"pinjra-{name}-")
    watcher = subprocess.Popen(
        [sys.executable, __file__, folder, *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield Path(folder), watcher
    finally:
        watcher.stdin.close()
        watcher.wait()
        watcher.stdout.close()


def wait_until_it_says(words: str, server: subprocess.Popen[str]) -> str:
    """Read what a server says until it says `words`; return "" then, else all that it said before its end."""
    said = []
    for line in server.stdout:
        said.append(line)
        if words in line:
            # What it says later is read and dropped: a full pipe would stop it.
            threading.Thread(target=server.stdout.read, daemon=True).start()
            return ""
    return "".join(said)


def watch(folder: str, command: Sequence[str]) -> None:
    """Run the command until stdin ends; leave nothing of it."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # What loses its parent comes here, so that the last one's end can be waited for.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = groups()
    inner = subprocess.Popen([*NAMESPACES, *command, folder], stdin=subprocess.DEVNULL)
    os.read(0, 1)
    inner.kill()
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    shutil.rmtree(folder, ignore_errors=True)
    for group in sorted(groups() - before, key=len, reverse=True):
        with contextlib.suppress(OSError):  # somebody else's, who is still there
            os.rmdir(group)


def groups() -> set[str]:
    """Return the folders of the control groups that docker makes."""
    return {place for place, _, _ in os.walk(CGROUPS) if "/docker" in place}


if __name__ == "__main__":
    watch(sys.argv[1], sys.argv[2:])
