"""What all tests share: the stand-ins' folder on the path, and an end that leaves no folder of a killed worker."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "remote"))

# What is checked is what comes out; how long it takes is bench/'s, and these machines are shared.
settings.register_profile("pinjra", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pinjra")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Remove the scratch folders of workers that tests have killed: the next maker would, ten minutes later."""
    if sys.platform != "linux":
        return
    from pinjra.core.temporary_folders import sweep
    from pinjra.jail import profile
    from pinjra.jail.walls import disk_quota as quota

    for prefix in (profile.SCRATCH_PREFIX, "pinjra-scratch-"):
        sweep(prefix, quota.remove, age_seconds=0)
