"""A web API with a key that the code never sees: the host adds the header, outside the box.

    python examples/secret_api.py

The server of this example is one of this machine; for a real one write network=["api.github.com"] and
secrets={"api.github.com": {"Authorization": "Bearer …"}} (over TLS that wants pip install 'pinjra[network]').
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from pinjra import CodeAgent, ScriptedModel

KEY = "Bearer key-of-the-shop"

SCRIPT = [
    """I ask the API for the orders and add them up.
```python
import json, os, urllib.request

with urllib.request.urlopen(os.environ["SHOP"] + "/orders") as answer:
    orders = json.load(answer)
total = sum(order["euros"] for order in orders)
print(total, [name for name, value in os.environ.items() if "key-of-the-shop" in value])
```""",
    "```python\nfinal_answer(total)\n```",
]


def main() -> None:
    """Let an agent read the orders, and show that it never had the key."""
    with shop() as (address, seen):
        access = {
            "network": [address],
            "secrets": {address: {"Authorization": KEY}},
            "env": {"SHOP": f"http://{address}"},
        }
        with CodeAgent(model=ScriptedModel(SCRIPT), executor_kwargs=access, verbosity_level=0) as agent:
            print("total:", agent.run("What do all orders come to?"))
            said = json.dumps(agent.memory.get_full_steps(), default=str)
    print("the server saw the key:", seen == [KEY])
    print("the agent saw the key:", KEY in said)


@contextmanager
def shop() -> Iterator[tuple[str, list[str]]]:
    """Serve orders to whoever has the key; give the address, and the keys that were shown."""
    seen: list[str] = []

    class Orders(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("Authorization", ""))
            known = seen[-1] == KEY
            body = json.dumps([{"euros": 20}, {"euros": 22}] if known else {"error": "who are you?"}).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
            """Write nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Orders) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


if __name__ == "__main__":
    main()
