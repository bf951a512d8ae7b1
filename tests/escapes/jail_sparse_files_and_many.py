# attack: jail/sparse-files-and-many
# oracle: disk
# imports: os, mmap
# tools:
# source: own
# note: room taken by sparse files, mappings, fallocate, many files, and files without a name
import os, mmap
held = []
for n in range(200):
    try:
        fd = os.open(f"s{n}", os.O_RDWR | os.O_CREAT)
        held.append(fd)
        os.ftruncate(fd, 1 << 30)
        m = mmap.mmap(fd, 1 << 30)
        for at in range(0, 1 << 30, 4096):
            m[at] = 1
    except (OSError, ValueError):
        pass
