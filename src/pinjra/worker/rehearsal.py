"""A first run without a session, in a process that waits for one -> everything that a run touches is there and its own.

Only code of ours is run, and what it was run with is thrown away: the session gets an interpreter of its own.
"""

from __future__ import annotations

import gc
import select
import signal
import socket
import sys

from pinjra.wire.messages import Execute, Init
from pinjra.worker.interpreter import Loop
from pinjra.worker.ring import make_ring
from pinjra.worker.setup import Birth, Setup

__all__ = ["PROGRAM", "rehearse_run"]

PROGRAM = "numbers = [1, 2]\nprint(len(numbers))\nsum(numbers)"


def rehearse_run(times: int = 1) -> None:
    """Run a trivial program as an interpreter does; leave this process as it was."""
    streams = sys.stdout, sys.stderr
    handler = signal.getsignal(signal.SIGINT)
    pairs = [socket.socketpair() for _ in range(3)]
    stream, side, wake = (pair[0] for pair in pairs)
    init = Init(authorized_imports=(), limits={"cpu_seconds": None}, rollback=False)
    loop = Loop(Birth(0, stream, side, wake, make_ring()), Setup(init, ""))
    for run in range(1, times + 1):
        loop.carry_out(Execute(run=run, code=PROGRAM))
        if select.select([pairs[0][1]], [], [], 0)[0]:
            pairs[0][1].recv(1 << 16)
    signal.signal(signal.SIGINT, handler)
    sys.stdout, sys.stderr = streams
    for pair in pairs:
        for end in pair:
            end.close()
    del loop
    gc.collect()
