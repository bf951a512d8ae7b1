# attack: serve/slow-and-huge-heads
# oracle: alive
# source: own
# note: heads without an end, heads that never come whole, and answers that nobody reads; without a token
import socket
import time


def attack(world):
    before = world.memory_bytes()
    reached = []
    with socket.create_connection(world.address, timeout=30) as raw:
        raw.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        sent = 0
        try:
            while sent < 256 << 20:
                sent += raw.send(b"X: " + b"y" * 65000 + b"\r\n")
            reached.append("256 MiB of head were taken")
        except OSError:
            pass
    with socket.create_connection(world.address, timeout=30) as raw:
        sent = 0
        try:
            while sent < 256 << 20:
                sent += raw.send(b"G" * 65000)
            reached.append("256 MiB of a method were taken")
        except OSError:
            pass
    slow = [socket.create_connection(world.address, timeout=60) for _ in range(50)]
    for number, raw in enumerate(slow):
        raw.sendall(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"[: number % 40])
    left = 0
    deadline = time.monotonic() + 60
    for raw in slow:
        raw.settimeout(max(deadline - time.monotonic(), 0.1))
        try:
            left += raw.recv(1000) != b""
        except TimeoutError:
            left += 1
        except OSError:
            pass
        raw.close()
    if left:
        reached.append(f"{left} connections with half a head are still there")
    if world.memory_bytes() - before > 64 << 20:
        reached.append("the memory stays")
    return reached
