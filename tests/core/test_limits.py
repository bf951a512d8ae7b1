"""Limits are checked when they are made, and name what is wrong."""

from __future__ import annotations

import copy
import math

import pytest

from pinjra import Limits
from pinjra.core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"wall_second": 5}, "Limits has no parameter 'wall_second'; did you mean wall_seconds=?"),
        ({"qqq": 5}, "Limits has no parameter 'qqq'; it takes wall_seconds, cpu_seconds"),
        ({"memory_bytes": 1.5}, "Limits.memory_bytes must be a whole number or None, not 1.5"),
        ({"wall_seconds": "5"}, "Limits.wall_seconds must be a number above 0 or None, not '5'"),
        ({"wall_seconds": math.inf}, "Limits.wall_seconds must be a number above 0 or None, not inf"),
        ({"wall_seconds": math.nan}, "Limits.wall_seconds must be a number above 0 or None, not nan"),
        ({"processes": True}, "Limits.processes must be a number above 0 or None, not True"),
        ({"wall_seconds": 10**5000}, "Limits.wall_seconds must be below 2**63, not 0x"),
        ({"operations": -(10**5000)}, "Limits.operations must be a number above 0 or None, not -0x"),
        (
            {"disk_bytes": 1 << 63},
            "Limits.disk_bytes must be below 2**63, not 9223372036854775808; None for no limit",
        ),
        ({"disk_bytes": 0}, "Limits.disk_bytes must be a number above 0 or None, not 0"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Limits(**given)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_a_whole_number_may_be_written_as_a_float() -> None:
    assert Limits(memory_bytes=1e9) == Limits(memory_bytes=1_000_000_000)  # type: ignore[arg-type]
    assert type(Limits(memory_bytes=1e9).memory_bytes) is int  # type: ignore[arg-type]


def test_limits_can_be_copied() -> None:
    limits = Limits(wall_seconds=None, processes=3)
    assert copy.copy(limits) == copy.deepcopy(limits) == limits
