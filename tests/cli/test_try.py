"""scripts/try says how to use it, and refuses what it does not understand, before it sets anything up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from escapes.wheels_that_would_be_built import wheel

TRY = Path(__file__).parents[2] / "scripts" / "try"


@pytest.mark.parametrize(
    "arguments", [(), ("--help",), ("one", "two"), ("--small",), ("question", "--imports")]
)
def test_wrong_arguments_show_the_usage_and_have_status_2(arguments, tmp_path):
    done = subprocess.run([TRY, *arguments], capture_output=True, text=True, timeout=120, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert 'scripts/try "QUESTION" --small' in done.stderr
    assert "Installing" not in done.stderr


@pytest.mark.parametrize("script", ["try", "check"])
def test_a_python_that_is_named_is_the_one_that_is_taken(script, tmp_path):
    """One below a home folder was passed over for another, as if nobody had named it."""
    home = tmp_path / "a folder"
    shutil.copytree(TRY.parent, home / "scripts")
    named = tmp_path / "python"
    named.write_text(f'#!/bin/sh\ncase "$*" in *st_mode*) exit 1 ;; esac\nexec {sys.executable} "$@"\n')
    named.chmod(0o755)
    find = subprocess.run(
        ["bash", "-c", "source scripts/environment.sh; find_python"],
        capture_output=True, text=True, timeout=120, cwd=home, env={**os.environ, "PINJRA_PYTHON": str(named)},
    )  # fmt: skip
    assert (find.returncode, find.stdout) == (0, f"{named}\n")
    done = subprocess.run(
        [home / "scripts" / script, "question" if script == "try" else "--fast"],
        capture_output=True, text=True, timeout=120,
        env={**os.environ, "PINJRA_PYTHON": "/bin/sh", "PINJRA_CHECK": ""},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "PINJRA_PYTHON is no CPython 3.11 to 3.14: /bin/sh\n"


def test_an_environment_that_was_cut_while_it_was_made_gets_its_pip(tmp_path):
    home = tmp_path / "pinjra"
    shutil.copytree(TRY.parent, home / "scripts")
    (home / "pyproject.toml").write_text("")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / ".venv"], check=True, timeout=120)
    done = subprocess.run(
        ["bash", "-c", "source scripts/environment.sh; prepare_environment"],
        capture_output=True, text=True, timeout=300, cwd=home, env={**os.environ, "PIP_NO_INDEX": "1"},
    )  # fmt: skip
    assert done.returncode == 1  # there is nothing to install here
    assert (home / ".venv" / "bin" / "pip").exists()
    (home / ".venv" / "bin" / "pip").unlink()
    (home / ".venv" / "bin" / "python").unlink()
    (home / ".venv" / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (home / ".venv" / "bin" / "python").chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", "source scripts/environment.sh; prepare_environment"],
        capture_output=True, text=True, timeout=300, cwd=home,
    )  # fmt: skip
    assert done.returncode == 1
    assert "The environment .venv has no pip, and its Python none to give" in done.stderr


def test_without_a_package_index_it_says_what_to_check(tmp_path):
    home = tmp_path / "pinjra"
    shutil.copytree(TRY.parent, home / "scripts")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(TRY.parents[1] / name, home)
    subprocess.run([sys.executable, "-m", "venv", home / ".venv"], check=True, timeout=120)
    env = {
        **os.environ,
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "PIP_RETRIES": "0",
        "PIP_CONFIG_FILE": os.devnull,
    }
    env.pop("PIP_EXTRA_INDEX_URL", None)
    done = subprocess.run(
        [home / "scripts" / "try", "question"], capture_output=True, text=True, timeout=120, env=env
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[0] == "Installing Pinjra"  # the environment that was there is used
    assert (
        "pip could not get the packages (see above). Check the network, or set PIP_INDEX_URL." in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "where, is_known",
    [
        ({"PIP_INDEX_URL": "file://{folder}/simple"}, True),
        ({"PIP_EXTRA_INDEX_URL": "file://{folder}/nothing file://{folder}/simple"}, True),
        ({"PIP_FIND_LINKS": "{folder}/nothing {folder}/simple/ours"}, True),
        ({"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "{folder}/simple/ours"}, False),
    ],
)
def test_packages_come_from_where_pip_is_set_to_look(where, is_known, tmp_path):
    """uv reads none of pip's settings: it is told of them, and what it would not know of is left to pip itself."""
    uv = Path(sys.executable).with_name("uv")
    if not uv.exists():
        pytest.skip("uv is not here: scripts/check gets it where it can be had")
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/uv").symlink_to(uv)
    (tmp_path / "simple/ours").mkdir(parents=True)
    (tmp_path / "nothing").mkdir()
    wheel(tmp_path / "simple/ours", "ours")
    link = "ours-1.0-py3-none-any.whl"
    (tmp_path / "simple/ours/index.html").write_text(f'<a href="{link}">{link}</a>')
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "into"], check=True, timeout=120)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}
    env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": f"file://{tmp_path}/nothing"}
    env |= {name: value.format(folder=tmp_path) for name, value in where.items()}
    script = f"source {TRY.parent}/environment.sh; PYTHON=into/bin/python; install_into into/bin/python ours"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, timeout=300, cwd=tmp_path, env=env
    )
    assert done.returncode == 0, done.stderr
    (by,) = tmp_path.glob("into/lib/python3*/site-packages/ours-1.0.dist-info/INSTALLER")
    assert by.read_text().strip() == ("uv" if is_known else "pip")
