"""Words for evil.example, which the machine of api.example may serve too, in forms that a gateway might not take for a request or a greeting."""

import socket
import ssl
import time

REQUEST = b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"
incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
client = ssl._create_unverified_context().wrap_bio(incoming, outgoing, server_hostname="evil.example")
try:
    client.do_handshake()
except ssl.SSLWantReadError:
    GREETING = outgoing.read()
FORMS = {
    "late": [0.6, REQUEST],
    "in two": [REQUEST[:2], 0.4, REQUEST[2:]],
    "behind a late empty line": [0.6, b"\r\n", 0.4, REQUEST],
    "behind an empty line": [b"\r\n" + REQUEST],
    "behind spaces": [b"  \n " + REQUEST],
    "small letters": [REQUEST.replace(b"GET", b"get")],
    "a method of its own": [REQUEST.replace(b"GET", b"G-T")],
    "a long method": [REQUEST.replace(b"GET", b"G" * 40)],
    "a tab": [REQUEST.replace(b"GET ", b"GET\t")],
    "small version": [REQUEST.replace(b"GET", b"GE").replace(b"HTTP", b"http")],
    "greeting": [GREETING],
    "late greeting": [0.6, GREETING],
    "greeting in crumbs": [GREETING[:1], 0.1, GREETING[1:3], 0.1, GREETING[3:200], 0.1, GREETING[200:]],
}
for name, pieces in FORMS.items():
    try:
        with socket.create_connection(("api.example", {{PORT}}), timeout=5) as s:
            for piece in pieces:
                time.sleep(piece) if isinstance(piece, float) else s.sendall(piece)
            s.shutdown(socket.SHUT_WR)
            print(name, s.recv(300))
    except OSError as error:
        print(name, error)
