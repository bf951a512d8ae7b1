# attack: serve/smuggled-requests
# oracle: reach
# source: own
# note: two lengths, lengths that are none, chunks that lie: a second request that no token stands on must not be answered as alice's
import socket


def attack(world):
    token = f"Authorization: Bearer {world.alice}\r\n".encode()
    inner = b"GET /v1/sessions HTTP/1.1\r\nHost: evil.example\r\n" + token + b"\r\n"
    start = b"POST /v1/sessions/" + world.session.encode() + b"/runs HTTP/1.1\r\nHost: 127.0.0.1\r\n" + token
    bodies = [
        b"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + inner,
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + inner,
        b"Content-Length: 0\r\nContent-Length: 200\r\n\r\n" + inner,
        b"Content-Length: +0\r\n\r\n" + inner,
        b"Content-Length: 0x0\r\n\r\n" + inner,
        b"Content-Length: -1\r\n\r\n" + inner,
        b"Content-Length: 99999999999999999999999\r\n\r\n" + inner,
        b"Content-Length : 0\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\n0;ext=\"\r\n\"\r\n\r\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n" + inner,
        b"Transfer-Encoding: chunked\r\n\r\n-1\r\n" + inner,
        b"Expect: 100-continue\r\nContent-Length: 0\r\n\r\n" + inner,
        b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 0\r\n\r\n" + inner,
        b"X: a\nHost: evil.example\r\n\r\n",
        b"X: a\rHost: evil.example\r\n\r\n",
        b"X: a\r\n Host: evil.example\r\n\r\n",
    ]
    reached = []
    for body in bodies:
        with socket.create_connection(world.address, timeout=5) as raw:
            raw.sendall(start + body)
            said = b""
            try:
                while piece := raw.recv(65536):
                    said += piece
                    if b'"sessions"' in said:
                        break
            except OSError:
                pass
            if b'"sessions"' in said:  # the inner one names another Host: whoever answers it took it past the check
                reached.append(body[:60])
    return reached
