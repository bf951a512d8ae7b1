# attack: jail/timers-and-signals
# oracle: runaway
# imports: os, signal, ctypes
# tools:
# source: own
# note: timers and queued signals without number, every signal ignored
from pinjra.jail.walls.libc import syscall, buffer

import signal
for n in range(1, 65):
    try:
        signal.signal(n, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
timers = 0
try:
    while True:
        syscall("timer_create", 1, None, buffer(bytes(8)))
        timers += 1
except OSError:
    pass
while True:
    pass
