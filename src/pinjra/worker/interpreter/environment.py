"""What a process of a box has that another has not: variables and folders of the host's choice."""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Iterable

from pinjra.core.module_path import search_first


def set_variables(pairs: Iterable[str]) -> None:
    """Set variables from texts like "NAME=value"; a time zone is in force at once."""
    for pair in pairs:
        name, _, value = pair.partition("=")
        os.environ[name] = value
        if name == "PYTHONPATH":
            search_first(value.split(os.pathsep))
    if hasattr(time, "tzset"):
        time.tzset()


def link_folders(pairs: Iterable[str]) -> None:
    """Make links from texts like "name=path" here; they are anew in each interpreter, as a reset empties the folder.

    Links, not mounts: whatever empties the scratch folder takes the link away, never what is behind it.
    """
    for pair in pairs:
        name, _, path = pair.partition("=")
        if not os.path.lexists(name):
            os.symlink(path, name)


def reseed() -> None:
    """Draw other random numbers than the process that this one was forked from."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()
