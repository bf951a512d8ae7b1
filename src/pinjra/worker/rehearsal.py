"""A beginning and a run without a session, in processes that wait for one -> what they touch is there and their own.

Only code of ours is run, and what it was run with is thrown away: the session gets an interpreter of its own.
"""

from __future__ import annotations

import gc
import select
import signal
import socket
import sys
from collections import deque

from pinjra.core.limits import Limits
from pinjra.guard.policy import DEFAULT_AUTHORIZED
from pinjra.wire.connection import HostConnection
from pinjra.wire.messages import Execute, Init
from pinjra.worker.interpreter.forked import Loop
from pinjra.worker.setup import Birth, Setup
from pinjra.worker.supervisor.host import Host, hello

__all__ = ["PROGRAM", "configuration", "rehearse_opening", "rehearse_run"]

PROGRAM = "numbers = [1, 2]\nlen(numbers)\nsum(numbers)"


def configuration(folder: str) -> Init:
    """Return what a host says first, much as it is in every session."""
    limits = {name: getattr(Limits(), name) for name in Limits.__slots__}
    return Init(
        authorized_imports=DEFAULT_AUTHORIZED, limits=limits, rollback=False, scratch=folder, raw=True
    )


def rehearse_opening() -> None:
    """Hear a configuration as a supervisor does, and say it as its interpreter wants it."""
    ours, theirs = socket.socketpair()
    with ours:
        stream = theirs.detach()
        host, connection = Host(stream, stream), HostConnection()
        host.send(hello((), (), (), has_rollback=True))
        deque(connection.receive_data(ours.recv(1 << 16)), maxlen=0)
        ours.sendall(connection.send(configuration("")))
        for message in host.receive():
            if isinstance(message, Init):
                Setup(message, message.scratch).pack()
        host.close()


def rehearse_run(times: int = 1) -> None:
    """Run a trivial program as an interpreter does; leave this process as it was."""
    streams = sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__
    handler = signal.getsignal(signal.SIGINT)
    pairs = [socket.socketpair() for _ in range(3)]
    stream, side, wake = (pair[0] for pair in pairs)
    init = Init(authorized_imports=(), limits={"cpu_seconds": None}, rollback=False)
    loop = Loop(Birth(0, stream, side, wake), Setup(init, ""))
    for run in range(1, times + 1):
        loop.carry_out(Execute(run=run, code=PROGRAM))
        if select.select([pairs[0][1]], [], [], 0)[0]:
            pairs[0][1].recv(1 << 16)
    signal.signal(signal.SIGINT, handler)
    sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__ = streams  # type: ignore[misc]
    for pair in pairs:
        for end in pair:
            end.close()
    del loop
    gc.collect()
