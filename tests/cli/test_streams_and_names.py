"""Whatever standard output is, there is no traceback; whatever is misspelt, the nearest name is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest


def pinjra(command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which `pinjra` is the command."""
    env = {key: value for key, value in os.environ.items() if not key.endswith(("_API_KEY", "_TOKEN"))}
    line = command.replace("pinjra", f"{sys.executable} -m pinjra", 1)
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=120, env={**env, **environment}
    )


def test_alone_it_prints_its_help_in_lines():
    done = pinjra("pinjra")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 8
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("pinjra exce -c 1", "there is no command 'exce'; perhaps you mean 'exec'"),
        ("pinjra exec --imprts a -c 1", "'--imports'"),
        ("pinjra exec -c 1 --executor jial", "'jail'"),
        ("pinjra run x --tools web_serach --model openai:x", "perhaps you mean 'web_search'"),
        ("pinjra run x --model opnai:x", "perhaps you mean 'openai'"),
    ],
)
def test_a_misspelt_name_is_answered_by_the_nearest(command, said):
    done = pinjra(command)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_key_is_bad_input():
    pytest.importorskip("openai")
    done = pinjra("pinjra run x --model openai:gpt-x --executor local")
    assert done.returncode == 2
    assert "set OPENAI_API_KEY" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        "pinjra models list",
        "pinjra exec --executor local -c 'print(1)'",
        "pinjra exec --executor local -c '1' --json",
    ],
)
@pytest.mark.parametrize("to", [">&-", ">&- 2>&-", "| true"])
def test_a_closed_output_is_no_traceback(command, to):
    assert "Traceback" not in pinjra(f"{command} {to}").stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "command", ["pinjra models list", "pinjra exec --executor local -c 'print(1)'", "pinjra --help"]
)
def test_a_full_disk_is_one_line(command):
    done = pinjra(f"{command} > /dev/full")
    assert done.returncode == 4
    assert "No space left on device" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_of_few_characters_shows_the_others_spelled_out():
    done = pinjra("pinjra exec --executor local -c 'print(chr(233), chr(0x4e16))'", PYTHONIOENCODING="ascii")
    assert (done.stdout, done.returncode) == ("\\xe9 \\u4e16\n", 0)
    assert "Traceback" not in pinjra("pinjra doctor", PYTHONIOENCODING="ascii").stderr


@pytest.mark.parametrize(
    ("code", "value"),
    [("float('nan')", "NaN"), ("[1e999]", ["Infinity"]), ("{'a': -1e999}", {"a": "-Infinity"})],
)
def test_json_for_machines_is_json(code, value):
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    done = pinjra(f'pinjra exec --executor local --json -c "{code}"')
    assert json.loads(done.stdout, parse_constant=refuse)["value"] == value
