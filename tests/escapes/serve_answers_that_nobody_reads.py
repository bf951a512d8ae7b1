# attack: serve/answers-that-nobody-reads
# oracle: alive
# source: own
# note: alice's clients ask for a large file again and again, over connections that are never read, and for results as large
import contextlib
import socket

import httpx


def attack(world):
    reached = []
    token = {"Authorization": f"Bearer {world.alice}"}
    path = f"/v1/sessions/{world.session}"
    with httpx.Client(base_url=world.url, headers=token, timeout=300) as alice:
        made = alice.post(f"{path}/runs", json={"code": "n = open('large', 'wb').write(b'x' * (16 << 20))"})
        if made.json()["error"] is not None:
            reached.append(made.text)
    before, head = world.memory_bytes(), f"Host: 127.0.0.1\r\nAuthorization: Bearer {world.alice}\r\n"
    statuses = set()
    with contextlib.ExitStack() as many:
        for _ in range(40):
            raw = many.enter_context(socket.create_connection(world.address, timeout=300))
            raw.sendall(f"GET {path}/files/large HTTP/1.1\r\n{head}\r\n".encode())
            statuses.add(raw.recv(12))  # the answer has begun
        if world.memory_bytes() - before > 384 << 20:
            reached.append("640 MB of answers are in memory")
        with httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.bob}"}, timeout=300) as bob:
            own = bob.post("/v1/sessions", json={}).headers["Location"]
            if bob.put(f"{own}/files/x", content=b"y" * (3 << 20)).status_code != 204 or len(bob.get(f"{own}/files/x").content) != 3 << 20:
                reached.append("bob has no room")
            bob.delete(own)
    if statuses != {b"HTTP/1.1 200", b"HTTP/1.1 503"}:
        reached.append(statuses)
    return reached
