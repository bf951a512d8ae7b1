"""What all tests share: a temporary folder of their own, and the stand-ins' folder on the path."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "remote"))

# What is checked is what comes out; how long it takes is bench/'s, and these machines are shared.
settings.register_profile(
    "pinjra", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pinjra")


# What `scripts/check --fast` leaves out, beside tests that say so themselves: files whose tests take long together.
SLOW = (
    *(
        "remote/",
        "wasm/",
        "jail/test_limits.py",
        "jail/test_escapes.py",
        "jail/test_zygote.py",
        "jail/test_quota.py",
    ),
    *("server/", "tools/test_mcp.py", "worker/test_hostile.py", "executors/test_session_hostile.py"),
    *("models/test_weights.py", "cli/test_commands.py", "cli/test_try.py"),
    *("typing/", "agents/test_traces.py"),
)

TEMPORARY = pytest.StashKey[str]()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give this process and all that it starts a temporary folder of their own, so that tests may look what is left there.

    pytest's own folders, which it keeps for whoever looks into a failure, stay where they were. Names are short: paths of
    sockets are.
    """
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    folder = os.path.join(tempfile.gettempdir(), worker) if worker else tempfile.mkdtemp(prefix="t-")
    os.makedirs(folder, exist_ok=True)
    os.chmod(folder, 0o1777)  # tests give up root
    config.stash[TEMPORARY] = folder
    tempfile.tempdir = os.environ["TMPDIR"] = folder


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import slow files where slow tests are not wanted: they bring SDKs with them."""
    name = collection_path.relative_to(HERE).as_posix() if collection_path.is_relative_to(HERE) else ""
    return True if config.option.markexpr == "not slow" and f"{name}/".startswith(SLOW) else None


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the scratch folders of workers that tests have killed: the next maker would, ten minutes later."""
    folder = config.stash[TEMPORARY]
    if sys.platform == "linux":
        from pinjra.core.temporary_folders import sweep
        from pinjra.jail import profile
        from pinjra.jail.walls import disk_quota as quota

        for prefix in (profile.SCRATCH_PREFIX, "pinjra-scratch-", "pinjra-wasm-", "pinjra-oci-"):
            sweep(prefix, quota.remove, age_seconds=0)
    with contextlib.suppress(OSError):  # scripts/nothing_left names what is in it
        os.rmdir(folder)
