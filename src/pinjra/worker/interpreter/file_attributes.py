"""Modes, times, owners and attributes of files where the kernel lets none be set: libraries go on without, as on a FAT disk.

Without a view of the file system of its own (`local` on Linux) a box may not set them: Landlock does not say of which files.
What a program asks for itself is refused, so that it knows. Its libraries (shutil, mailbox, dbm.dumb) set a mode by the way.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable

_SETTERS = ("chmod", "fchmod", "chown", "fchown", "lchown", "utime", "setxattr", "removexattr", "listxattr")
_PATHS = ("pathlib", "pathlib._local")  # their methods are asked for by the program itself
_WHERE = frozenset({"dir_fd", "follow_symlinks"})
_ABOUT = (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks)


def adapt() -> None:
    """Let libraries do without, where it is refused here."""
    try:
        os.utime(".")
    except PermissionError:
        for name in _SETTERS:
            if hasattr(os, name):
                setattr(os, name, _where_permitted(getattr(os, name)))


def _where_permitted(change: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(change)
    def changed(path: int | str | None, *args: object, **options: object) -> object:
        try:
            return change(path, *args, **options)
        except PermissionError:
            if _is_of_the_program():
                raise
            # what is not there, or not to be looked at, is still an error
            os.stat("." if path is None else path, **{k: options[k] for k in _WHERE & options.keys()})  # type: ignore[arg-type]
            return [] if change.__name__ == "listxattr" else None

    for functions in _ABOUT:
        if change in functions:
            functions.add(changed)
    return changed


def _is_of_the_program() -> bool:
    """Return whether the caller's caller is code of the program, which has no file: `<guest:1>`, `<string>`."""
    frame = sys._getframe(2)
    while frame.f_back is not None and frame.f_globals.get("__name__") in _PATHS:
        frame = frame.f_back
    return frame.f_code.co_filename.startswith("<")
