"""Arguments -> a system call's result, or OSError. The only file of the jail that talks to the C library.

Everything goes through `syscall(2)` by number, so that a C library without a wrapper (an old glibc, musl) is no
obstacle, and so that no wrapper's caching (getpid, setresuid across threads) is in the way.
https://man7.org/linux/man-pages/man2/syscall.2.html
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Collection

from pinjra.core.errors import MissingDependency
from pinjra.jail.walls.syscalls import NUMBERS

try:
    import ctypes
except ImportError as error:  # optional when Python is built
    raise MissingDependency("ctypes", "use a Python that was built with libffi") from error

Buffer = ctypes.Array[ctypes.c_char]
_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
PDEATHSIG, CHILD_SUBREAPER = 1, 36  # options of prctl(2)
_MOST_DESCRIPTORS = 1 << 20  # fs.nr_open of proc(5), where no smaller limit is told


def buffer(data: bytes) -> Buffer:
    """Return `data` in memory that the kernel may read; keep it alive until the call is over."""
    return ctypes.create_string_buffer(data, len(data))


def syscall(name: str, *args: int | bytes | Buffer | None) -> int:
    """Return what the kernel returns.

    Args:
        args: An int is passed as a full machine word, bytes and buffers as pointers, None as a null pointer.

    Raises:
        OSError: The kernel refused, or this machine does not have the call (ENOSYS).
    """
    number = NUMBERS.get(name)
    if number is None:
        raise OSError(38, f"{name}: no such system call on this machine")
    words = [_word(arg) for arg in args]
    result: int = _libc.syscall(ctypes.c_long(number), *words)
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{name}: {os.strerror(error)}")
    return result


def prepared(name: str, *args: int) -> Callable[[], int]:
    """Return a function that makes this call and returns what the kernel returns, or -1; nothing is made at the call."""
    return functools.partial(_libc.syscall, ctypes.c_long(NUMBERS[name]), *map(_word, args))


def plain_fork() -> Callable[[], int]:
    """Return fork(2) itself: nothing is repaired in the child, which saves it 50 pages. For a process with one thread."""
    # with the interpreter's lock held, which so is the child's
    fork: Callable[[], int] = ctypes.PyDLL(None).fork
    return fork


def write_file(path: str, text: str, folder: int | None = None) -> None:
    """Write `text` to a file of the kernel's, in one piece; `path` may be relative to the descriptor `folder`."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=folder), "wb", 0) as file:
        file.write(text.encode("ascii"))


def _word(arg: int | bytes | Buffer | None) -> ctypes.c_ulong | ctypes.c_char_p | ctypes.c_void_p:
    """Return an argument in the width of a register: a bare Python int would be cut to 32 bits."""
    if isinstance(arg, int):
        return ctypes.c_ulong(arg & 0xFFFFFFFFFFFFFFFF)
    if isinstance(arg, bytes):
        return ctypes.c_char_p(arg)
    return ctypes.c_void_p(None if arg is None else ctypes.addressof(arg))


def prctl(option: int, argument: int = 0) -> int:
    """Return what prctl(option, argument, 0, 0, 0) returns. https://man7.org/linux/man-pages/man2/prctl.2.html"""
    return syscall("prctl", option, argument, 0, 0, 0)


def is_refused(name: str, *args: int | bytes | Buffer | None) -> OSError | None:
    """Return the error that a call ends in, or None when it went through (a probe)."""
    try:
        syscall(name, *args)
    except OSError as error:
        return error
    return None


def close_all_but(keep: Collection[int]) -> None:
    """Close every descriptor of this process that is not in `keep`."""
    first = 0
    for fd in (*sorted(keep), 1 << 30):
        if fd > first:
            _close_range(first, fd - 1)
        first = fd + 1


def _close_range(first: int, last: int) -> None:
    if sys.platform == "linux" and is_refused("close_range", first, last, 0) is None:
        return
    told = os.sysconf("SC_OPEN_MAX")  # before Linux 5.9
    most = told if 0 < told < _MOST_DESCRIPTORS else _MOST_DESCRIPTORS
    os.closerange(first, min(last + 1, most))
