"""The process that speaks to the host: takes requests, has a child forked for each, and measures and ends it."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import math
import os
import select
import signal
import socket
import time
import warnings
from collections.abc import Callable
from typing import Any

from pinjra.snippets.folders import WritableFolder, collected, is_writable
from pinjra.snippets.fork_server import ForkServer
from pinjra.snippets.frames import FRAME_BYTES, HEAD, KEPT_TEXT, Message, framed, unframed, write_all
from pinjra.snippets.guest import Guest
from pinjra.snippets.starving import Starving

# Of a request to its child.
_TOLD = ("mode", "setup", "entry", "argv", "value_bytes", "calls", "answers", "names", "modules")
_SEEDS = (1 << 63) - 1


class _NotWritten(Exception):
    """A request's files or input have no place in the box."""


def serve(
    exchange: Callable[[list[Any]], list[Any] | None],
    interact: Callable[[Message], Message],
    preload: tuple[str, ...],
    folders: tuple[str, ...] = (),
) -> None:
    """Take batches of requests from the host and give back results, until it says None.

    Args:
        folders: What children may write besides the folder that this begins in.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs are nobody's; a program's own are shown as Python shows them
        for name in preload:
            importlib.import_module(name)
    home = os.getcwd()
    guest = Guest(os.path.join(home, "run"))
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, all of this memory
    forks = ForkServer(guest)
    places = [WritableFolder(path) for path in (home, "/dev/shm", *folders) if is_writable(path)]  # noqa: S108  (of the box)
    results: list[Any] = []
    while (batch := exchange(results)) is not None:
        results = []
        for request in batch:
            results.append(_run(request, forks, guest.folder, interact))
            for place in places:
                place.clear()


def _run(request: Message, forks: ForkServer, folder: str, interact: Callable[[Message], Message]) -> Message:
    os.mkdir(folder)
    try:
        _write(folder, request["files"])
        return _built_and_run(request, forks, folder, interact)
    except _NotWritten as error:
        return {"cause": "given", "message": f"what it is given cannot be written: {error}"[:KEPT_TEXT]}


def _write(folder: str, files: Message) -> None:
    for name, data in files.items():
        path = os.path.join(folder, name)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(data)
        except OSError as error:  # the disk is full, one name is a folder of another, …: whoever asks is told
            raise _NotWritten(error) from error


def _built_and_run(
    request: Message, forks: ForkServer, folder: str, interact: Callable[[Message], Message]
) -> Message:
    built = None
    if request["build"]:
        more = max(request["build_seconds"] / request["wall_seconds"], 1.0)
        own = {"wall_seconds": request["build_seconds"], "cpu_seconds": request["cpu_seconds"] * more}
        built = _watched({**request, "argv": request["build"], "stdin": b"", **own}, forks, interact)
    result = (
        _watched(request, forks, interact)
        if built is None or built["status"] == 0
        else {**built, "report": {}}
    )
    result["build"] = built
    result["files"] = collected(folder, request["fetch"], request["disk_bytes"])
    return result


def _watched(request: Message, forks: ForkServer, interact: Callable[[Message], Message]) -> Message:
    """Return what came of one process."""
    child = _Child(request, forks)
    try:
        return child.watch(interact)
    finally:
        child.end()


class _Child:
    """One forked process as the warden sees it: its pipes, its deadline, its end."""

    def __init__(self, request: Message, forks: ForkServer) -> None:
        self.request, self.forks = request, forks
        stdin = _unnamed_file(request["stdin"])
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        control, control_end = (end.detach() for end in socket.socketpair())
        ends = [stdin, out_end, err_end, control_end]
        self.started = time.monotonic()
        self.pid = forks.begin(ends)
        for fd in ends:
            os.close(fd)
        self.control = control
        self.text = {out: bytearray(), err: bytearray()}
        self.out, self.err = out, err
        self.lost = 0
        self.frames = bytearray()
        self.calls = iter(request["calls"])
        self.answers: list[str] = []  # to calls that were foreseen
        self.kept_bytes = 0  # of them
        self.is_asked = request["mode"] == "calls" or (request["mode"] == "test" and not request["calls"])
        self.report: Message = {}
        self.status: int | None = None
        self.cpu_seconds = 0.0
        self.memory_bytes = 0
        self.waited = 0.0  # seconds in which the child waited for the host
        self.starving = Starving(forks, self.pid, request["wall_seconds"], request["most_starving"])
        with contextlib.suppress(OSError):  # it is dead already: its status tells
            write_all(control, _told(request))

    def watch(self, interact: Callable[[Message], Message]) -> Message:
        """Return what came of the child; it is dead then."""
        cause = self._follow(interact)
        self._reap(kill=bool(cause))
        return {
            "cause": cause,
            "status": self.status,
            "stdout": bytes(self.text[self.out]),
            "stderr": bytes(self.text[self.err]),
            "lost_bytes": self.lost,
            "report": self.report,
            "answers": self.answers,
            "wall_seconds": time.monotonic() - self.started - self.waited - self.starving.seconds,
            "cpu_seconds": self.cpu_seconds,
            "memory_bytes": self.memory_bytes,
        }

    def _follow(self, interact: Callable[[Message], Message]) -> str:
        """Read until the child is dead; return the limit that it met, or "". Who else holds its pipes does not matter."""
        poll = select.poll()
        death = os.pidfd_open(self.pid)
        try:
            for fd in (self.out, self.err, self.control, death):
                poll.register(fd, select.POLLIN)
            while True:
                self.starving.look()
                left = self._left()
                ready = [fd for fd, _ in poll.poll(max(min(left, self.starving.due), 0) * 1000 + 1)]
                if left <= 0 and death not in ready:  # one that has ended in time is not late because we are
                    return "starved" if self.starving.is_hopeless else "wall"
                for fd in ready:
                    if fd != death and (limit := self._take(fd, poll, interact)):
                        return limit
                if ready == [death]:  # everything that it wrote has been read
                    return ""
        finally:
            os.close(death)

    def _left(self) -> float:
        waited = min(self.waited, self.request["others_seconds"])
        return float(
            self.started + waited + self.starving.seconds + self.request["wall_seconds"] - time.monotonic()
        )

    def _take(self, fd: int, poll: select.poll, interact: Callable[[Message], Message]) -> str:
        """Read one descriptor; return the limit that the child met by what it wrote, or ""."""
        data = self._read(fd)
        if not data:
            poll.unregister(fd)
        elif fd == self.control:
            self.frames += data
            if len(self.frames) + self.kept_bytes > FRAME_BYTES or not self._answer(interact):
                return "value"
        else:
            self._keep(fd, data)
            if self.lost > self.request["output_bytes"]:
                return "output"
        return ""

    def _read(self, fd: int) -> bytes:
        try:
            return os.read(fd, 65536)
        except OSError:
            return b""

    def _keep(self, fd: int, data: bytes) -> None:
        room = self.request["output_bytes"] - len(self.text[self.out]) - len(self.text[self.err])
        self.text[fd] += data[: max(room, 0)]
        self.lost += len(data) - max(min(room, len(data)), 0)

    def _answer(self, interact: Callable[[Message], Message]) -> bool:
        """Take the frames that have arrived; each but a report is passed to the host, whose answer goes back.

        Returns:
            Whether they are what a child says: frames, and none behind another one, for it would answer nothing.
        """
        while (frame := unframed(self.frames)) is not None:
            if "report" in frame:
                self.report = _report_of(frame["report"])
                continue
            # SECURITY: its clock stands still while the host answers, so it could talk without end
            if self.frames or not self.is_asked or "blobs" not in frame:
                return False
            with contextlib.suppress(OSError):  # it is dead already: its status tells
                write_all(
                    self.control,
                    self._next_call(frame) if self.request["calls"] else self._told(frame, interact),
                )
        return True

    def _next_call(self, frame: Message) -> bytes:
        """Keep an answer, and return the call that was foreseen behind it."""
        try:
            text = framed(frame).decode("latin-1")
        except (RecursionError, ValueError):  # what can be read and not be written
            text = "{}"
        self.answers.append(text)
        self.kept_bytes += len(text)
        call = next(self.calls, None)
        self.is_asked = call is not None
        return framed({"end": True}) if call is None else call.encode("latin-1")

    def _told(self, frame: Message, interact: Callable[[Message], Message]) -> bytes:
        """Return the host's answer; the clock stands still until it is there."""
        began = time.monotonic()
        answer = interact(frame)
        self.waited += time.monotonic() - began
        self.is_asked = "end" not in answer
        return framed(answer)

    def _reap(self, *, kill: bool) -> None:
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        self.status, self.cpu_seconds, self.memory_bytes = self.forks.end()

    def end(self) -> None:
        """Kill the child and all that came of it, and close the pipes."""
        if self.status is None:
            self._reap(kill=True)
        os.close(self.out)
        os.close(self.err)
        os.close(self.control)


def _told(request: Message) -> bytes:
    """Return what a child is told of its request.

    SECURITY: what is said of its output (how much is expected?) is not for it to know, nor are calls that are still to come.
    """
    code: bytes = request["code"].encode("utf-8", "surrogatepass")
    rest, seed = b"", request["seed"]
    if request["mode"] != "program" or request["argv"]:
        hidden: Message = {"calls": []} if request["mode"] == "calls" else {}
        rest = json.dumps({**{name: request[name] for name in _TOLD}, **hidden}).encode()
    cpu = request["cpu_seconds"]
    limits = (cpu, math.ceil(cpu), request["memory_bytes"] or 0, request["disk_bytes"])
    return HEAD.pack(len(code), len(rest), seed is not None, abs(seed or 0) & _SEEDS, *limits) + code + rest


def _report_of(said: object) -> Message:
    """Return what a child says of its end, as far as it has the form of that."""
    found: Message = said if isinstance(said, dict) else {}
    return {
        "stage": str(found.get("stage"))[:20],
        "is_exit": found.get("is_exit") is True,
        "type": str(found.get("type", ""))[:200],
        "message": str(found.get("message", ""))[:KEPT_TEXT],
    }


def _unnamed_file(data: bytes) -> int:
    """Return a descriptor of a file without a name that holds `data`, at its beginning."""
    fd = os.open(".stdin", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.unlink(".stdin")
    try:
        write_all(fd, data)
    except OSError as error:
        os.close(fd)
        raise _NotWritten(error) from error
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
