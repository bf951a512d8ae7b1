"""Audit events of the interpreter -> refusals, in a process that nothing else confines. See `policy.events`.

One hook a process. Guest code reads and writes below the folder that it works in, and reads what the interpreter and its
libraries read; it starts no processes and opens no connections. It is no boundary: native code that opens files or sockets by
itself raises no event.

Rules: never touch an object of the guest beyond `type(x) is str`; no work before the check that somebody is watched.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
import threading
from types import TracebackType

from pinjra.guard.errors import RefusedAccess
from pinjra.guard.policy.events import EVENTS, FAMILIES, FILES

_HINT = "nothing but this confines the process here; the jail executor has walls of its own, and gives more"
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_DEVICES = ("/dev/null", "/dev/urandom", "/dev/random", "/dev/zero")
_SYSTEM = (
    "/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/fonts", "/usr/local/share/fonts", "/usr/share/matplotlib",
    "/etc/mime.types", "/etc/localtime", "/etc/timezone", "/etc/ssl", "/System/Library/Fonts", "C:\\Windows\\Fonts",
)  # fmt: skip


class Watch:
    """Looks at what this process does while a run is open, and always at threads that the guest has left behind."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._is_open = False
        self._readable = _readable()
        self._work = ""
        sys.addaudithook(self._hook)

    def __enter__(self) -> None:
        self._work = os.path.realpath(os.getcwd())
        self._is_open = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_open = False

    def _hook(self, event: str, args: tuple[object, ...]) -> None:
        if not self._is_open and threading.get_ident() == self._main:
            return
        if event in FILES:
            self._check_files(event, args)
        elif (event in EVENTS or event.partition(".")[0] in FAMILIES) and not _is_library(event):
            raise self._refusal(event, args[:1])

    def _check_files(self, event: str, args: tuple[object, ...]) -> None:
        for position, writes in FILES[event]:
            path = args[position] if position < len(args) else None
            if event == "open":
                writes = _is_writing(*args[1:3])
                if type(path) is int:  # a descriptor that is open already
                    continue
            elif path is None:
                path = "."
            if type(path) is bytes:
                path = os.fsdecode(path)
            # SECURITY: an object that becomes a path on demand may become another one the next time.
            if type(path) is not str or not self._is_free(path, writes):
                raise self._refusal(event, (path,))

    def _is_free(self, path: str, writes: bool) -> bool:
        full = os.path.realpath(path)
        roots = (self._work, *_DEVICES) if writes else (self._work, *_DEVICES, *self._readable)
        return path == ":memory:" or any(full == root or full.startswith(root + os.sep) for root in roots)

    def _refusal(self, event: str, args: tuple[object, ...]) -> RefusedAccess:
        shown = args[0] if args and type(args[0]) in (str, int) else ""
        return RefusedAccess(f"{event} is refused here: {shown!s:.200}".rstrip(": "), _HINT)


def _is_writing(mode: object = None, flags: object = 0) -> bool:
    if type(mode) is str:
        return any(letter in mode for letter in "wax+")
    return type(flags) is int and bool(flags & _WRITING)


def _is_library(event: str) -> bool:
    """Return whether a library does this for itself: ctypes as it is loaded, the socket pair of an event loop (Windows)."""
    frame = sys._getframe(2)
    for _ in range(12):
        code = frame.f_code
        if event.startswith("ctypes.") and code.co_filename == "<frozen importlib._bootstrap>":
            return True
        if event.startswith("socket.") and code.co_name == "socketpair" and code.co_filename == _SOCKET_FILE:
            return True
        if frame.f_back is None:
            break
        frame = frame.f_back
    return False


_SOCKET_FILE = os.path.join(os.path.dirname(os.__file__), "socket.py")


def _readable() -> tuple[str, ...]:
    """Return the folders that libraries read while they work: the interpreter's own, fonts, time zones."""
    names = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    names |= {*_SYSTEM, *(entry for entry in sys.path if entry), os.path.dirname(os.path.dirname(__file__))}
    names.discard(os.getcwd())
    return tuple(os.path.realpath(name) for name in names if name and name != tempfile.gettempdir())
