"""Hostile programs with all of Python and no guard, in the real jail; only the canaries judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from .test_attacks import MODES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")

ESCAPES = Path(__file__).parents[1] / "escapes"
PROGRAMS = sorted(ESCAPES.glob("jail_*.py"))
WITH_PROGRAMS = sorted(ESCAPES.glob("programs_*.py"))
WITH_NETWORK = sorted(ESCAPES.glob("network_*.py"))
WITH_MOUNTS = sorted(ESCAPES.glob("mounts_*.py"))
EVERY = "every kind"
# What boxes are given, the attacks that make use of it, and of the attacks on the jail alone the kinds (`# oracle:` lines)
# that it could help. The two boxes that are given most are tried with every kind.
GIVEN = {
    "nothing": ({}, [], EVERY),
    "all programs": ({"programs": ["*"]}, WITH_PROGRAMS, EVERY),
    "bash": ({"programs": ["bash"]}, WITH_PROGRAMS, "spawn write-file leak-env"),
    "folders": (
        {"mounts": "own", "programs": ["sh", "install", "cp"]},
        WITH_MOUNTS,
        "write-file leak-file disk",
    ),
    "one host": ({"network": ["api.github.com"]}, WITH_NETWORK, "connect crash"),
    "all programs and one host": (
        {"programs": ["*"], "network": ["api.github.com"]},
        [*WITH_PROGRAMS, *WITH_NETWORK],
        EVERY,
    ),
}
HOST = Path(__file__).with_name("escape_host.py")


def attacks(given: str) -> list[Path]:
    """Return the programs that a box is tried with."""
    _, own, kinds = GIVEN[given]
    return [path for path in PROGRAMS if kinds == EVERY or oracle(path) in kinds.split()] + own


def oracle(program: Path) -> str:
    """Return what the program would show if it held."""
    return next(line.split()[-1] for line in program.read_text().splitlines() if line.startswith("# oracle:"))


@cache
def report(mode: str, given: str = "nothing") -> dict[str, object]:
    uid, without = MODES[mode]
    access = GIVEN[given][0]
    if uid == 0 and os.geteuid() != 0:
        pytest.skip("needs root")
    drop = uid if os.geteuid() == 0 and uid else None
    order = json.dumps(
        {"uid": drop, "without": without, "access": access, "programs": list(map(str, attacks(given)))}
    )
    done = subprocess.run([sys.executable, str(HOST), order], capture_output=True, text=True, timeout=400)
    if "Permission denied" in done.stderr and drop:
        pytest.skip("the unprivileged user cannot read this checkout or interpreter")
    assert done.returncode == 0, f"the host died: {done.returncode} {done.stderr[-3000:]}"
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_no_program_reaches_a_canary(program: Path, mode: str) -> None:
    outcome = report(mode)["outcomes"][str(program)]
    assert outcome["breaches"] == [], outcome


@pytest.mark.parametrize(
    ("mode", "given"),
    [
        ("root", "all programs and one host"),
        ("root", "bash"),
        ("root", "folders"),
        ("unprivileged", "folders"),
        ("unprivileged without namespaces", "folders"),
        ("unprivileged", "one host"),
        ("unprivileged without namespaces", "all programs"),
    ],
)
def test_no_program_reaches_a_canary_with_what_a_box_may_be_given(mode: str, given: str) -> None:
    outcomes = report(mode, given)["outcomes"]
    assert {Path(name).stem: found for name, found in outcomes.items() if found["breaches"]} == {}
    assert len(outcomes) == len(attacks(given)) > len(GIVEN[given][1])


@pytest.mark.parametrize("mode", MODES)
def test_after_all_of_them_the_jail_works(mode: str) -> None:
    assert report(mode)["works"] == 2


def test_the_canaries_see_an_escape_when_there_is_one(tmp_path: Path) -> None:
    program = tmp_path / "open.py"
    program.write_text(
        "import socket\nprint(open('{{SECRET_FILE}}').read())\nopen('{{PWN_FILE}}', 'w').close()\n"
        "socket.create_connection(('127.0.0.1', {{PORT}}))\n"
        "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', '{{SCRATCH_DIR}}/host.sock')\n"
    )
    order = json.dumps({"uid": None, "without": ["jail"], "programs": [str(program)]})
    done = subprocess.run([sys.executable, str(HOST), order], capture_output=True, text=True, timeout=100)
    (outcome,) = json.loads(done.stdout)["outcomes"].values()
    found = " ".join(outcome["breaches"])
    assert "files" in found
    assert "reached the port" in found
    assert "host.sock" in found
    assert "knows " in found
