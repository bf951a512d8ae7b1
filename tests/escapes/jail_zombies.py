# attack: jail/zombies
# oracle: procs
# imports: os
# tools:
# source: own
# note: children that nobody waits for
import os
made = 0
for _ in range(150):
    try:
        if os.fork() == 0:
            os._exit(0)
        made += 1
    except OSError:
        pass
final_answer(made)
