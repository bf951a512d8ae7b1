# attack: network/by-other-sockets
# oracle: network
# imports: socket, os
# tools:
# source: own
# note: sockets of every kind in a box that has a network of its own; listeners, options, packets, the host's Unix sockets
import os, socket
port = {{PORT}}
for family in (socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET, socket.AF_VSOCK, socket.AF_ALG, socket.AF_CAN, socket.AF_BLUETOOTH, 44):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        try:
            s = socket.socket(family, kind)
            print("made", family, kind)
            for address in ("{{SCRATCH_DIR}}/host.sock", "\0host-{{ENV_NAME}}", (2, port), (0, 0)):
                try:
                    s.connect(address)
                    s.send(b"x")
                except (OSError, TypeError, ValueError) as error:
                    print(error)
        except OSError as error:
            print(family, kind, error)
for kind in (socket.SOCK_RAW, socket.SOCK_PACKET):
    try:
        socket.socket(socket.AF_INET, kind, 255)
        print("raw")
    except OSError as error:
        print(error)
s = socket.socket()
for level, option, value in ((1, 26, b"\0" * 16), (1, 25, b"lo\0"), (1, 36, 1), (0, 19, 1), (0, 15, b"\0" * 8), (6, 31, b"tls"), (1, 50, 1), (41, 75, 1), (1, 12, 7)):
    try:
        s.setsockopt(level, option, value)
        print("set", level, option)
    except OSError as error:
        print(level, option, error)
for address in (("127.0.0.1", port), ("10.0.2.2", port), ("172.17.0.1", port), ("192.168.0.1", 80), ("1.1.1.1", 53), ("255.255.255.255", 9)):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        try:
            with socket.socket(socket.AF_INET, kind) as s:
                s.settimeout(0.3)
                s.connect(address)
                s.send(b"x")
                print("sent", address, kind)
        except OSError as error:
            print(address, error)
held = []
try:
    for _ in range(300):
        held.append(socket.create_connection(("api.github.com", 443), timeout=0.2))
except OSError as error:
    print(len(held), error)
