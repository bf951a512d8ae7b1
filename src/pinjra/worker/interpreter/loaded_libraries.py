"""The libraries that this process has loaded, for threadpoolctl, from the chain in which the C library keeps them."""

from __future__ import annotations

import ctypes
import os
from typing import Protocol


class _Library(ctypes.Structure):
    """link.h, `struct link_map`; the first is the program."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("path", ctypes.c_char_p),
        ("dynamic", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
    )


class _Controller(Protocol):
    def _make_controller_from_path(self, path: str) -> None: ...


def find(controller: _Controller) -> None:
    """Show each library to a `ThreadpoolController`, as its own methods do."""
    at = ctypes.CDLL(None)._handle
    while at:
        library = _Library.from_address(at)
        controller._make_controller_from_path(os.fsdecode(library.path or b""))
        at = library.next
