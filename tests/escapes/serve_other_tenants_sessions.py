# attack: serve/other-tenants-sessions
# oracle: reach
# source: own
# note: bob has the names of alice's session, stream and fork, and asks for each by every request that there is
import httpx
from websockets.sync.client import connect


def attack(world):
    bob = httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.bob}"}, timeout=30)
    alice = httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.alice}"}, timeout=30)
    stream = alice.post("/v1/streams", json={}).json()["id"]
    reached = []
    for name in (world.session, stream):
        for method, path in [("GET", ""), ("DELETE", ""), ("POST", "/runs"), ("POST", "/programs"), ("POST", "/fork"), ("POST", "/reset"), ("POST", "/interrupt"),
                             ("PUT", "/variables"), ("GET", "/files"), ("GET", "/files/secret.txt"), ("PUT", "/files/secret.txt")]:
            for start in ("/v1/sessions/", "/v1/streams/", "/v1/sessions/../sessions/", "/v1/sessions/./", "/v1//sessions/", "/v1/sessions/%2e%2e/streams/"):
                answer = bob.request(method, f"{start}{name}{path}", json={"code": "1", "argv": ["true"], "variables": {"secret": 0}})
                if answer.status_code < 400:
                    reached.append((method, start, path, answer.status_code))
        for door in (f"/v1/sessions/{name}/tools", f"/v1/streams/{name}"):
            try:
                with connect(f"ws{world.url[4:]}{door}", additional_headers={"Authorization": f"Bearer {world.bob}"}) as socket:
                    socket.send('{"tools": {"spy": {}}}')
                    reached.append((door, socket.recv(5)))
            except Exception:  # refused: whatever the library calls it
                pass
    if name in bob.get("/v1/sessions").text:
        reached.append("listed")
    alice.delete(f"/v1/sessions/{stream}")
    return reached
