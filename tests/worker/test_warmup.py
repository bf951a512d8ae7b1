"""Sessions that are played before the first one: what they leave behind, and that they run what a session runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PLAY = """
import gc, os, random, signal, sys
from pinjra.jail.spawn import forks
forks.hold_back()
from pinjra.worker.warmup import warm_up
from pinjra.worker.supervisor.host_stream import Session
from pinjra.worker.supervisor.loop import Supervisor

def state():
    gc.collect()
    fds = sorted(os.listdir("/proc/self/fd"))
    return fds, sys.stdout, sys.stderr, os.getcwd(), dict(os.environ), signal.getsignal(signal.SIGINT)

before = state()
turns = []
turn = Supervisor.turn
Supervisor.turn = lambda self: (turns.append(1), turn(self))
warm_up(sys.argv[1])
signal.signal(signal.SIGINT, before[-1])
after = state()
assert after == before, (before, after)
try:
    os.waitpid(-1, os.WNOHANG)
    raise SystemExit("a child is left")
except ChildProcessError:
    pass
print(len(turns) > 30, os.listdir(sys.argv[1]))
"""


def test_playing_sessions_leaves_no_process_descriptor_or_file(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PLAY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("True []\n", "")
