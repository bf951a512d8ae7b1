"""Audit events of the interpreter -> refusals, while guest code runs on this thread.

One hook a process, installed on first use; it looks at nothing while no guest runs. It stands behind the language guard in the
host's process: libraries that guest code was given (an image library that saves, a data library that fetches) do in C and in
host Python what the guard cannot see, and most of that raises an audit event. It is not a boundary: native code that opens files
or sockets itself raises none.

Rules: never touch an object of the guest beyond `type(x) is str`; raise for what the table does not know only in families that
are refused as a whole; no work before the check that a guest is running (the host pays for each event too).
"""

from __future__ import annotations

import builtins
import functools
import os
import sys
import sysconfig
import threading
from types import FrameType

from pinjra.guard.errors import GuestStop, RefusedOperation

__all__ = ["guest_running", "host_section", "install"]

_HINT = "the host's process gives no files, processes or network to guest code; the jail executor gives a scratch folder"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# Families and single events that are refused whatever their arguments.
_FAMILIES = frozenset(
    _words(
        "ctypes ensurepip fcntl ftplib http imaplib msvcrt mmap nntplib os poplib pty resource setopt shutil signal smtplib "
        "socket sqlite3 subprocess syslog telnetlib tempfile urllib webbrowser winreg _winapi _posixsubprocess cpython "
        "_thread pickle"
    )
)
_EVENTS = frozenset(
    _words(
        "sys.settrace sys.setprofile sys.addaudithook sys._current_frames sys._current_exceptions sys.excepthook "
        "sys.remote_exec sys.monitoring.register_callback gc.get_objects gc.get_referrers gc.get_referents builtins.input "
        "builtins.input/result builtins.breakpoint code.interact pdb.Pdb"
    )
)
# Reading: (event, position of the path). Allowed below the roots that libraries read while they work.
_READS = frozenset(
    ["os.listdir", "os.scandir", "os.walk", "os.fwalk", "glob.glob", "glob.glob/2", "pathlib.Path.glob"]
)
# What only an escape does straight from a guest's frame: libraries do it from frames of their own.
_GATES = frozenset(
    _words(
        "exec compile import marshal.loads marshal.load code.__new__ function.__new__ object.__getattr__ "
        "object.__setattr__ object.__delattr__"
    )
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_REAL_BUILTINS = vars(builtins)

_active: set[int] = set()
_depth = threading.local()
_installed = threading.Lock()
_state = {"installed": False}


def install() -> None:
    """Add the hook to this process, once. It can never be removed; it does nothing while no guest runs."""
    with _installed:
        if not _state["installed"]:
            _roots()
            sys.addaudithook(_hook)
            _silence_guests()
            _state["installed"] = True


def _silence_guests() -> None:
    """Keep what a guest's destructors raise off the host's standard error."""
    report = sys.unraisablehook

    def hook(unraisable: sys.UnraisableHookArgs) -> None:
        trace = unraisable.exc_traceback
        while trace is not None and not _is_guest_frame(trace.tb_frame):
            trace = trace.tb_next
        if trace is None and not isinstance(unraisable.exc_value, GuestStop):
            report(unraisable)

    sys.unraisablehook = hook


class guest_running:  # noqa: N801 (a context manager, read as a phrase)
    """Guest code runs on this thread from here on: refuse what the table says.

    Args:
        readable: Folders below which the guest may read, besides those of the interpreter.
    """

    __slots__ = ("_ident", "_outer", "_readable")

    def __init__(self, readable: tuple[str, ...] = ()) -> None:
        self._readable = readable

    def __enter__(self) -> None:
        install()
        self._ident = threading.get_ident()
        self._outer = self._ident in _active
        _depth.readable = self._readable
        _active.add(self._ident)

    def __exit__(self, *error: object) -> None:
        if not self._outer:
            _active.discard(self._ident)


class host_section:  # noqa: N801 (a context manager, read as a phrase)
    """Host code on behalf of the guest (a tool, the loading of a module): the hook looks away until it ends."""

    __slots__ = ("_outer", "_was_active")

    def __enter__(self) -> None:
        ident = threading.get_ident()
        self._was_active = ident in _active
        self._outer = getattr(_depth, "section", 0)
        _depth.section = id(sys._getframe().f_back)
        _active.discard(ident)

    def __exit__(self, *error: object) -> None:
        _depth.section = self._outer
        if self._was_active:
            _active.add(threading.get_ident())


def is_guest_running() -> bool:
    """Return whether the hook is active on this thread."""
    return threading.get_ident() in _active


def _hook(event: str, args: tuple[object, ...]) -> None:
    if threading.get_ident() not in _active:
        # SECURITY: destructors, callbacks and generators of a guest may run whenever the host's own code does.
        watched = event == "open" or event in _EVENTS or event.partition(".")[0] in _FAMILIES
        if not watched or not _is_below_host(sys._getframe().f_back):
            return
    if event in _GATES and _is_guest_frame(sys._getframe().f_back):
        _refuse(event, args)
    if event == "open":
        _check_open(*args[:3])
    elif event in _READS:
        _check_read(event, args[0] if args else None)
    elif (event in _EVENTS or event.partition(".")[0] in _FAMILIES) and not _is_loading(event):
        _refuse(event, args)


def _is_guest_frame(frame: FrameType | None) -> bool:
    """Return whether a frame runs guest code: only that has builtins of its own."""
    return frame is not None and frame.f_builtins is not _REAL_BUILTINS


def _is_below_host(frame: FrameType | None) -> bool:
    """Return whether host code that is running was called by guest code, no host section in between."""
    section = getattr(_depth, "section", 0)
    while frame is not None and id(frame) != section:
        if (
            _is_guest_frame(frame) and "$t" in frame.f_builtins
        ):  # not a host's own exec with builtins of its choice
            return True
        frame = frame.f_back
    return False


def _is_loading(event: str) -> bool:
    """Return whether this is ctypes being loaded by a library: that opens the process itself, once."""
    return event.startswith("ctypes.") and _is_importing()


def _is_importing() -> bool:
    """Return whether a module is being loaded on this thread (libraries load parts of theirs late)."""
    frame: FrameType | None = sys._getframe().f_back
    while frame is not None and not _is_guest_frame(frame):
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back
    return False


def _check_open(path: object = None, mode: object = None, flags: object = 0) -> None:
    writes = type(flags) is int and flags & _WRITING
    if writes or (type(mode) is str and any(letter in mode for letter in "wax+")):
        _refuse("open for writing", (path,))
    _check_read("open", path)


def _check_read(event: str, path: object) -> None:
    if type(path) is bytes:
        path = os.fsdecode(path)
    if path is None and event in ("os.listdir", "os.scandir"):
        path = "."
    # SECURITY: a descriptor number, or an object that becomes a path on demand, is not looked at: refused.
    if type(path) is not str:
        _refuse(event, (type(path).__name__,))
        return
    full = os.path.realpath(path)
    for root in (*_roots(), *getattr(_depth, "readable", ())):
        if full == root or full.startswith(root + os.sep):
            return
    if _is_importing() and (event == "os.listdir" or full.endswith((".py", ".pyc", ".so", ".pyd"))):
        return
    _refuse(event, (path,))


@functools.cache
def _roots() -> tuple[str, ...]:
    """Return the folders that libraries may read: the interpreter's own, fonts, time zones, and harmless devices."""
    names = {sysconfig.get_path(kind) for kind in ("stdlib", "platstdlib", "purelib", "platlib")}
    names |= {
        "/usr/share/zoneinfo",
        "/usr/lib/zoneinfo",
        "/usr/share/fonts",
        "/usr/local/share/fonts",
        "/etc/mime.types",
    }
    names |= {"/usr/share/matplotlib", "/dev/null", "/dev/urandom", "/etc/localtime", "/etc/timezone"}
    names.add(os.path.dirname(os.path.dirname(__file__)))
    names |= {entry for entry in sys.path if entry and entry.endswith(("site-packages", "dist-packages"))}
    return tuple(os.path.realpath(name) for name in names if name)


def _refuse(event: str, args: tuple[object, ...]) -> None:
    shown = args[0] if args and type(args[0]) in (str, int) else ""
    with host_section():
        raise RefusedOperation(
            f"{event} is refused while guest code runs: {shown!s:.200}".rstrip(": "), _HINT
        )
