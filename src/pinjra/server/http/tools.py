"""A client's functions, over a WebSocket -> tools of its session. They stay with the client; a call is a message.

Client: {"tools": {NAME: {"doc": …}}}, then {"call": N, "value": …} or {"call": N, "error": …} for each call.
Service: {"ready": [NAME, …]}, then {"call": N, "name": …, "args": […], "kwargs": {…}}.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import json
from collections.abc import Callable
from typing import Any

from starlette.types import Message
from starlette.websockets import WebSocket, WebSocketDisconnect

from pinjra.core.errors import PinjraError
from pinjra.server.http.errors import close_socket, status_of
from pinjra.server.http.hub import Held, Hub
from pinjra.server.http.results import value_json

_MESSAGE_CHARACTERS = 16 << 20
_CALL_SECONDS = 600.0  # for a client to answer one call
_TOOLS = 1000  # of one session
_DOC_CHARACTERS = 10_000  # as much as fits a prompt
_SOCKETS = 8  # of one session
_GONE = "the client that has this tool is gone"


class _Calls:
    """Calls that wait for the client's answer."""

    def __init__(self, socket: WebSocket, loop: asyncio.AbstractEventLoop) -> None:
        self._socket = socket
        self._loop = loop
        self._numbers = itertools.count(1)
        self._open: dict[int, concurrent.futures.Future[object]] = {}
        self._is_over = False

    def function(self, name: str, doc: str) -> Callable[..., object]:
        """Return a tool that asks the client; called on a run's thread."""

        def call(*args: object, **kwargs: object) -> object:
            if self._is_over:
                raise ConnectionError(_GONE)
            number = next(self._numbers)
            answer = self._open[number] = concurrent.futures.Future()
            message = {"call": number, "name": name, "args": value_json(args), "kwargs": value_json(kwargs)}
            try:
                sent = asyncio.run_coroutine_threadsafe(self._socket.send_json(message), self._loop)
                sent.result(_CALL_SECONDS)
                return answer.result(_CALL_SECONDS)
            except WebSocketDisconnect:  # it left while it was asked
                raise ConnectionError(_GONE) from None
            finally:
                self._open.pop(number, None)

        call.__name__, call.__doc__ = name, doc
        return call

    def answered(self, message: dict[str, Any]) -> None:
        """Give an answer to the call that waits for it; an answer to no call is dropped."""
        number = message.get("call")
        waiting = self._open.get(number) if type(number) is int else None
        if waiting is None or waiting.done():
            return
        if message.get("error") is not None:
            waiting.set_exception(RuntimeError(str(message["error"])[:10_000]))
        else:
            waiting.set_result(message.get("value"))

    def end(self) -> None:
        """Fail the calls that still wait, and all that come later: their client has left."""
        self._is_over = True
        for waiting in list(self._open.values()):
            if not waiting.done():
                waiting.set_exception(ConnectionError(_GONE))


async def tools_socket(socket: WebSocket) -> None:
    """Serve one client's tools until it leaves."""
    hub: Hub = socket.app.state.hub
    try:
        held = hub.find(socket.app.state.tenants.of(socket.headers), socket.path_params["session"])
        held.check_kind()
    except PinjraError as error:
        await close_socket(socket, 1008, f"{status_of(error)[0]} {error}")
        return
    if held.details.get("sockets", 0) >= _SOCKETS:
        await close_socket(socket, 1013, "this session has as many clients with tools as it may")
        return
    held.details["sockets"] = held.details.get("sockets", 0) + 1
    calls = _Calls(socket, asyncio.get_running_loop())
    ending: list[asyncio.Task[None]] = []

    def end() -> None:
        """Close it with its session: nobody counts it any more."""
        ending.append(asyncio.create_task(close_socket(socket, 1001, "the session has ended")))

    held.on_close.append(end)
    held.users += 1
    try:
        await socket.accept()
        while True:
            message = _parsed(await socket.receive())
            if "tools" in message:
                names = await _granted(hub, held, calls, message["tools"])
                await socket.send_json({"ready": names})
            else:
                calls.answered(message)
    except WebSocketDisconnect:
        return
    except (ValueError, RecursionError, PinjraError) as error:
        await close_socket(socket, 1003, str(error))
    finally:
        calls.end()
        held.on_close.remove(end)
        held.details["sockets"] -= 1
        held.users -= 1


def _parsed(received: Message) -> dict[str, Any]:
    """Return what a client says.

    Raises:
        ValueError: It is no object of JSON.
        WebSocketDisconnect: It has left.
    """
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(received.get("code", 1005))
    text = received.get("text") or ""
    if len(text) > _MESSAGE_CHARACTERS:
        raise ValueError("the message is too long")
    message = json.loads(text)
    if not isinstance(message, dict):
        raise ValueError("a message is a JSON object")
    return message


async def _granted(hub: Hub, held: Held, calls: _Calls, wanted: object) -> list[str]:
    is_object = isinstance(wanted, dict) and all(isinstance(each, dict) for each in wanted.values())
    if not isinstance(wanted, dict) or not is_object:
        raise ValueError("tools are an object of name -> {doc}")
    # SECURITY: a grant lasts as long as its session, so what one client after the other has granted is counted together
    names = held.details.setdefault("tools", set())
    if len(names.union(wanted)) > _TOOLS:
        raise ValueError(f"a session has at most {_TOOLS} tools")
    functions = {
        name: calls.function(name, str(each.get("doc", ""))[:_DOC_CHARACTERS])
        for name, each in wanted.items()
    }
    await hub.call(held.executor.send_tools, functions)
    names.update(functions)
    return sorted(functions)
