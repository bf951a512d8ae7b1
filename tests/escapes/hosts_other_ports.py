"""The box may reach api.example at {{PORT}}: other ports of it, asked for plainly, as a proxy's word, and by the greeting of TLS."""

import socket
import ssl

for port in (1, 22, 80, 443, {{PORT}} + 1, 65535):
    try:
        with socket.create_connection(("api.example", port), timeout=2) as s:
            print("connected", port)
            s.sendall(b"GET /other-port HTTP/1.1\r\nHost: api.example\r\n\r\n")
            print(s.recv(300))
    except OSError as error:
        print(port, error)
for port in (22, 443, {{PORT}} + 1):
    with socket.create_connection(("api.example", {{PORT}}), timeout=2) as s:
        s.sendall(f"CONNECT api.example:{port} HTTP/1.1\r\nHost: api.example:{port}\r\n\r\n".encode())
        print(port, s.recv(300))
try:
    with socket.create_connection(("api.example", {{PORT}}), timeout=2) as s:
        ssl._create_unverified_context().wrap_socket(s, server_hostname="127.0.0.1").sendall(b"GET /tls HTTP/1.1\r\n\r\n")
except OSError as error:
    print(error)
