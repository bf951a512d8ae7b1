"""What gets in and out of a box, beside what a user would do without one. Ratios of medians within one run.

python bench/access.py [--docker IMAGE]
"""

from __future__ import annotations

import argparse
import http.server
import os
import signal
import statistics
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

from pinjra import Limits, sandbox
from pinjra.executors.jail import JailExecutor

ROUNDS = 60
REQUESTS = 300


class Answering(http.server.BaseHTTPRequestHandler):
    """Says one kilobyte."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # in one piece: else both wait for a late acknowledgement

    def do_GET(self) -> None:
        """Answer."""
        body = b"x" * 1024
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (http.server's name)
        """Write nothing."""


def median_ms(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median time of an action."""
    action()
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times) * 1000


def programs(image: str | None) -> None:
    """exec(["true"]) beside a plain subprocess, and beside `docker exec` in a container that runs."""
    plain = median_ms(lambda: subprocess.run(["true"], check=True))
    with sandbox("jail", programs=["bash"]) as box:
        ours = median_ms(lambda: box.exec(["true"]))
    print(f"exec true          {ours:7.2f} ms, plain subprocess {plain:6.2f} ms, ratio {ours / plain:.1f}")
    if image is not None:
        print(
            f"docker exec true   {(theirs := docker_exec(image)):7.2f} ms, beside ours ratio {theirs / ours:.1f}"
        )


def docker_exec(image: str) -> float:
    """Return the median time of `docker exec` in a container of an image."""
    start = ["docker", "run", "--detach", "--network", "none", image, "sleep", "600"]
    name = subprocess.run(start, check=True, capture_output=True, text=True).stdout.strip()
    try:
        return median_ms(lambda: subprocess.run(["docker", "exec", name, "true"], check=True))
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, capture_output=True)


CLIENT = """
import time, {module}
def go(url, count):
    times = []
    for _ in range(count):
        started = time.perf_counter()
        {call}
        times.append(time.perf_counter() - started)
    return sorted(times)[count // 2] * 1000
"""
CLIENTS = {
    "each a connection": ("urllib.request", "urllib.request.urlopen(url).read()"),
    "one kept open": ("requests", "session.get(url).content"),
}


def hosts() -> None:
    """A request through the gateway beside a direct one, by the same code."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    port = server.server_address[1]
    answering = os.fork()  # a process of its own, as servers are
    if answering == 0:
        server.serve_forever()
    for name, (module, call) in CLIENTS.items():
        code = CLIENT.format(module=module, call=call)
        code += "session = requests.Session()\n" if module == "requests" else ""
        space: dict[str, object] = {}
        exec(code, space)
        direct = space["go"](f"http://127.0.0.1:{port}/", REQUESTS)  # type: ignore[operator]
        options = {
            "network": [f"a.example:{port}"],
            "resolve": lambda _name, _port: ["127.0.0.1"],
            "guard": False,
        }
        with sandbox("jail", limits=Limits(wall_seconds=120), **options) as box:
            assert isinstance(box, JailExecutor)
            ours = box.run(f"{code}\ngo('http://a.example:{port}/', {REQUESTS})").value
        assert isinstance(ours, float)
        print(f"request, {name:18} {ours:7.2f} ms, direct {direct:6.2f} ms, ratio {ours / direct:.2f}")
    os.kill(answering, signal.SIGKILL)
    os.waitpid(answering, 0)
    server.server_close()


def layers() -> None:
    """An opening with a cached layer beside one without."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": folder, "PINJRA_CACHE": f"{folder}/cache"}
        with zipfile.ZipFile(Path(folder) / "tiny-1.0-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny.py", "")
            wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n")
            wheel.writestr(
                "tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            wheel.writestr("tiny-1.0.dist-info/RECORD", "")
        without = median_ms(lambda: sandbox("jail", spares=0).close(), 30)
        with_layer = median_ms(lambda: sandbox("jail", spares=0, packages=["tiny"]).close(), 30)
        for place, _, _ in os.walk(f"{folder}/cache"):
            os.chmod(place, 0o700)
    print(
        f"opening with layer {with_layer:7.2f} ms, without {without:6.2f} ms, {with_layer - without:+.2f} ms"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--docker", metavar="IMAGE", help="an image that the daemon has, with `true` and `sleep`"
    )
    programs(parser.parse_args().docker)
    hosts()
    layers()
