# attack: serve/more-than-it-may
# oracle: reach
# source: own
# note: bob asks for what his quota does not have, by limits without end, words for packages, hosts, mounts and executors, and by /run_code
import httpx


def attack(world):
    bob = httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.bob}"}, timeout=60)
    reached = []
    for wanted in ({"network": ["*"]}, {"network": ["127.0.0.1"]}, {"packages": ["six"]}, {"packages": ["-r /etc/passwd"]}, {"mounts": ["/"]}, {"mounts": ["../etc"]}, {"executor": "local"},
                   {"executor": "docker"}, {"executor": "http"}, {"executor": "../local"}, {"network": True}, {"mounts": {"a": "/etc"}}, {"python_path": ["/etc"]}, {"on_connection": "x"},
                   {"limits": {"memory_bytes": -1}}, {"timeout_seconds": 1e9}, {"image": "x"}, {"url": "http://evil.example"}):
        for path in ("/v1/sessions", "/v1/streams"):
            if bob.post(path, json=wanted).status_code < 400:
                reached.append((path, wanted))
    for body in (b'{"limits": {"wall_seconds": 1e999}}', b'{"limits": {"wall_seconds": Infinity}}', b'{"timeout_seconds": NaN}', b'{"limits": {"processes": 1e3}}'):
        if bob.post("/v1/sessions", content=body).status_code < 400:
            reached.append(body)
    huge = {"wall_seconds": 1e9, "cpu_seconds": 1e9, "memory_bytes": 1 << 60, "disk_bytes": 1 << 60, "output_bytes": 1 << 60, "value_bytes": 1 << 60, "processes": 1 << 30}
    path = bob.post("/v1/sessions", json={"limits": huge, "guard": False}).headers["Location"]
    for code in ("x = bytearray(600 << 20)", "print('x' * (100 << 20))", "'x' * (100 << 20)", "open('f', 'wb').write(b'x' * (600 << 20))"):
        done = bob.post(f"{path}/runs", json={"code": code, "wall_seconds": 1e6}).json()
        if len(done.get("stdout", "")) > 20 << 20 or (done.get("error") is None and "print" not in code):
            reached.append((code, done.get("error")))
    bob.delete(path)
    done = bob.post("/run_code", json={"code": "x = bytearray(600 << 20)", "language": "python", "memory_limit_MB": 1 << 40, "run_timeout": 3600}).json()
    if done["status"] == "Success":
        reached.append("memory of /run_code")
    return reached
