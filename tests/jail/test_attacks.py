"""Hostile snippets against the real jail on the real kernel: as root and unprivileged, with and without namespaces."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .attacks import KILLED, KILLED_X86, REFUSED, SIGSYS, WORKS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

DRIVER = Path(__file__).with_name("driver.py")
NAMESPACES = [f"{kind} namespace" for kind in ("user", "mount", "pid", "network", "ipc", "uts", "cgroup")]
NOBODY = 65534
MODES = {
    "root": (0, []),
    "root without namespaces": (0, NAMESPACES),
    "unprivileged": (NOBODY, []),
    "unprivileged without namespaces": (NOBODY, NAMESPACES),
}
if platform.machine() == "x86_64":
    KILLED.update(KILLED_X86)
# A link into a hidden place may be made where only Landlock guards: it leads nowhere that can be opened.
SNIPPETS = REFUSED | KILLED | {name: code for name, (code, _) in WORKS.items()}


@cache
def report(mode: str) -> dict[str, object]:
    uid, without = MODES[mode]
    if uid == 0 and os.geteuid() != 0:
        pytest.skip("needs root")
    drop = uid if os.geteuid() == 0 and uid else None
    order = json.dumps({"uid": drop, "without": without, "snippets": SNIPPETS})
    done = subprocess.run([sys.executable, str(DRIVER), order], capture_output=True, text=True, timeout=100)
    if "Permission denied" in done.stderr and drop:
        pytest.skip("the unprivileged user cannot read this checkout or interpreter")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", REFUSED)
def test_the_kernel_refuses_a_guest_to(name: str, mode: str) -> None:
    outcome = report(mode)["outcomes"][name]
    assert outcome["value"] is None
    assert outcome["errno"] != 0, outcome


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", KILLED)
def test_the_kernel_kills_a_guest_that_tries_to(name: str, mode: str) -> None:
    assert report(mode)["outcomes"][name]["signal"] == SIGSYS


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", WORKS)
def test_a_guest_can(name: str, mode: str) -> None:
    outcome = report(mode)["outcomes"][name]
    assert outcome["error"] == ""
    assert outcome["value"] == WORKS[name][1]


@pytest.mark.parametrize("mode", MODES)
def test_no_canary_of_the_host_was_touched(mode: str) -> None:
    assert report(mode)["touched"] == []
    assert report(mode)["changed"] == []


@pytest.mark.parametrize("mode", ["root", "unprivileged"])
def test_all_namespaces_are_applied_where_the_kernel_allows(mode: str) -> None:
    if any("namespace: " in reason for reason in report(mode)["missing"]):
        pytest.skip(f"not here: {report(mode)['missing']}")
    assert set(NAMESPACES) <= set(report(mode)["applied"])


@pytest.mark.parametrize("mode", [mode for mode in MODES if "without" in mode])
def test_what_is_left_out_is_reported_with_its_reason(mode: str) -> None:
    missing = report(mode)["missing"]
    assert {f"{name}: left out on purpose" for name in NAMESPACES} <= set(missing)
