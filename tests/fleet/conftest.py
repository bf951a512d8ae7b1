"""One fleet of this machine for all tests that only use it."""

from __future__ import annotations

import pytest

from pinjra.core.errors import PinjraError
from pinjra.fleet import Fleet


@pytest.fixture(scope="session")
def fleet():
    made = Fleet(boxes=2, most_boxes=2)
    try:
        made.session().close()
    except PinjraError as error:
        made.close()
        pytest.skip(f"no jail here: {error}")
    yield made
    made.close()
