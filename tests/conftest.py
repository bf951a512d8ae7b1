"""What all tests share: a temporary folder of their own; this folder and the stand-ins' on the path."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "remote")]

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

# What begins first where several processes share the files: one that begins at the end would keep only one of them busy.
LONGEST = (
    *("jail/test_escapes.py", "fleet/test_verdicts.py", "jail/test_limits.py", "remote/test_vendors.py"),
    *("docs/test_examples.py", "server/http/test_escapes.py", "access/network/test_network.py"),
    *(
        "executors/test_conformance.py",
        "server/test_mcp_server.py",
        "remote/",
        "worker/",
        "server/",
        "fleet/",
    ),
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


def place(path: Path) -> str:
    """Return where a file is in this folder, with "/" behind it, so that a row of a table may be a folder or a file."""
    return f"{path.relative_to(HERE).as_posix()}/" if path.is_relative_to(HERE) else ""


@pytest.hookimpl(trylast=True)  # after the random order, which stays within each group
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first."""
    ranks = {
        path: next((n for n, name in enumerate(LONGEST) if place(path).startswith(name)), len(LONGEST))
        for path in {item.path for item in items}
    }
    items.sort(key=lambda item: ranks[item.path])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import slow files where slow tests are not wanted: they bring SDKs with them."""
    return True if config.option.markexpr == "not slow" and place(collection_path).startswith(SLOW) else None


@pytest.fixture
def no_ready_sessions() -> Iterator[None]:
    """Keep no session ready, for a test that counts descriptors or threads of this process: they come when it is quiet."""
    from pinjra.executors.pool import POOL

    POOL.close()
    yield
    POOL._forget()


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
