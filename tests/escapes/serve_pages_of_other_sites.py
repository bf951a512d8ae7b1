# attack: serve/pages-of-other-sites
# oracle: reach
# source: own
# note: what a browser can be made to send, from another site, another port of this machine, a file, a frame, or a name that now means loopback
import httpx
from websockets.sync.client import connect


def attack(world):
    port = world.address[1]
    foreign = [{"Origin": each} for each in ("https://evil.example", "null", "file://", f"http://127.0.0.1:{port + 1}", "http://localhost:3000", f"http://127.0.0.1:{port}.evil.example",
                                             f"http://evil.example:{port}", f"http://127.0.0.1:{port}@evil.example", "http://127.0.0.1", f"https://127.0.0.1:{port}/../x@evil.example", "")]
    foreign += [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
    foreign += [{"Host": each} for each in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example", "localhost.", "0.0.0.0", "127.0.0.2", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "")]
    reached = []
    token = {"Authorization": f"Bearer {world.alice}"}
    for headers in foreign:
        with httpx.Client(base_url=world.url, headers=token, timeout=30) as client:
            for path, body in (("/v1/sessions", {}), ("/run_code", {"code": "1", "language": "python"}), (f"/v1/sessions/{world.session}/runs", {"code": "secret"})):
                answer = client.post(path, json=body, headers={**headers, "Content-Type": "text/plain"})
                if answer.status_code < 400:
                    reached.append((headers, path, answer.status_code))
        if "Origin" in headers:
            try:
                address = f"ws{world.url[4:]}/v1/sessions/{world.session}/tools"
                with connect(address, additional_headers={**headers, **token}) as socket:
                    socket.send('{"tools": {"spy": {}}}')
                    reached.append((headers, socket.recv(5)))
            except Exception:
                pass
    for headers in ({"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"},):
        answer = httpx.options(f"{world.url}/v1/sessions", headers=headers)
        if "access-control-allow-origin" in answer.headers:
            reached.append("preflight")
    return reached
