# attack: jail/clone-with-every-flag
# oracle: spawn
# imports: ctypes, os
# tools:
# source: own
# note: namespaces and parents, one flag at a time, by clone and clone3
from pinjra.jail.walls.libc import syscall, buffer

import os
me = os.getpid()
for bit in range(7, 32):
    if 1 << bit in (0x100, 0x4000, 0x10000, 0x80000, 0x100000, 0x200000, 0x1000000, 0x800, 0x40000):
        continue
    for how in (lambda: syscall("clone", 1 << bit | 17, 0, 0, 0, 0), lambda: syscall("clone3", buffer((1 << bit).to_bytes(8, "little") + bytes(80)), 88)):
        try:
            if how() == 0:
                if 1 << bit & 0x7E020000:
                    open("{{PWN_FILE}}", "w").close()
                os._exit(0)
        except OSError:
            pass
