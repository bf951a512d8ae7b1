"""The audit hook, in a process that nothing else confines: files of the working folder only, no processes, no sockets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_HOST = """
import sys, threading
from pinjra.core.limits import Limits
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.policy import Policy
interpreter = Interpreter(Policy(imports="standard", is_walled=False), limits=Limits())
outcome = interpreter.run(sys.argv[1])
open(sys.argv[2]).close()  # between runs the process does what it likes
print(outcome.error.message if outcome.error else repr(outcome.value))
"""


def _run(source: str, folder: Path) -> str:
    work = folder / "work"
    work.mkdir()
    (folder / "outside.txt").write_text("secret")
    command = [sys.executable, "-c", _HOST, source, str(folder / "outside.txt")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=work, timeout=120, check=True)
    return done.stdout.strip()


def test_what_an_exception_says_of_itself_is_looked_at_too(tmp_path: Path) -> None:
    source = "class E(Exception):\n    def __str__(self): return open('../outside.txt').read()\nraise E"
    assert _run(source, tmp_path) == "<its message could not be made>"


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("open('../outside.txt')", "open"),
        ("open('../new.txt', 'w')", "open"),
        ("open('/etc/hostname')", "open"),
        ("import os\nos.open('../outside.txt', os.O_RDONLY)", "open"),
        ("import os\nos.symlink('../outside.txt', 'link')", "os.symlink"),
        ("import os\nos.listdir('..')", "os.listdir"),
        ("import os\nos.remove('../outside.txt')", "os.remove"),
        ("import os\nos.rename('../outside.txt', 'mine')", "os.rename"),
        ("import os\nos.link('../outside.txt', 'mine')", "os.link"),
        ("import os\nos.chmod('../outside.txt', 0o777)", "os.chmod"),
        ("import os\nos.mkdir('../more')", "os.mkdir"),
        ("import shutil\nshutil.rmtree('..')", "shutil.rmtree"),
        ("import pathlib\npathlib.Path('../outside.txt').read_text()", "open"),
        ("import os, sys\nopen(sys.executable + '.new', 'w')", "open"),
        ("class P:\n    def __fspath__(self): return '../outside.txt'\nopen(P())", "open"),
        ("import subprocess\nsubprocess.run(['true'])", "subprocess.Popen"),
        ("import os\nos.system('true')", "os.system"),
        ("import os\nos.fork()", "os.fork"),
        ("import os\nos.kill(os.getppid(), 0)", "os.kill"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "socket."),
        ("import socket\nsocket.socket().bind(('127.0.0.1', 0))", "socket.bind"),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')", "<urlopen error"),
        ("import sqlite3\nsqlite3.connect('../new.db')", "sqlite3.connect"),
        ("import threading\nsaid = []\ndef f():\n    try: open('../outside.txt')\n"
         "    except Exception as e: said.append(str(e))\n"
         "t = threading.Thread(target=f)\nt.start()\nt.join()\nraise ValueError(said[0])", "open"),
    ],
)  # fmt: skip
def test_what_leaves_the_folder_is_refused(source: str, refused: str, tmp_path: Path) -> None:
    said = _run(source, tmp_path)
    assert said.startswith(refused), said
    assert "is refused here" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outside.txt", "work"]


@pytest.mark.parametrize(
    "source",
    [
        "open('a.txt', 'w').write('x')\nopen('a.txt').read() == 'x'",
        "import os\nos.makedirs('a/b')\nos.rename('a/b', 'a/c')\nos.listdir('a') == ['c']",
        "from pathlib import Path\nPath('p').write_text('x')\n[p.name for p in Path('.').iterdir()] == ['p']",
        "import tempfile, os\nwith tempfile.TemporaryFile(dir='.') as f: f.write(b'x')\nTrue",
        "import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 1\nasyncio.run(f()) == 1",
        "import zoneinfo, datetime\ndatetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo('UTC')).tzname() == 'UTC'",
        "import sqlite3\nc = sqlite3.connect(':memory:')\nc.execute('select 1').fetchone() == (1,)",
        "import json, decimal, email, xml.dom.minidom\nTrue",
        "import uuid, random\nlen(str(uuid.uuid4())) == 36",
    ],
)
def test_ordinary_work_in_the_folder_goes_on(source: str, tmp_path: Path) -> None:
    assert _run(source, tmp_path) == "True"
