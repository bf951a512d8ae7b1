"""What all tests share: the stand-ins' folder on the path."""

from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "remote"))

# What is checked is what comes out; how long it takes is bench/'s, and these machines are shared.
settings.register_profile("pinjra", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pinjra")
