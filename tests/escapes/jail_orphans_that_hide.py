# attack: jail/orphans-that-hide
# oracle: runaway
# imports: os, signal, ctypes, time
# tools:
# source: own
# note: a child that has left its group, its session and its parent's death signal, and adopts its own
import os, signal, time
from pinjra.jail.walls.libc import prctl
if os.fork() == 0:
    os.setsid()
    prctl(1, 0)
    prctl(36, 1)
    for n in (1, 2, 3, 15):
        signal.signal(n, signal.SIG_IGN)
    if os.fork():
        while True:
            time.sleep(0.01)
    os.setsid()
    while True:
        pass
