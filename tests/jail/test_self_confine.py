"""A process that confines itself: what holds afterwards, and that it serves nothing when something cannot be had."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from pinjra.jail.plan import JailUnavailable
from pinjra.jail.probe import probe
from pinjra.jail.self_confine import _plan

ATTEMPT = """
import json, os, sys
from pinjra.jail.self_confine import self_confine
from pinjra.jail.confine import Spec
done = self_confine(Spec(memory_bytes=256 << 20, disk_bytes=1 << 20, processes=8))
def attempt(action):
    try:
        action()
        return "worked"
    except (OSError, MemoryError) as error:
        return type(error).__name__
import socket
print(json.dumps({
    "applied": done.applied,
    "read": attempt(lambda: open("/etc/passwd").read()),
    "write": attempt(lambda: open("/tmp/pinjra-alone", "w")),
    "scratch": attempt(lambda: open("file", "w")),
    "large": attempt(lambda: bytearray(512 << 20)),
    "socket": attempt(lambda: socket.socket()),
    "newest": attempt(lambda: os.read(done.counts['newest'], 10)),
    "uid": os.getuid(),
}))
"""


def is_unavailable() -> str:
    try:
        _plan(probe())
    except JailUnavailable as error:
        return str(error)[:200]
    return ""


@pytest.mark.skipif(bool(is_unavailable()), reason=is_unavailable() or "it is available")
def test_a_process_confines_itself_for_ever():
    done = subprocess.run(
        [sys.executable, "-I", "-c", ATTEMPT], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {"landlock files", "seccomp", "rlimits"} <= set(found.pop("applied"))
    uid = found.pop("uid")
    assert uid != 0
    assert uid == os.getuid() or os.getuid() == 0
    assert found == {
        "read": "PermissionError",
        "write": "PermissionError",
        "scratch": "worked",
        "large": "MemoryError",
        "socket": "PermissionError",
        "newest": "worked",
    }


def test_a_kernel_without_landlock_is_refused_by_name():
    kernel = replace(probe(), seccomp="", landlock_abi=0)
    with pytest.raises(JailUnavailable, match=r"cannot give 'files' here.*no Landlock"):
        _plan(kernel)


def test_a_worker_that_cannot_confine_itself_serves_nothing():
    code = (
        "import sys; from dataclasses import replace; from pinjra.worker.__main__ import main\n"
        "import pinjra.jail.self_confine as own; found = replace(own.probe(), seccomp='no seccomp')\n"
        "own.probe = lambda: found\n"
        "sys.argv[1:] = ['--jail', '0', '0', '0']; main()"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], input=b"", capture_output=True, timeout=300, check=False
    )
    assert done.returncode == 69
    assert done.stdout == b""
    assert b"JailUnavailable: the jail cannot give 'syscalls' here" in done.stderr
