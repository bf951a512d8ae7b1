"""What all tests share: a temporary folder of their own; this folder and the stand-ins' on the path."""

from __future__ import annotations

import contextlib
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from pinjra.core.removal import remove
from pinjra.core.temporary_folders import make_folder, sweep
from pinjra.jail.profile import SCRATCH_PREFIX

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "remote")]

gc.disable()  # while tests are imported and collected, a third of the time went into looking through what stays

# What is checked is what comes out; how long it takes is bench/'s, and these machines are shared.
settings.register_profile(
    "pinjra", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("pinjra")


# What `scripts/check --fast` leaves out, beside tests that say so themselves: folders and files whose tests take long together.
SLOW = (
    "examples/", "fleet/", "remote/", "server/", "typing/", "wasm/", "access/network/", "access/test_clients.py",
    "access/test_packages.py", "agents/test_files.py", "agents/test_threads.py", "agents/test_traces.py",
    "cli/test_commands.py", "cli/test_no_fallback.py", "cli/test_output_type.py", "cli/test_shell.py",
    "cli/test_streams_and_names.py", "cli/test_try.py", "docs/test_examples.py", "executors/test_conformance.py",
    "executors/test_hints.py", "executors/test_host_runs_no_guest_code.py", "executors/test_jail_fork.py",
    "executors/test_large_values.py", "executors/test_pictures_of_a_notebook.py", "executors/test_programs.py",
    "executors/test_ready_sessions.py", "executors/test_session_hostile.py", "guard/test_after_the_run.py",
    "jail/test_attacks.py", "jail/test_escapes.py", "jail/test_hostile_sessions.py", "jail/test_limits.py",
    "jail/test_poor_machines.py", "jail/test_quota.py", "jail/test_zygote.py", "models/test_weights.py", "tools/test_mcp.py",
    "tools/test_tools_in_executors.py", "worker/test_between_runs.py", "worker/test_hostile.py", "worker/test_memory.py",
    "worker/test_package.py",
)  # fmt: skip

# What begins first where several processes share the files: one that begins at the end would keep only one of them busy.
LONGEST = (
    "jail/test_escapes.py", "fleet/test_verdicts.py", "jail/test_limits.py", "remote/test_vendors.py", "docs/test_examples.py",
    "server/http/test_escapes.py", "access/network/test_network.py", "executors/test_conformance.py",
    "server/test_mcp_server.py", "remote/", "worker/", "server/", "fleet/",
)  # fmt: skip

INTERRUPTED: list[bool] = []
LEAVE_SECONDS = 10
LONGEST_NAME = 300  # characters of one value in the name of a test

PREFIX = "pjr-t-"  # of the temporary folders of runs
PREFIXES = (SCRATCH_PREFIX, "pinjra-scratch-", "pinjra-wasm-", "pinjra-oci-")  # of what is in them
TEMPORARY = pytest.StashKey[tuple[str, int]]()


def discard(folder: str) -> None:
    """Remove a run's own folder, which it has locked while it lived; what is mounted below it may be anybody's."""
    mounts = Path("/proc/self/mountinfo")
    if not mounts.exists() or f" {folder}/" not in mounts.read_text():
        remove(folder)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Give this process and all that it starts a temporary folder of their own, so that tests may look what is left there.

    pytest's own folders, which it keeps for whoever looks into a failure, stay where they were. Names are short: paths of
    sockets are.
    """
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    if worker:
        folder, lock = os.path.join(tempfile.gettempdir(), worker), -1
        os.makedirs(folder, exist_ok=True)
    else:
        sweep(PREFIX, discard)
        folder, lock = make_folder(PREFIX)
    os.chmod(folder, 0o1777)  # tests give up root
    config.stash[TEMPORARY] = folder, lock
    tempfile.tempdir = os.environ["TMPDIR"] = folder


def place(path: Path) -> str:
    """Return where a file is in this folder, with "/" behind it, so that a row of a table may be a folder or a file."""
    return f"{path.relative_to(HERE).as_posix()}/" if path.is_relative_to(HERE) else ""


def pytest_make_parametrize_id(val: object) -> str | None:
    """Cut the names of long values: every process tells all names, and has the running test's in its environment."""
    return f"{val[:60]!r}…" if isinstance(val, str | bytes) and len(val) > LONGEST_NAME else None


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the collector's sight: tests collect often, and it would be looked through."""
    gc.collect()
    gc.freeze()
    gc.enable()


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


def pytest_keyboard_interrupt() -> None:
    """Remember that what is left was not left by a test."""
    INTERRUPTED.append(True)


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folders of ready sessions, and of workers that tests have killed: the next maker would, ten minutes later.

    The process that the others work for does it for all: what they hold, for a test that failed, ends with them.
    """
    from pinjra.executors.pool import POOL

    POOL.close()
    folder, lock = config.stash[TEMPORARY]
    if lock >= 0:
        if INTERRUPTED:
            discard(folder)
        deadline = time.monotonic() + LEAVE_SECONDS
        while not is_removed(folder) and time.monotonic() < deadline:
            time.sleep(0.05)  # a zygote sees in a moment that its host was killed
        os.close(lock)


def is_removed(folder: str) -> bool:
    """Remove a run's folder, those of its processes, and what nobody holds there; False where that leaves something, which
    scripts/nothing_left names."""
    for place in (*Path(folder).glob("gw*"), Path(folder)):
        for prefix in PREFIXES if sys.platform == "linux" else ():
            sweep(prefix, remove, age_seconds=0, place=str(place))
        with contextlib.suppress(OSError):
            place.rmdir()
    return not Path(folder).exists()
