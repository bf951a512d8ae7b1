"""`pinjra serve` measured by its clients, beside SandboxFusion's own router. One run, so that the ratios mean something.

python bench/serve.py [--count 2000] [--clients 16] [--only fork,fresh,trip,idle,soak] [--idle 1000] [--soak SECONDS [--rate 2]]
                      [--router FOLDER] [--router-python PATH]   # a checkout of SandboxFusion, a Python with its packages: isolation off
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

SPARED_SECONDS = 3.0  # a machine under load brings nothing up any more when what just starts is killed
CODE = "print(sum(i * i for i in range(int(input()))))"


def expected(number: int) -> str:
    return f"{sum(i * i for i in range(number))}\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client:
    """One connection that is kept: as little work as possible, the machine is the service's."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(
        self, method: str, path: str, body: object = None, more: dict[str, str] | None = None
    ) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        data = b"" if body is None else json.dumps(body).encode()
        named = {
            "Host": "127.0.0.1",
            "Content-Type": "application/json",
            "Content-Length": str(len(data)),
            **(more or {}),
        }
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in named.items()
        )
        writer.write(head.encode() + b"\r\n" + data)
        said = (await reader.readuntil(b"\r\n\r\n")).lower()
        if b"transfer-encoding: chunked" in said:
            return int(said[9:12]), await self._chunks(reader)
        length = next(
            (int(line[15:]) for line in said.split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        return int(said[9:12]), await reader.readexactly(length) if length else b""

    async def _chunks(self, reader: asyncio.StreamReader) -> bytes:
        data = b""
        while size := int(await reader.readuntil(b"\r\n"), 16):
            data += (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)
        return data

    def renew(self) -> None:
        self.close()
        self._streams = None

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


@contextlib.contextmanager
def started(command: list[str], port: int, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, **options)  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, "it has ended"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(60)


@contextlib.contextmanager
def service(text: str = "", python_path: str = "") -> Iterator[tuple[int, int]]:
    """Port and process of a service with these settings."""
    port = free_port()
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [sys.executable, "-m", "pinjra", "serve", "--config", file.name, "--port", str(port)]
        path = {"PYTHONPATH": python_path} if python_path else {}
        with started(command, port, env={**os.environ, **path}) as process:
            yield port, process.pid


@contextlib.contextmanager
def router(folder: Path, python: str) -> Iterator[int]:
    """SandboxFusion's router as it is, isolation off, in this Python, whose own `python` is for the snippets."""
    port = free_port()
    with tempfile.TemporaryDirectory() as fake:
        folders = [Path(fake) / name for name in ("bin", "condabin")]  # what it takes for conda's
        for each in folders:
            each.mkdir()
        (folders[0] / "activate").write_text("true\n")
        app = f"import sys; sys.executable = {str(folders[0] / 'python')!r}; import logging, structlog, uvicorn\n"
        app += "structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))\n"
        app += "from fastapi import FastAPI; from sandbox.server.sandbox_api import sandbox_router\n"
        app += f"app = FastAPI(); app.include_router(sandbox_router); uvicorn.run(app, port={port}, log_level='error')\n"
        paths = os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])
        env = {**os.environ, "SANDBOX_CONFIG": "local", "PYTHONPATH": paths}
        env["PATH"] = f"{Path(python).parent}:{env['PATH']}"
        with started(
            [python, "-c", app],
            port,
            env=env,
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ):
            yield port


async def programs(port: int, count: int, clients: int) -> tuple[float, int, list[float]]:
    """Rate, wrong answers and milliseconds of each of `count` programs."""
    numbers = iter(range(count))
    wrong, times = 0, []

    async def work() -> None:
        nonlocal wrong
        client = Client(port)
        for number in numbers:
            value = 10 + number % 90
            begun = time.perf_counter()
            status, said = await client.ask(
                "POST", "/run_code", {"code": CODE, "language": "python", "stdin": str(value)}
            )
            times.append((time.perf_counter() - begun) * 1000)
            wrong += status != 200 or json.loads(said)["run_result"]["stdout"] != expected(value)
        client.close()

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(clients)))
    return count / (time.perf_counter() - begun), wrong, times


def told(name: str, port: int, count: int, clients: int) -> float:
    asyncio.run(programs(port, clients * 4, clients))  # warm
    rate, wrong, times = asyncio.run(programs(port, count, clients))
    middle, late = statistics.median(times), statistics.quantiles(times, n=100)[98]
    print(
        f"{name:34} {rate:8.1f}/s  {wrong} wrong of {count}  median {middle:.1f} ms, 99 % {late:.1f} ms",
        flush=True,
    )
    return rate


def run_code(wanted: set[str], count: int, clients: int, folder: Path | None, python: str) -> None:
    rates = {}
    for isolation in ("fork", "fresh"):
        if isolation in wanted:
            with service(f'isolation = "{isolation}"') as (port, _):
                rates[isolation] = told(f"/run_code, {isolation}", port, count, clients)
    if folder is not None:
        with router(folder, python) as port:
            theirs = told("SandboxFusion's router", port, max(count // 20, clients * 2), clients)
        print("ratios: " + ", ".join(f"{name} {rate / theirs:.1f} ×" for name, rate in rates.items()))


# ---------------------------------------------------------------- one session


def middle_of(times: list[float]) -> str:
    return f"{statistics.median(times):.2f} ms"


async def trips(port: int, count: int) -> list[float]:
    client = Client(port)
    session = json.loads((await client.ask("POST", "/v1/sessions", {}))[1])["id"]
    times = []
    for _ in range(count):
        begun = time.perf_counter()
        status, _ = await client.ask("POST", f"/v1/sessions/{session}/runs", {"code": "x = 1 + 1"})
        times.append((time.perf_counter() - begun) * 1000)
        assert status == 200
    await client.ask("DELETE", f"/v1/sessions/{session}")
    client.close()
    return times


def round_trip(count: int) -> None:
    from pinjra import sandbox
    from pinjra.executors.http import HttpExecutor

    def here(box) -> list[float]:
        times = []
        for _ in range(count):
            begun = time.perf_counter()
            box.run("x = 1 + 1")
            times.append((time.perf_counter() - begun) * 1000)
        return times

    with service() as (port, _), sandbox("jail") as box, HttpExecutor(url=f"http://127.0.0.1:{port}") as far:
        ours, theirs, streamed = [], [], []
        for _ in range(5):  # in turns: what else the machine does hits all of them
            ours += here(box)
            theirs += asyncio.run(trips(port, count))
            streamed += here(far)
    more = statistics.median(theirs) - statistics.median(ours)
    print(
        f"a run: in process {middle_of(ours)}, /v1 {middle_of(theirs)} ({more:+.2f} ms), executor http {middle_of(streamed)}",
        flush=True,
    )


# ---------------------------------------------------------------- many idle sessions


def tree(pid: int) -> list[int]:
    found, children = [pid], {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parts = entry.read_text().rpartition(")")[2].split()
            children.setdefault(int(parts[1]), []).append(int(entry.parent.name))
    for each in found:
        found += children.get(each, [])
    return found


def age_seconds(pid: int) -> float:
    """Since the process was started; 0 for one that has ended."""
    with contextlib.suppress(OSError):
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
        return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return 0.0


def private_mib(pid: int) -> float:
    """Proportional set of the service and all that it started."""
    total = 0
    for each in tree(pid):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


async def opened(port: int, count: int, idle_seconds: float) -> list[float]:
    client, times = Client(port), []
    for _ in range(count):
        begun = time.perf_counter()
        status, said = await client.ask("POST", "/v1/sessions", {"timeout_seconds": idle_seconds})
        times.append((time.perf_counter() - begun) * 1000)
        assert status == 201, said
    client.close()
    return times


def idle(count: int) -> None:
    settings = f"sessions = {count + 10}\n"
    with service(settings) as (port, pid):
        asyncio.run(opened(port, 3, 3600))
        before = private_mib(pid)
        seconds = max(count * 0.1, 30)
        times = asyncio.run(opened(port, count, seconds))
        each = (private_mib(pid) - before) / count
        last = statistics.median(times[-50:])
        print(
            f"{count} idle sessions: {each:.2f} MiB each; opening {middle_of(times)}, the last 50 {last:.2f} ms",
            flush=True,
        )
        deadline = time.monotonic() + seconds + 120
        while left(port) > 3 and time.monotonic() < deadline:
            time.sleep(1)
        print(
            f"left after their time: {left(port) - 3}; processes of the service now: {len(tree(pid))}",
            flush=True,
        )


def left(port: int) -> int:
    async def ask() -> int:
        client = Client(port)
        _, said = await client.ask("GET", "/v1/sessions")
        client.close()
        return len(json.loads(said)["sessions"])

    return asyncio.run(ask())


# ---------------------------------------------------------------- mixed load, with kills


async def a_program(client: Client) -> str:
    status, said = await client.ask("POST", "/run_code", {"code": CODE, "language": "python", "stdin": "50"})
    answer = json.loads(said)
    if status != 200 or answer["status"] != "Success":
        return "program failed, said so"
    return "program right" if answer["run_result"]["stdout"] == expected(50) else "WRONG"


async def a_session(client: Client) -> str:
    status, said = await client.ask("POST", "/v1/sessions", {})
    if status != 201:
        return f"session not opened, {json.loads(said)['error']['kind']}"
    path = f"/v1/sessions/{json.loads(said)['id']}"
    end = "session right"
    for turn in range(5):
        status, said = await client.ask("POST", f"{path}/runs", {"code": f"x = {turn}\nx * 2"})
        done = json.loads(said)
        if status != 200:
            end = f"session lost, {done['error']['kind']}"
            break
        if done["error"] is not None:
            end = f"session's run failed, {done['error']['cause'] or done['error']['type']}"
        elif done["value"] != turn * 2:
            end = "WRONG"
    await client.ask("DELETE", path)
    return end


async def a_sandbox(client: Client) -> str:
    """One of E2B's sandboxes: opened, a cell in it, closed."""
    status, said = await client.ask("POST", "/sandboxes", {"templateID": "base", "timeout": 60})
    opened = json.loads(said)
    if status != 201:
        return f"sandbox not opened, {status}"
    name = opened["sandboxID"]
    there = {"E2b-Sandbox-Id": name, "E2b-Sandbox-Port": "49999", "X-Access-Token": opened["envdAccessToken"]}
    try:
        status, said = await client.ask("POST", "/execute", {"code": "print(6 * 7)"}, there)
    except (OSError, EOFError):  # as the SDK finds out what that means
        client.renew()
        status, _ = await client.ask("GET", "/health", None, {**there, "E2b-Sandbox-Port": "49983"})
        return "sandbox ended, said so" if status == 502 else f"sandbox's connection ended, then {status}"
    end = "sandbox right" if b'"42\\n"' in said else f"sandbox's cell failed, {status}"
    await client.ask("DELETE", f"/sandboxes/{name}")
    return "WRONG" if status == 200 and b'"stdout"' in said and end != "sandbox right" else end


KINDS = (a_program, a_session, a_session, a_sandbox)


async def mixed(
    port: int, pid: int, seconds: float, clients: int, rate: float, tell: Callable[..., None]
) -> None:
    """Ask for everything, `rate` of it a second (0: as fast as it goes), and kill the service's processes meanwhile."""
    ends: Counter[str] = Counter()
    deadline = time.monotonic() + seconds

    async def work(seed: int) -> None:
        client, number = Client(port), seed
        while time.monotonic() < deadline:
            begun = time.monotonic()
            kind = KINDS[number % len(KINDS)]
            try:
                ends[await kind(client)] += 1
            except (OSError, EOFError) as error:
                ends[f"{kind.__name__}'s connection ended, {type(error).__name__}"] += 1
                client.renew()
            number += 1
            if rate:
                await asyncio.sleep(max(clients / rate - (time.monotonic() - begun), 0))
        client.close()

    async def kill() -> None:
        while time.monotonic() < deadline:
            await asyncio.sleep(10 / rate if rate else 0.5)
            below = [each for each in tree(pid)[1:] if age_seconds(each) >= SPARED_SECONDS]
            if below:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(random.choice(below), signal.SIGKILL)
                    ends["(killed)"] += 1

    async def report() -> None:
        while time.monotonic() < deadline:
            await asyncio.sleep(min(60, max(deadline - time.monotonic(), 0)))
            tell(ends)

    await asyncio.gather(kill(), report(), *(work(seed) for seed in range(clients)))


def soak(seconds: float, clients: int, rate: float) -> None:
    with service() as (port, pid):
        begun = time.monotonic()

        def tell(ends: Counter[str]) -> None:
            own = Path(f"/proc/{pid}/status").read_text()
            rss = next(int(line.split()[1]) for line in own.splitlines() if line.startswith("VmRSS"))
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
            print(
                f"{(time.monotonic() - begun) / 60:6.1f} min: {rss / 1024:.0f} MiB (with all below it {private_mib(pid):.0f}), "
                f"{descriptors} descriptors, {len(tree(pid))} processes; {dict(sorted(ends.items()))}",
                flush=True,
            )

        asyncio.run(mixed(port, pid, seconds, clients, rate, tell))
        print(f"{left(port)} sessions open at the end", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--only", default="fork,fresh,trip,idle,soak")
    parser.add_argument("--idle", type=int, default=1000)
    parser.add_argument("--soak", type=float, default=20)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--router", type=Path)
    parser.add_argument("--router-python", default=sys.executable)
    given = parser.parse_args()
    wanted = set(given.only.split(","))
    if wanted & {"fork", "fresh"}:
        run_code(wanted, given.count, given.clients, given.router, given.router_python)
    if "trip" in wanted:
        round_trip(200)
    if "idle" in wanted:
        idle(given.idle)
    if "soak" in wanted:
        soak(given.soak, given.clients, given.rate)


if __name__ == "__main__":
    main()
