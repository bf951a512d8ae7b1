"""The zip that goes into a box: the same bytes each time, and a worker on every Python that is here."""

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from pinjra.executors.bootstrap.worker_zip import worker_zip
from pinjra.wire.messages import Lost

PYTHONS = sorted(Path.home().glob(".pyenv/versions/3.1[0-9]*/bin/python3")) or [Path(sys.executable)]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "worker.zip"
    path.write_bytes(worker_zip())
    return str(path)


def test_the_zip_has_the_same_bytes_in_every_process():
    code = (
        "import hashlib; from pinjra.executors.bootstrap.worker_zip import worker_zip; "
        "print(hashlib.sha256(worker_zip()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
        ).stdout
        for _ in range(2)
    }
    assert len(digests) == 1


def test_the_zip_holds_the_layers_of_the_box_and_nothing_else():
    names = zipfile.ZipFile(io.BytesIO(worker_zip())).namelist()
    layers = {name.split("/")[1] for name in names if name.count("/") > 1}
    assert layers == {"core", "guard", "wire", "jail", "worker", "snippets"}
    assert not any(name.endswith(".pyc") for name in names)


@pytest.mark.parametrize("python", PYTHONS, ids=[path.parts[-3] for path in PYTHONS])
def test_the_worker_runs_with_nothing_installed(open_host, packed, python):
    host = open_host([str(python), "-I", "-u", packed], guard=True, limits={"cpu_seconds": 5.0})
    host.grant(add=lambda a, b: a + b)
    host.grant(is_async=True, twice=lambda a: 2 * a)
    assert host.run("print('hello')\nx = add(40, 2)\nx") == 42
    assert host.text == "hello\n"
    assert host.run("import asyncio\nawait asyncio.gather(twice(1), twice(2))") == [2, 4]
    assert host.run("1 / 0")["line"] == 1


@pytest.mark.parametrize("python", PYTHONS, ids=[path.parts[-3] for path in PYTHONS])
def test_rollback_and_capture_work_on_every_python(open_host, packed, python):
    host = open_host([str(python), "-I", "-u", packed])
    assert host.run("exec('x = 1')\nx") == 1
    lost = host.run("import os\nx = 2\nos.write(2, b'last words')\nos._exit(3)")
    assert isinstance(lost, Lost)
    assert lost.rolled_back
    assert host.printed["stderr"] == "last words"
    assert host.run("x") == 1
