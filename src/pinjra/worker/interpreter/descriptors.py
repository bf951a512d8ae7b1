"""Which descriptors a process has open. (Imported on platforms that have no `resource`, too.)"""

from __future__ import annotations

import os

__all__ = ["close_all_but"]

_MOST = 1 << 20  # where no limit is told, or a larger one


def close_all_but(*kept: int) -> None:
    """Close every descriptor above 2 that is not among these, which are above 2."""
    low = 3
    for fd in sorted(kept):
        os.closerange(low, fd)
        low = fd + 1
    limit = os.sysconf("SC_OPEN_MAX")
    os.closerange(low, max(low, min(limit if limit > 0 else _MOST, _MOST)))
