# attack: jail/sockets-of-every-family
# oracle: connect
# imports: socket, ctypes
# tools:
# source: own
# note: a socket of each family and type, and the pairs that could be pointed elsewhere
from pinjra.jail.walls.libc import syscall, buffer

import socket
for family in range(46):
    for kind in (1, 2, 3, 5):
        for how in (lambda: socket.socket(family, kind), lambda: socket.socketpair(family, kind)[0]):
            try:
                s = how()
            except (OSError, ValueError):
                continue
            for to in ("{{SCRATCH_DIR}}/host.sock", "\0host-{{ENV_NAME}}", ("127.0.0.1", {{PORT}})):
                for use in (lambda: s.connect(to), lambda: s.sendto(b"x", to), lambda: s.sendmsg([b"x"], [], 0, to)):
                    try:
                        use()
                    except (OSError, TypeError):
                        pass
