"""A session's server for the tests: runs each snippet in a child of the confined process and says what came of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Sequence
from typing import NoReturn


def serve(
    fd_in: int,
    fd_out: int,
    *,
    applied: Sequence[str] = (),
    missing: Sequence[str] = (),
    **descriptors: int,
) -> NoReturn:
    """Answer snippets until the stream ends."""
    for fd in descriptors.values():
        os.close(fd)
    stream = socket.socket(fileno=fd_in).makefile("rwb")
    for line in stream:
        stream.write(json.dumps(_outcome(json.loads(line))).encode() + b"\n")
        stream.flush()
    os._exit(0)


def _outcome(code: str) -> dict[str, object]:
    """Return {"value", "error", "errno", "signal"} of one snippet; its value is what it leaves in `result`."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.write(writer, json.dumps(_run(code)).encode() + b"\n")
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.readline()  # not to its end: what the snippet started may hold it open
    _, status = os.waitpid(child, 0)
    outcome: dict[str, object] = json.loads(said) if said else {}
    return {"value": None, "error": "", "errno": 0, **outcome, "signal": os.WTERMSIG(status)}


def _run(code: str) -> dict[str, object]:
    names: dict[str, object] = {"result": None}
    try:
        exec(code, names)
    except BaseException as error:
        number = error.errno if isinstance(error, OSError) else 0
        return {"error": f"{type(error).__name__}: {error}", "errno": number or 0}
    return {"value": names["result"]}
