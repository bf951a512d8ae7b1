"""What other libraries use in place of a worker: a Jupyter kernel, by execute requests, and E2B's `run_code` in front of one.

The kernel is the real ipykernel, E2B's SDK is the real one; between these two stands a small server of ours that passes on what
the vendor's would, line by line. The vendor's does more work for each cell (a WebSocket, charts), so `run_code` is a lower bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

TRIPS = 30
LARGE = "import base64; print(base64.b64encode(b'x' * (4 << 20)).decode())"
Add = Callable[[str, float], None]


def once(function: Callable[[], Any]) -> float:
    """Return milliseconds."""
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1e3


def jupyter(add: Add) -> None:
    """Start, use and end one kernel."""
    from jupyter_client.manager import start_new_kernel

    started = time.perf_counter()
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive("1 + 1", output_hook=lambda _: None)
        add("open to first result", (time.perf_counter() - started) * 1e3)
        _use(lambda code: client.execute_interactive(code, output_hook=lambda _: None), add)
    finally:
        client.stop_channels()
        add("close", once(lambda: manager.shutdown_kernel(now=True)))


def _use(execute: Callable[[str], Any], add: Add) -> None:
    for _ in range(TRIPS):
        add("without rollback", once(lambda: execute("x = 1 + 1")))  # a kernel has none
    add("4 MiB value", once(lambda: execute(LARGE)))


class Cells:
    """E2B's code-interpreter server: POST /execute, answered by one JSON object a line."""

    def __init__(self) -> None:
        self.kernels: dict[str, Any] = {}

    async def kernel(self, sandbox: str) -> Any:
        """Return the kernel of a sandbox, started at its first cell."""
        from jupyter_client.manager import start_new_async_kernel

        if sandbox not in self.kernels:
            self.kernels[sandbox] = await start_new_async_kernel(kernel_name="python3")
        return self.kernels[sandbox][1]

    async def execute(self, request: Any) -> Any:
        """Run one cell."""
        from starlette.responses import StreamingResponse

        asked = await request.json()
        client = await self.kernel(request.headers["e2b-sandbox-id"])
        return StreamingResponse(self._lines(client, asked["code"]), media_type="application/x-ndjson")

    async def _lines(self, client: Any, code: str) -> AsyncIterator[str]:
        waiting: asyncio.Queue[Any] = asyncio.Queue()
        task = asyncio.create_task(client.execute_interactive(code, output_hook=waiting.put_nowait))
        task.add_done_callback(waiting.put_nowait)
        while (said := await waiting.get()) is not task:
            line = _as_e2b_says(said["msg_type"], said["content"])
            if line is not None:
                yield json.dumps(line) + "\n"
        yield json.dumps({"type": "end_of_execution"}) + "\n"

    async def stop(self) -> None:
        """End all kernels."""
        for manager, client in self.kernels.values():
            client.stop_channels()
            await manager.shutdown_kernel(now=True)
        self.kernels.clear()


def _as_e2b_says(kind: str, content: dict[str, Any]) -> dict[str, Any] | None:
    if kind == "execute_input":
        return {"type": "number_of_executions", "execution_count": content["execution_count"]}
    if kind == "stream":
        return {"type": content["name"], "text": content["text"], "timestamp": time.time_ns()}
    if kind == "execute_result":
        return {"type": "result", "text": content["data"]["text/plain"], "is_main_result": True}
    if kind == "error":
        trace = "\n".join(content["traceback"])
        return {"type": "error", "name": content["ename"], "value": content["evalue"], "traceback": trace}
    return None


@contextlib.contextmanager
def run_code() -> Iterator[Callable[[Add], None]]:
    """Give what measures one sandbox of E2B by `run_code`."""
    from e2b_code_interpreter import Sandbox
    from remote_standins.standin_e2b import E2BStandIn
    from starlette.routing import Route

    cells = Cells()
    server = E2BStandIn(extra=[Route("/execute", cells.execute, methods=["POST"])])
    options = {"api_url": server.url, "sandbox_url": server.url, "api_key": "e2b_" + "0" * 40}

    def measure(add: Add) -> None:
        started = time.perf_counter()
        sandbox = Sandbox.create(**options)
        try:
            assert sandbox.run_code("1 + 1").text == "2"
            add("open to first result", (time.perf_counter() - started) * 1e3)
            _use(sandbox.run_code, add)
        finally:
            add("close", once(sandbox.kill))
            asyncio.run_coroutine_threadsafe(cells.stop(), server.loop).result(30)

    yield measure
    server.close()
