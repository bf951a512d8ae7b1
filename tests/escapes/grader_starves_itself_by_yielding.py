"""Gives its processor away again and again, in several processes, of the lowest priority that it may have."""

import os

for _ in range(4):
    os.fork()
try:
    os.nice(19)
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
except OSError:
    pass
while True:
    os.sched_yield()
