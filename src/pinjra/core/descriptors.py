"""Closed standard descriptors -> open ones, so that none of ours gets their number."""

from __future__ import annotations

import os


def fill_standard_descriptors() -> None:
    """Open the null device at 0, 1 and 2 where they are closed.

    SECURITY: a socket of ours with such a number would get what C code prints, and be lost in a child's standard streams.
    """
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
