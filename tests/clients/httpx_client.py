# needs: packages=httpx network
import os
import httpx

with httpx.Client(base_url=os.environ["URL"]) as client:
    assert client.get("/json").json() == {"path": "/json"}
    with client.stream("GET", "/large") as answer:
        assert sum(len(piece) for piece in answer.iter_bytes()) == 300_000
