"""The host's `env=` -> variables of this process, for guest code and the programs that it starts."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable

__all__ = ["set_variables"]


def set_variables(pairs: Iterable[str]) -> None:
    """Set variables from texts like "NAME=value"; a time zone is in force at once."""
    for pair in pairs:
        name, _, value = pair.partition("=")
        os.environ[name] = value
    if hasattr(time, "tzset"):
        time.tzset()
