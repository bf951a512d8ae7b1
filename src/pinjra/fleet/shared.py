"""Fleets of this process, one for each way to make one: what adapters use that are called once for each answer."""

from __future__ import annotations

import atexit
import os
import threading
from typing import Any

from pinjra.fleet.fleet import Fleet

__all__ = ["shared_fleet"]

_FLEETS: dict[object, Fleet] = {}
_LOCK = threading.Lock()


def shared_fleet(engine: str, **options: Any) -> Fleet:
    """Return the fleet of this process with these parameters; it ends with the process."""
    key = (os.getpid(), engine, repr(sorted(options.items())))
    with _LOCK:
        if key not in _FLEETS:
            _FLEETS[key] = Fleet(engine, **options)
            atexit.register(_FLEETS[key].close)
        return _FLEETS[key]
