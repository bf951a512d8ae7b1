"""An ASGI app served on loopback, on a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

# Nothing of ours goes in but where the Python with the packages is that values of theirs need.
ENVIRONMENT = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
ENVIRONMENT["STANDIN_PATH"] = ENVIRONMENT["PATH"]


@dataclass
class Faults:
    """What a stand-in is to do wrong.

    Args:
        piece_bytes: Output comes in pieces of this many bytes; 0: as it comes.
        inputs_to_refuse: So many next inputs are answered with an error, and not taken.
        refusals: HTTP status of the next answers to a creation.
    """

    piece_bytes: int = 0
    inputs_to_refuse: int = 0
    refusals: list[int] = field(default_factory=list)

    def is_input_refused(self) -> bool:
        """Count down the inputs to refuse."""
        is_refused = self.inputs_to_refuse > 0
        self.inputs_to_refuse -= is_refused
        return is_refused

    def clear(self) -> None:
        """Do nothing wrong."""
        self.piece_bytes = self.inputs_to_refuse = 0
        self.refusals.clear()


class OnThread:
    """A server on loopback, on a thread and a loop of its own; `url` says where."""

    loop: asyncio.AbstractEventLoop

    def start(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        # Inherited by connections; asyncio sets it where the socket's protocol is 6 only.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.started = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        self.started.wait(120)

    def _run(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was stopped by `halt`
            asyncio.run(self.main())

    def halt(self) -> None:
        """Wait for the thread; a handler that does not end is left where it stands."""
        self.thread.join(300)
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(300)

    async def main(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.started.set()
        await self.serve()

    async def serve(self) -> None:
        """Serve on `self.socket` until told to stop."""
        raise NotImplementedError

    def on_loop(self, function: Any, *args: Any) -> Any:
        """Return function(*args), called on the server's loop."""

        async def call() -> Any:
            return function(*args)

        return asyncio.run_coroutine_threadsafe(call(), self.loop).result(10)


class Served(OnThread):
    """An ASGI app; `self.app` must be set before `start`."""

    app: Any

    def start(self) -> None:
        config = uvicorn.Config(
            self.app,
            log_level="error",
            lifespan="off",
            timeout_graceful_shutdown=1,
            timeout_keep_alive=3600,  # one that is closed as an SDK uses it again breaks a request
            ws="websockets-sansio",
            ws_max_size=64 << 20,
        )
        self.server = uvicorn.Server(config)
        super().start()

    async def serve(self) -> None:
        await self.server.serve(sockets=[self.socket])

    def cut(self) -> int:
        """Break every WebSocket's connection in the middle; return how many there were."""

        def abort() -> int:
            found = [c for c in self.server.server_state.connections if hasattr(c, "close_sent")]
            for connection in found:
                connection.transport.abort()
            return len(found)

        return self.on_loop(abort)

    def stop(self) -> None:
        self.server.should_exit = self.server.force_exit = True
        self.halt()
        self.socket.close()


def kill_group(process: asyncio.subprocess.Process) -> None:
    """Kill a process and its group, if it still runs."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


async def spawn(*command: str, home: str = "/") -> asyncio.subprocess.Process:
    """Start a command as a sandbox would: a group of its own, nothing of our environment."""
    return await asyncio.create_subprocess_exec(
        *command, stdin=-1, stdout=-1, stderr=-1, start_new_session=True, env={**ENVIRONMENT, "HOME": home}
    )
