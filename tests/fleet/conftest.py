"""One fleet of this machine for all tests that only use it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pinjra.core.errors import PinjraError
from pinjra.fleet import Fleet
from pinjra.fleet.fleet import _BOX


@pytest.fixture(scope="session")
def fleet():
    # some attacks fill the disk, each time
    made = Fleet(boxes=2, most_boxes=2, box_limits=replace(_BOX, disk_bytes=64 << 20))
    try:
        made.session().close()
    except PinjraError as error:
        made.close()
        pytest.skip(f"no jail here: {error}")
    yield made
    made.close()
