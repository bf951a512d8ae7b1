"""Runs in the box: requests -> one forked process each, and what came of it. Never imported on the host; sent as source.

Three processes. The warden, which this module begins in, is the only one that speaks to the host and sees requests and results.
The origin is forked from it before the first request, and forks a child for each: so what others asked and got is in no child's
memory, not even in parts of it that are free. A child gets its source, its standard input and its files, and no descriptor but
those; what the host will compare with never comes here.

One request at a time: when its child has ended, whatever else it started is killed, and what it left in files is removed, before
the next one begins.
"""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import functools
import gc
import importlib
import io
import json
import linecache
import logging
import math
import os
import random
import resource
import select
import shutil
import signal
import socket
import struct
import sys
import threading
import time
import traceback
import types
import warnings
import weakref
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Any, NoReturn, cast

from pinjra.core.values import Opaque
from pinjra.jail.walls import landlock
from pinjra.jail.walls.libc import plain_fork, prctl
from pinjra.wire.values.codec import VALUE_BYTES, decode, encode
from pinjra.worker.interpreter.environment import reseed

Message = dict[str, Any]
FRAME_BYTES = 96 << 20  # of one answer of a child
KEPT_TEXT = 10_000  # characters of a message or traceback
SOURCE_NAME = "main.py"
_MODULE = "solution"  # what a program is called whose functions are called
_CONTROL = 3  # a child's descriptor for what it says to us, and the origin's to the warden
_TOLD = (
    "mode",
    "setup",
    "entry",
    "argv",
    "value_bytes",
    "calls",
    "answers",
    "names",
    "modules",
)  # of a request to its child
# What every child is told: how long source and the rest are, a seed or none, its limits. Reading JSON costs a child 100 pages.
_HEAD = struct.Struct("qq?qdqqq")
_SEEDS = (1 << 63) - 1
_PID, _END = struct.Struct("i"), struct.Struct("idq")
_WARMING = 20  # CPython 3.11 and later adapt code that has run 8 times
_GRACE_SECONDS = 0.1  # for the kernel's own limit of processor time to be noticed before ours
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans become ours, so that we can end them


# ---------------------------------------------------------------- the warm process


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
    for name in preload:
        importlib.import_module(name)
    warnings.simplefilter("ignore")
    home = os.getcwd()
    guest = _Guest(os.path.join(home, "run"))
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, all of this memory
    origin = _Origin(guest)
    places = [_Place(path) for path in (home, "/dev/shm", *folders) if os.access(path, os.W_OK)]  # noqa: S108  (of the box)
    results: list[Any] = []
    while (batch := exchange(results)) is not None:
        results = []
        for request in batch:
            results.append(_run(request, origin, guest.folder, interact))
            for place in places:
                place.clear()


def _run(request: Message, origin: _Origin, folder: str, interact: Callable[[Message], Message]) -> Message:
    os.mkdir(folder)
    for name, data in request["files"].items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    built = None
    if request["build"]:
        more = max(request["build_seconds"] / request["wall_seconds"], 1.0)
        own = {"wall_seconds": request["build_seconds"], "cpu_seconds": request["cpu_seconds"] * more}
        built = _watched({**request, "argv": request["build"], "stdin": b"", **own}, origin, interact)
    result = (
        _watched(request, origin, interact)
        if built is None or built["status"] == 0
        else {**built, "report": {}}
    )
    result["build"] = built
    result["files"] = _collected(folder, request["fetch"], request["disk_bytes"])
    return result


class _Place:
    """A folder in which children may write: what was in it at first stays, all else goes."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.kept = {*os.listdir(path)}

    def clear(self) -> None:
        """Remove what a child has left. Where that is not possible the box has had its day: the error ends it."""
        _take_back(self.path)
        for name in {*os.listdir(self.path)} - self.kept:
            path = os.path.join(self.path, name)
            try:
                os.rmdir(path)  # nearly always it is the child's folder, with nothing in it
            except OSError:
                _remove(path)


def _take_back(path: str) -> None:
    with contextlib.suppress(PermissionError):  # where modes cannot be changed, no child has changed this one
        os.chmod(path, 0o700)


def _remove(path: str) -> None:
    if os.path.islink(path) or not os.path.isdir(path):
        os.unlink(path)
        return
    _take_back(path)
    for folder, names, _ in os.walk(path):
        for below in (os.path.join(folder, name) for name in names):
            if not os.path.islink(below):
                _take_back(below)
    shutil.rmtree(path)


def _watched(request: Message, origin: _Origin, interact: Callable[[Message], Message]) -> Message:
    """Return what came of one process."""
    child = _Child(request, origin)
    try:
        return child.watch(interact)
    finally:
        child.end()


def _collected(folder: str, names: list[Any], most: int) -> Message:
    """Return name -> bytes of the regular files that were asked for; links are not followed."""
    found = {}
    for name in names:
        try:
            fd = os.open(os.path.join(folder, name), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            continue
        with open(fd, "rb") as file:
            data = file.read(most + 1)
        if len(data) <= most:
            found[name] = data
    return found


class _Origin:
    """The warden's end of the process that children are forked from.

    SECURITY: it is forked before the first request and holds nothing but the line to the warden.
    """

    def __init__(self, guest: _Guest) -> None:
        self.line, theirs = socket.socketpair()
        if os.fork() == 0:
            try:
                os.dup2(theirs.fileno(), _CONTROL)
                os.closerange(_CONTROL + 1, 4096)  # SECURITY: the host's stream and everything else
                _originate(guest)
            finally:
                os._exit(70)
        theirs.close()

    def begin(self, fds: list[int]) -> int:
        """Return the number of a new child that has these as 0, 1, 2 and 3."""
        socket.send_fds(self.line, [b"+"], fds)
        return int(self._answer(_PID)[0])

    def end(self) -> tuple[int, float, int]:
        """Return status, processor time and memory of a child that is dead; nothing that it started lives any more."""
        self.line.send(b"-")
        status, seconds, memory = self._answer(_END)
        return int(status), seconds, int(memory)

    def _answer(self, form: struct.Struct) -> tuple[Any, ...]:
        data = self.line.recv(form.size)
        if len(data) != form.size:
            raise RuntimeError("the process that children are forked from has ended")
        return form.unpack(data)


def _originate(guest: _Guest) -> None:
    """Fork children for the warden, one at a time, until it is gone."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    fork = plain_fork() if threading.active_count() == 1 else os.fork
    restrict: Callable[[], object] = bool
    with contextlib.suppress(OSError):  # an older kernel: then a child can stop its box, which costs it a try
        restrict = landlock.signal_scope()
    guest.warm()
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=_CONTROL) as line:
        while True:
            word, fds, _, _ = socket.recv_fds(line, 1, 4)
            if not word:
                return
            pid = fork()
            if pid == 0:
                restrict()  # SECURITY: else it could stop or kill who measures it
                line.detach()
                guest.become(fds)
            for fd in fds:
                os.close(fd)
            line.send(_PID.pack(pid))
            if not line.recv(1):
                os.kill(pid, signal.SIGKILL)
                return
            _, status, usage = os.wait4(pid, 0)
            _end_descendants(pid)
            line.send(_END.pack(status, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10))


class _Child:
    """One forked process as the warden sees it: its pipes, its deadline, its end."""

    def __init__(self, request: Message, origin: _Origin) -> None:
        self.request, self.origin = request, origin
        stdin = _unnamed_file(request["stdin"])
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        control, control_end = (end.detach() for end in socket.socketpair())
        ends = [stdin, out_end, err_end, control_end]
        self.started = time.monotonic()
        self.pid = origin.begin(ends)
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
        with contextlib.suppress(OSError):  # it is dead already: its status tells
            _write(control, _told(request))

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
            "wall_seconds": time.monotonic() - self.started - self.waited,
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
                left = self._left()
                if left <= 0:
                    return "wall"
                ready = [fd for fd, _ in poll.poll(left * 1000 + 1)]
                for fd in ready:
                    if fd != death and (limit := self._take(fd, poll, interact)):
                        return limit
                if ready == [death]:  # everything that it wrote has been read
                    return ""
        finally:
            os.close(death)

    def _left(self) -> float:
        waited = min(self.waited, self.request["others_seconds"])
        return float(self.started + waited + self.request["wall_seconds"] - time.monotonic())

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
        while (frame := _unframed(self.frames)) is not None:
            if "report" in frame:
                self.report = _report_of(frame["report"])
                continue
            # SECURITY: its clock stands still while the host answers, so it could talk without end
            if self.frames or not self.is_asked or "blobs" not in frame:
                return False
            with contextlib.suppress(OSError):  # it is dead already: its status tells
                _write(
                    self.control,
                    self._next_call(frame) if self.request["calls"] else self._told(frame, interact),
                )
        return True

    def _next_call(self, frame: Message) -> bytes:
        """Keep an answer, and return the call that was foreseen behind it."""
        try:
            text = _framed(frame).decode("latin-1")
        except (RecursionError, ValueError):  # what can be read and not be written
            text = "{}"
        self.answers.append(text)
        self.kept_bytes += len(text)
        call = next(self.calls, None)
        self.is_asked = call is not None
        return _framed({"end": True}) if call is None else call.encode("latin-1")

    def _told(self, frame: Message, interact: Callable[[Message], Message]) -> bytes:
        """Return the host's answer; the clock stands still until it is there."""
        began = time.monotonic()
        answer = interact(frame)
        self.waited += time.monotonic() - began
        self.is_asked = "end" not in answer
        return _framed(answer)

    def _reap(self, *, kill: bool) -> None:
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        self.status, self.cpu_seconds, self.memory_bytes = self.origin.end()

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
    return _HEAD.pack(len(code), len(rest), seed is not None, abs(seed or 0) & _SEEDS, *limits) + code + rest


def _report_of(said: object) -> Message:
    """Return what a child says of its end, as far as it has the form of that."""
    found: Message = said if isinstance(said, dict) else {}
    return {
        "stage": str(found.get("stage"))[:20],
        "is_exit": found.get("is_exit") is True,
        "type": str(found.get("type", ""))[:200],
        "message": str(found.get("message", ""))[:KEPT_TEXT],
    }


def _end_descendants(first: int) -> None:
    """Kill what a dead child has left. Orphans are ours (subreaper) and have higher numbers than their parent had."""
    while True:
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        marker = os.fork()
        if marker == 0:
            os._exit(0)
        for pid in range(first + 1, marker):
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue
        os.waitpid(marker, 0)


def _unnamed_file(data: bytes) -> int:
    """Return a descriptor of a file without a name that holds `data`, at its beginning."""
    fd = os.open(".stdin", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.unlink(".stdin")
    _write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _write(fd: int, data: bytes) -> None:
    """Write all of `data`."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


# ---------------------------------------------------------------- frames between the child and us


def _framed(message: Message) -> bytes:
    """Return a message as a line of JSON and its blobs."""
    blobs = message.pop("blobs", ())
    head = json.dumps({**message, "sizes": [len(blob) for blob in blobs]}).encode()
    return b"".join([head, b"\n", *blobs])


def _unframed(buffer: bytearray) -> Message | None:
    """Take one message from the front of `buffer`; None when it is not complete, {} for what is none."""
    end = buffer.find(b"\n")
    if end < 0:
        return None
    try:
        message = json.loads(buffer[:end])
        sizes = [min(max(int(size), 0), FRAME_BYTES) for size in message.pop("sizes", ())]
    except (ValueError, TypeError, AttributeError, RecursionError):
        buffer.clear()
        return {}
    if len(buffer) < end + 1 + sum(sizes):
        return None
    blobs, begin = [], end + 1
    for size in sizes:
        blobs.append(bytes(buffer[begin : begin + size]))
        begin += size
    del buffer[:begin]
    found: Message = {**message, "blobs": blobs}
    return found


# ---------------------------------------------------------------- the child


def _seed(seed: int | None) -> None:
    """Draw the random numbers of a seed, or others than all other children."""
    if seed is None:
        reseed()
        return
    random.seed(seed)
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed(seed)


def _start(argv: list[str]) -> int:
    """Be another program; return the status for one that is not there."""
    os.set_inheritable(_CONTROL, False)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  (what the request asks for, in the box)
    except OSError as error:
        os.write(2, f"{argv[:1]}: {error}\n".encode())
        return 127


_PROGRAM: Message = {"mode": "program"}


class _Guest:
    """A forked child: runs the request's source as a program, and then what its mode asks for.

    Made once, before all forks: what a child makes or changes is a page that it copies, which costs more than most programs do.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.request = _PROGRAM
        self.received = bytearray()
        self.line = threading.Lock()  # threads of a program may call a function of its test
        self.position = 0  # in a test's foreseen calls
        self.objects: list[Any] = []  # what the other side holds by number
        self.limits: int | None = VALUE_BYTES
        self.exits = _exits()
        self.module = types.ModuleType("__main__")
        self.module.__dict__["__file__"] = SOURCE_NAME
        # what they replace is kept: its end would be one of each child
        self.replaced = (sys.stdin, sys.stdout, sys.stderr, sys.__stdin__, sys.__stdout__, sys.__stderr__)
        sys.stdin = io.TextIOWrapper(
            io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8", errors="replace"
        )
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8", errors="replace"
        )
        sys.stderr = io.TextIOWrapper(
            io.BufferedWriter(io.FileIO(2, "w", closefd=False)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        for name in ("stdin", "stdout", "stderr"):
            setattr(sys, f"__{name}__", getattr(sys, name))
        for name in ("exit", "quit"):
            setattr(builtins, name, sys.exit)
        for number in (signal.SIGPROF, signal.SIGXCPU):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails with EFBIG

    def become(self, fds: list[int]) -> NoReturn:
        """Be the process of one request, which the last of its descriptors tells."""
        status = 70
        try:
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
            os.closerange(_CONTROL + 1, 4096)
            os.chdir(self.folder)
            source, seed, limits = self._taken(os.read(_CONTROL, 65536))
            self._limit(*limits)
            if self.request.get("argv"):
                status = _start(self.request["argv"])
            else:
                self._begin(seed)
                status = self.main(source)
        except BaseException:  # our bug: the words of it are all that can be had
            traceback.print_exc()
        finally:
            os._exit(status)

    def warm(self) -> None:
        """Do a few times what a child does: what Python and the linker learn by it, each child would learn, page by page."""
        names = dict(self.module.__dict__)
        source, rest = b"f = abs\nfor i in range(int('1')): print(end='')", b'{"mode": "program"}'
        for _ in range(_WARMING):
            head = _HEAD.pack(len(source), len(rest), False, 0, 1.0, 1, 0, 1)
            code, seed, _ = self._taken(head + source + rest)
            self.request = _PROGRAM
            self._begin(seed)
            self.main(code)
            resource.setrlimit(resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU))
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            tree, blobs = encode(((1,), {}), self.limits, self._kept)
            call = _unframed(bytearray(_framed({"call": ["f"], "args": tree, "blobs": blobs}))) or {}
            _framed(self._called(call))
        self.module.__dict__.clear()
        self.module.__dict__.update(names)

    def _taken(self, data: bytes) -> tuple[str, int | None, list[Any]]:
        """Return source and seed of a request and its limits; the rest is kept."""
        size, more, has_seed, seed, *limits = _HEAD.unpack_from(data)
        end = _HEAD.size + size
        while len(data) < end + more:
            data += os.read(_CONTROL, 1 << 20) or os._exit(71)
        if more:
            self.request = json.loads(data[end:])
        return data[_HEAD.size : end].decode("utf-8", "surrogatepass"), seed if has_seed else None, limits

    def _limit(self, cpu: float, whole: int, memory: int, disk: int) -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (whole, whole + 1))
        signal.setitimer(signal.ITIMER_PROF, cpu + _GRACE_SECONDS)
        resource.setrlimit(resource.RLIMIT_FSIZE, (disk, disk))
        if memory:
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))

    def _begin(self, seed: int | None) -> None:
        sys.argv = [SOURCE_NAME]
        if self.request is not _PROGRAM:
            self.limits = self.request["value_bytes"]
        if (
            self.request["mode"] == "calls"
        ):  # then it is a module that others use: what it does as a program is not asked for
            self.module.__name__ = _MODULE
        sys.modules[self.module.__name__] = self.module
        _seed(seed)

    def main(self, source: str) -> int:
        """Return the exit status."""
        linecache.cache[SOURCE_NAME] = (len(source), None, source.splitlines(True), SOURCE_NAME)
        try:
            code = compile(source, SOURCE_NAME, "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as error:
            traceback.print_exception(error, limit=0)
            self._report(error, stage="compile")
            return 1
        try:
            self._prepare()
            exec(code, self.module.__dict__)  # noqa: S102  (this is what the box is for)
            self._serve()
            self._finish()
        except SystemExit as end:
            return self._left(end)
        except BaseException as error:  # a program may raise what it likes
            self._print(error)
            self._report(error, stage="run")
            return 1
        return 0  # and nothing to report

    def _left(self, end: SystemExit) -> int:
        try:
            self._finish()
        except BaseException as error:  # as above
            self._print(error)
        status = 0 if end.code is None else end.code if isinstance(end.code, int) else 1
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
        self._report(end if status else None, stage="run", is_exit=True)
        return status & 0xFF

    def _finish(self) -> None:
        """End as a program ends: its threads, its exit functions, its output."""
        if _thread._count():
            threading._shutdown()  # type: ignore[attr-defined]
        if _exits() != self.exits:
            atexit._run_exitfuncs()
        self._flush()

    def _flush(self) -> None:
        with contextlib.suppress(BaseException):  # the guest has closed or replaced it
            sys.stdout.flush()

    def _print(self, error: BaseException) -> None:
        try:
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_code.co_filename != SOURCE_NAME:
                trace = trace.tb_next
            traceback.print_exception(type(error), error, trace)
            self._flush()
        except BaseException:  # its __str__ raises, or the output is closed
            return

    def _report(self, error: BaseException | None, *, stage: str, is_exit: bool = False) -> None:
        said = {"stage": stage, "is_exit": is_exit, "type": "", "message": ""}
        if error is not None:
            said["type"] = type(error).__name__
            try:
                said["message"] = str(error)[:KEPT_TEXT]
            except BaseException:  # guest code
                said["message"] = ""
        self._flush()
        self._send({"report": said})

    # ------------------------------------------------------------ calls from the other side

    def _prepare(self) -> None:
        if self.request["mode"] == "test":
            _Test(self).prepare(self.module.__dict__)

    def _serve(self) -> None:
        """Answer calls of the functions that the source has defined, until there are none left."""
        if self.request["mode"] != "calls":
            return
        message = self._ask({"ready": True})
        while message.get("call"):
            message = self._ask(self._called(message))

    def _called(self, message: Message) -> Message:
        try:
            found = self._find(message["call"])
            if message.get("await"):
                return self._given(_awaited(cast("Coroutine[Any, Any, object]", found)))
            if not message.get("args"):  # a look at a name: what is it?
                return self._given(found)
            args, kwargs = cast("tuple[Any, Any]", decode(message["args"], message["blobs"], self._resolved))
            value = cast("Callable[..., object]", found)(*args, **kwargs)
            return self._given(_read_out(value) if message.get("read") else value)
        except Exception as error:
            return self._failed(error)

    def _find(self, path: list[Any]) -> object:
        root = path[0]
        found = self.objects[root] if isinstance(root, int) else self._global(root)
        for name in path[1:]:
            found = getattr(found, name)
        return found

    def _global(self, name: str) -> object:
        """Return what the program calls so, or the method of its class `Solution`, as some data sets want their answers."""
        names = self.module.__dict__
        if name not in names and isinstance(names.get("Solution"), type):
            return getattr(names["Solution"](), name)
        return names[name]

    def _given(self, value: object) -> Message:
        tree, blobs = encode(value, self.limits, self._kept)
        if type(value).__module__ != self.module.__name__:
            return {"value": tree, "blobs": blobs}
        # an object of the program's own class crosses as data (a dataclass, a kind of list, …), and stays at hand
        kept = self._kept(value)
        return {"value": tree, "blobs": blobs, "handle": kept.handle, "type": kept.type}

    def _failed(self, error: BaseException) -> Message:
        try:
            message = str(error)[:KEPT_TEXT]
        except Exception:
            message = ""
        return {
            "error": type(error).__name__,
            "bases": [base.__name__ for base in type(error).__mro__],
            "message": message,
        }

    def _kept(self, value: object) -> Opaque:
        self.objects.append(value)
        kinds = {
            "exception": isinstance(value, type) and issubclass(value, Exception),
            "coroutine": isinstance(value, types.CoroutineType),
        }
        about = next((name for name, is_so in kinds.items() if is_so), "")
        return Opaque(type(value).__name__[:200], about, len(self.objects))

    def _back(self, number: int, *args: object, **kwargs: object) -> object:
        """Return what a function of the test returns, which the test gave as an argument."""
        tree, blobs = encode((args, kwargs), self.limits, self._kept)
        answer = self._ask({"back": number, "args": tree, "blobs": blobs})
        while answer.get("call"):  # that function calls us again
            answer = self._ask(self._called(answer))
        if "value" in answer:
            return decode(answer["value"], answer["blobs"], self._resolved)
        raise _raised(answer, {})

    def _resolved(self, opaque: Opaque) -> object:
        if opaque.repr == _CALLBACK:
            return functools.partial(self._back, opaque.handle)
        return self.objects[opaque.handle - 1] if 0 < opaque.handle <= len(self.objects) else opaque

    def _send(self, message: Message) -> None:
        try:
            _write(_CONTROL, _framed(message))
        except OSError:
            return

    def _ask(self, message: Message) -> Message:
        if self.request["mode"] == "test" and self.request["calls"]:
            return self._foreseen(_framed(message).decode("latin-1"))
        with self.line:
            self._send(message)
            return self._next()

    def _foreseen(self, call: str) -> Message:
        """Return the program's answer to a call of the test, which is here already; or end: another was foreseen."""
        answers, position = self.request["answers"], self.position
        self.position += 1
        if position < len(answers) and call == self.request["calls"][position]:
            return _unframed(bytearray(answers[position], "latin-1")) or {}
        if len(answers) <= position < len(self.request["calls"]):
            return {}  # the program has ended before it came to this
        self._send({"report": {"stage": "unforeseen"}})
        os._exit(1)

    def _next(self) -> Message:
        while (answer := _unframed(self.received)) is None:
            data = os.read(_CONTROL, 65536)
            if not data:
                os._exit(71)
            self.received += data
        return answer


def _exits() -> tuple[int, int, list[Any]]:
    """Return what tells whether exit functions have something to do: how many there are, and what those of Python look at."""
    return atexit._ncallbacks(), len(weakref.finalize._registry), list(logging._handlerList)  # type: ignore[attr-defined]


class _Test:
    """The test's side: names of the code under test are calls to another box."""

    def __init__(self, guest: _Guest) -> None:
        self.guest = guest
        self.errors: dict[str, type[Exception]] = {}  # stand-ins of the program's own, to be caught by
        self.functions: list[Callable[..., object]] = []  # what the program was given to call

    def prepare(self, namespace: Message) -> None:
        """Define the names that the test uses and does not define."""
        request = self.guest.request
        setup, entry = request["setup"], request["entry"]
        if setup:
            exec(compile(setup, "setup.py", "exec", dont_inherit=True), namespace)  # noqa: S102  (the test's own)
        wanted = [name for name in request["names"] if name not in namespace and not hasattr(builtins, name)]
        for name in request["modules"].keys() & {*wanted}:
            with contextlib.suppress(ImportError):
                namespace[name] = importlib.import_module(request["modules"][name])
        for name in request["names"]:
            if name == entry or (name in wanted and name not in namespace):
                found = self.call([name], None)
                if found is not _MISSING:
                    namespace[name] = self._caught(name, found)
        if entry in namespace:
            namespace["candidate"] = namespace[entry]

    def _caught(self, name: str, found: object) -> object:
        """Return a class of our own for one of the program's exceptions; everything else as it is."""
        if not isinstance(found, _Remote) or found._about != "exception":
            return found
        return self.errors.setdefault(name, type(name, (Exception,), {}))

    def call(self, path: list[Any], args: tuple[Any, ...] | None, **options: bool) -> object:
        """Return what the other side's function returns, or raise what it raised."""
        message: Message = {"call": path, **options, "args": None}
        if args is not None:
            message["args"], message["blobs"] = encode(args, self.guest.limits, self._handle_of)
        answer = self.guest._ask(message)
        while "back" in answer:
            answer = self.guest._ask(self._called_back(answer))
        if "value" in answer:
            return self._taken(answer)
        if args is None and answer.get("error") in ("KeyError", "AttributeError"):
            return _MISSING
        raise _raised(answer, self.errors)

    def _taken(self, answer: Message) -> object:
        value = decode(answer["value"], answer["blobs"], self._remote)
        if not isinstance(value, _Remote) and isinstance(answer.get("handle"), int):
            return _Remote(self, Opaque(str(answer.get("type", "")), "", answer["handle"]), is_data=True)
        return value

    def _called_back(self, answer: Message) -> Message:
        """Return what a function of the test's own says to the program that it was given to."""
        try:
            args, kwargs = cast("tuple[Any, Any]", decode(answer["args"], answer["blobs"], self._remote))
            value = self.functions[answer["back"] - 1](*args, **kwargs)
            tree, blobs = encode(value, self.guest.limits, self._handle_of)
            return {"value": tree, "blobs": blobs}
        except Exception as error:
            return self.guest._failed(error)

    def _handle_of(self, value: object) -> Opaque:
        if isinstance(value, _Remote):
            return Opaque(value._kind, "", value._handle)
        if callable(value):
            self.functions.append(value)
            return Opaque(type(value).__name__, _CALLBACK, len(self.functions))
        return Opaque(type(value).__name__, "")

    def next_of(self, path: list[Any]) -> object:
        """Return the next item of an iterator of the other side; `_MISSING` after the last one."""
        try:
            return self.call(path, ((), {}))
        except RuntimeError as error:
            if str(error).startswith("StopIteration:"):
                return _MISSING
            raise

    def _remote(self, opaque: Opaque) -> object:
        if opaque.repr == "coroutine":
            return self._awaited(opaque.handle)
        return _Remote(self, opaque) if opaque.handle else opaque

    async def _awaited(self, handle: int) -> object:
        return self.call([handle - 1], None, **{"await": True})


class _Remote:
    """An object of the code under test: it can be called, read item by item, asked for attributes, and handed back; nothing else.

    SECURITY: no operator is passed on, so an object whose comparisons lie is equal to nothing here. What is data is compared as
    data: a dataclass, a member of an enumeration, or a kind of list, dict or number.
    """

    _test: _Test
    _handle: int
    _kind: str
    _about: str
    _is_data: bool

    def __init__(self, test: _Test, opaque: Opaque, *, is_data: bool = False) -> None:
        self.__dict__.update(
            _test=test, _handle=opaque.handle, _kind=opaque.type, _about=opaque.repr, _is_data=is_data
        )

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._test.call([self._handle - 1], (args, kwargs))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._test.call([self._handle - 1, name], None)
        if found is _MISSING:
            raise AttributeError(f"{self._kind!r} object has no attribute {name!r}")
        return found

    def _by(self, method: str, *args: object) -> Any:
        try:
            return self._test.call([self._handle - 1, method], (args, {}))
        except AttributeError:
            raise TypeError(f"{self._kind!r} object has no {method}") from None

    def __setattr__(self, name: str, value: object) -> None:
        self._by("__setattr__", name, value)

    def __eq__(self, other: object) -> bool:
        return self is other or (self._is_data and bool(self._data() == _plain(other)))

    def _data(self) -> object:
        """Return what it consists of, now."""
        answer = self._test.guest._ask({"call": [self._handle - 1], "args": None})
        return decode(answer["value"], answer["blobs"]) if "value" in answer else _MISSING

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> Any:
        return self._by("__len__")

    def __getitem__(self, key: object) -> object:
        return self._by("__getitem__", key)

    def __setitem__(self, key: object, value: object) -> None:
        self._by("__setitem__", key, value)

    def __delitem__(self, key: object) -> None:
        self._by("__delitem__", key)

    def __instancecheck__(self, value: object) -> Any:
        return self._by("__instancecheck__", value)

    def __enter__(self) -> object:
        return self._by("__enter__")

    def __exit__(self, *error: object) -> None:
        self._by("__exit__", None, None, None)  # SECURITY: its answer would swallow what the test has found

    def __iter__(self) -> Iterator[object]:
        found = self._by("__iter__")
        return found if isinstance(found, _Remote) else iter(found)

    def __next__(self) -> object:
        found = self._test.next_of([self._handle - 1, "__next__"])
        if found is _MISSING:
            raise StopIteration
        return found

    def __str__(self) -> Any:
        return self._by("__str__")

    def __repr__(self) -> Any:
        return self._by("__repr__")


def _plain(value: object) -> object:
    return value._data() if isinstance(value, _Remote) and value._is_data else value


_CALLBACK = "a function of the test"
_MISSING = object()


def _raised(answer: Message, own: Mapping[str, type[Exception]]) -> BaseException:
    """Return the exception that the other side said it had, as near as there is one here."""
    names = [str(name) for name in answer.get("bases", ())]
    kinds = [own.get(name) or getattr(builtins, name, None) for name in names]
    # SECURITY: what ends an iteration would end `all(map(…))` of the test, with success
    if not {"StopIteration", "StopAsyncIteration"} & {*names}:
        for kind in kinds:
            if isinstance(kind, type) and issubclass(kind, Exception):
                return kind(str(answer.get("message", "")))
    error = answer.get("error", "the code under test has ended")
    return RuntimeError(f"{error}: {answer.get('message', '')}")


def _awaited(value: Coroutine[Any, Any, object]) -> object:
    import asyncio  # few need it, and a box is open sooner without

    return asyncio.run(value)


def _read_out(value: object) -> object:
    """Return what an iterator gives, and what a coroutine returns, for one who compares values."""
    if isinstance(value, types.CoroutineType):
        return _awaited(value)
    return list(value) if hasattr(value, "__next__") else value  # type: ignore[call-overload]
