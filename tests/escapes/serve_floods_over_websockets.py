# attack: serve/floods-over-websockets
# oracle: alive
# source: own
# note: many sockets of one session, messages that nobody takes, answers to no call, tools without end, and half a handshake
import contextlib
import json
import socket

from websockets.sync.client import connect


def attack(world):
    before = world.memory_bytes()
    reached = []
    address = f"ws{world.url[4:]}/v1/sessions/{world.session}/tools"
    token = {"Authorization": f"Bearer {world.alice}"}
    with contextlib.ExitStack() as many:
        taken = 0
        for _ in range(100):
            try:
                many.enter_context(connect(address, additional_headers=token))
                taken += 1
            except Exception:
                break
        if taken >= 100:
            reached.append("100 sockets of one session")
    for said in ('{"tools": {"a": ' + "[" * 200_000, "[" * 500_000, '{"call": 1, "value": 2}' , json.dumps({"tools": {f"t{n}": {} for n in range(5000)}}), '{"tools": 5}', "null", '{"call": []}', '{"call": {}}',
                 '{"tools": {"__import__": {}, "a b": {}, "": {}}}', json.dumps({"tools": {"x": {"doc": "y" * (8 << 20)}}})):
        with contextlib.suppress(Exception), connect(address, additional_headers=token, max_size=None) as client:
            for _ in range(20):
                client.send(said)
    with contextlib.suppress(Exception), connect(address, additional_headers=token, max_size=None) as client:
        for _ in range(64):
            client.send("x" * (32 << 20))
        reached.append("2 GiB of messages were taken")
    for _ in range(50):
        with contextlib.suppress(OSError), socket.create_connection(world.address, timeout=10) as raw:
            raw.sendall(b"GET /v1/sessions/x/tools HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    if world.memory_bytes() - before > 256 << 20:
        reached.append("the memory stays")
    return reached
