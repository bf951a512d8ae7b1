"""Runs in the box: requests -> one forked process each, and what came of it. Never imported on the host; sent as source.

A warm process forks a child for each request and is the only one that speaks to the host. The child gets its source, its
standard input and its files, and no descriptor but those; what the host will compare with never comes here.

One request at a time: when its child has ended, whatever else it started is killed before the next one begins.
"""

from __future__ import annotations

import atexit
import builtins
import contextlib
import ctypes
import gc
import importlib
import io
import json
import linecache
import logging
import os
import resource
import select
import shutil
import signal
import socket
import sys
import threading
import time
import traceback
import types
import warnings
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, cast

from pinjra.core.values import Opaque
from pinjra.jail.spawn import forks
from pinjra.wire.values.codec import ValueLimits, decode, encode
from pinjra.worker.interpreter.environment import reseed

Message = dict[str, Any]
FRAME_BYTES = 96 << 20  # of one answer of a child
KEPT_TEXT = 10_000  # characters of a message or traceback
SOURCE_NAME = "main.py"
_CONTROL = 3  # a child's descriptor for what it says to us
_GRACE_SECONDS = 0.1  # for the kernel's own limit of processor time to be noticed before ours
_PR_SET_CHILD_SUBREAPER = 36  # prctl(2): orphans become ours, so that we can end them


# ---------------------------------------------------------------- the warm process


def serve(
    exchange: Callable[[list[Any]], list[Any] | None],
    interact: Callable[[Message], Message],
    preload: tuple[str, ...],
) -> None:
    """Take batches of requests from the host and give back results, until it says None."""
    for name in preload:
        importlib.import_module(name)
    warnings.simplefilter("ignore")
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    guest = _Guest()
    folder = os.path.join(os.getcwd(), "run")
    gc.collect()
    gc.freeze()  # a collection in a child would touch, and so copy, all of this memory
    results: list[Any] = []
    while (batch := exchange(results)) is not None:
        results = [_run(request, guest, folder, interact) for request in batch]


def _run(request: Message, guest: _Guest, folder: str, interact: Callable[[Message], Message]) -> Message:
    _remove(folder)
    os.mkdir(folder)
    for name, data in request["files"].items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
    built = None
    if request["build"]:
        built = _watched(
            {**request, "argv": request["build"], "stdin": b"", "wall_seconds": request["build_seconds"]},
            guest,
            folder,
            interact,
        )
    result = (
        _watched(request, guest, folder, interact)
        if built is None or built["status"] == 0
        else {**built, "report": {}}
    )
    result["build"] = built
    result["files"] = _collected(folder, request["fetch"], request["disk_bytes"])
    _remove(folder)
    return result


def _remove(folder: str) -> None:
    try:
        os.rmdir(folder)  # nearly always there is nothing in it
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)


def _watched(request: Message, guest: _Guest, folder: str, interact: Callable[[Message], Message]) -> Message:
    """Return what came of one process."""
    child = _Child(request, guest, folder)
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


class _Child:
    """One forked process: its pipes, its deadline, its end."""

    def __init__(self, request: Message, guest: _Guest, folder: str) -> None:
        self.request = request
        stdin = _unnamed_file(request["stdin"])
        out, out_end = os.pipe()
        err, err_end = os.pipe()
        control, control_end = (end.detach() for end in socket.socketpair())
        self.started = time.monotonic()
        self.pid = _fork()
        if self.pid == 0:
            guest.become(request, folder, (stdin, out_end, err_end, control_end))
        for fd in (stdin, out_end, err_end, control_end):
            os.close(fd)
        self.control = control
        self.text = {out: bytearray(), err: bytearray()}
        self.out, self.err = out, err
        self.lost = 0
        self.frames = bytearray()
        self.report: Message = {}
        self.status: int | None = None
        self.cpu_seconds = 0.0
        self.memory_bytes = 0
        self.waited = 0.0  # seconds in which the child waited for the host

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
                left = self.started + self.waited + self.request["wall_seconds"] - time.monotonic()
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

    def _take(self, fd: int, poll: select.poll, interact: Callable[[Message], Message]) -> str:
        """Read one descriptor; return the limit that the child met by what it wrote, or ""."""
        data = self._read(fd)
        if not data:
            poll.unregister(fd)
        elif fd == self.control:
            self.frames += data
            if len(self.frames) > FRAME_BYTES:
                return "value"
            self._answer(interact)
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

    def _answer(self, interact: Callable[[Message], Message]) -> None:
        """Take the frames that have arrived; each but the last report is passed to the host, whose answer goes back."""
        while (frame := _unframed(self.frames)) is not None:
            if "report" in frame:
                self.report = frame["report"]
                continue
            began = time.monotonic()
            answer = interact(frame)
            self.waited += time.monotonic() - began
            try:
                _write(self.control, _framed(answer))
            except OSError:
                return

    def _reap(self, *, kill: bool) -> None:
        if kill:
            os.kill(self.pid, signal.SIGKILL)
        _, self.status, usage = os.wait4(self.pid, 0)
        self.cpu_seconds = usage.ru_utime + usage.ru_stime
        self.memory_bytes = usage.ru_maxrss << 10

    def end(self) -> None:
        """Kill the child and all that came of it, and close the pipes."""
        if self.status is None:
            self._reap(kill=True)
        os.close(self.out)
        os.close(self.err)
        os.close(self.control)
        _end_descendants(self.pid)


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


def _fork() -> int:
    """Return as `os.fork` does; without the hooks that repair what other threads hold when there is no other thread."""
    return forks.fork() if threading.active_count() == 1 else os.fork()


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
    """Take one message from the front of `buffer`; None when it is not complete. What is no message is an empty report."""
    end = buffer.find(b"\n")
    if end < 0:
        return None
    try:
        message = json.loads(buffer[:end])
        sizes = [min(max(int(size), 0), FRAME_BYTES) for size in message.pop("sizes", ())]
    except (ValueError, TypeError, AttributeError, RecursionError):
        buffer.clear()
        return {"report": {}}
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


def _limit(request: Message) -> None:
    cpu = request["cpu_seconds"]
    resource.setrlimit(resource.RLIMIT_CPU, (max(int(cpu), 1), max(int(cpu), 1) + 1))
    signal.setitimer(signal.ITIMER_PROF, cpu + _GRACE_SECONDS)
    resource.setrlimit(resource.RLIMIT_FSIZE, (request["disk_bytes"],) * 2)
    if request["memory_bytes"]:
        resource.setrlimit(resource.RLIMIT_DATA, (request["memory_bytes"],) * 2)


class _Guest:
    """A forked child: runs the request's source as a program, and then what its mode asks for.

    Made once, before all forks: what a child makes or changes is a page that it copies, which costs more than most programs do.
    """

    def __init__(self) -> None:
        self.request: Message = {}
        self.received = bytearray()
        self.objects: list[Any] = []  # what the other side holds by number
        self.limits: ValueLimits | None = None
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

    def become(self, request: Message, folder: str, fds: tuple[int, ...]) -> NoReturn:
        """Be the process of one request. The descriptors are what it has as 0, 1, 2 and 3."""
        status = 70
        try:
            for number, fd in enumerate(fds):
                os.dup2(fd, number)
            os.closerange(_CONTROL + 1, 4096)  # SECURITY: the host's stream and everything else
            os.chdir(folder)
            _limit(request)
            if request["argv"]:
                os.set_inheritable(_CONTROL, False)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                os.execvp(request["argv"][0], request["argv"])  # noqa: S606  (what the request asks for, in the box)
            self._begin(request)
            status = self.main()
        except OSError as error:
            os.write(2, f"{request['argv'][:1]}: {error}\n".encode())
            status = 127
        finally:
            os._exit(status)

    def _begin(self, request: Message) -> None:
        self.request = request
        if request["mode"] != "program":
            self.limits = ValueLimits(value_bytes=request["value_bytes"])
        sys.argv = [SOURCE_NAME]
        sys.modules["__main__"] = self.module
        reseed()  # the children of one process must not share their random numbers

    def main(self) -> int:
        """Return the exit status."""
        source = self.request["code"]
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
        if threading.active_count() > 1:
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
            if not message.get("args"):  # a look at a name: what is it?
                return self._given(found)
            args, kwargs = cast("tuple[Any, Any]", decode(message["args"], message["blobs"], self._resolved))
            return self._given(cast("Callable[..., object]", found)(*args, **kwargs))
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
        return {"value": tree, "blobs": blobs}

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
        return Opaque(type(value).__name__[:200], "callable" if callable(value) else "", len(self.objects))

    def _resolved(self, opaque: Opaque) -> object:
        return self.objects[opaque.handle - 1] if 0 < opaque.handle <= len(self.objects) else opaque

    def _send(self, message: Message) -> None:
        try:
            _write(_CONTROL, _framed(message))
        except OSError:
            return

    def _ask(self, message: Message) -> Message:
        self._send(message)
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

    def prepare(self, namespace: Message) -> None:
        """Define the names that the test uses and does not define."""
        setup = self.guest.request["setup"]
        if setup:
            exec(compile(setup, "setup.py", "exec", dont_inherit=True), namespace)  # noqa: S102  (the test's own)
        entry = self.guest.request["entry"]
        wanted = {entry, "candidate"} if entry else set()
        names = _global_names(compile(self.guest.request["code"], SOURCE_NAME, "exec", dont_inherit=True))
        wanted |= {name for name in names if name not in namespace and not hasattr(builtins, name)}
        for name in wanted:
            found = self.call([entry if name == "candidate" else name], None)
            if found is not _MISSING:
                namespace[name] = found

    def call(self, path: list[Any], args: tuple[Any, ...] | None) -> object:
        """Return what the other side's function returns, or raise what it raised."""
        message: Message = {"call": path, "args": None}
        if args is not None:
            message["args"], message["blobs"] = encode(args, self.guest.limits, _handle_of)
        answer = self.guest._ask(message)
        if "value" in answer:
            return decode(answer["value"], answer["blobs"], self._remote)
        if args is None and answer.get("error") in ("KeyError", "AttributeError"):
            return _MISSING
        raise _raised(answer)

    def _remote(self, opaque: Opaque) -> object:
        return _Remote(self, opaque.handle, opaque.type) if opaque.handle else opaque


class _Remote:
    """An object of the code under test: it can be called, asked for attributes, and handed back; nothing else.

    SECURITY: no operator is passed on, so an object whose comparisons lie is equal to nothing here.
    """

    _test: _Test
    _handle: int
    _kind: str

    def __init__(self, test: _Test, handle: int, kind: str) -> None:
        self.__dict__.update(_test=test, _handle=handle, _kind=kind)

    def __call__(self, *args: object, **kwargs: object) -> object:
        return self._test.call([self._handle - 1], (args, kwargs))

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._test.call([self._handle - 1, name], None)
        if found is _MISSING:
            raise AttributeError(f"{self._kind!r} object has no attribute {name!r}")
        return found

    def __repr__(self) -> str:
        return f"<{self._kind} object>"


_MISSING = object()


def _handle_of(value: object) -> Opaque:
    if isinstance(value, _Remote):
        return Opaque(value._kind, "", value._handle)
    return Opaque(type(value).__name__, "")


def _raised(answer: Message) -> BaseException:
    for name in answer.get("bases", ()):
        kind = getattr(builtins, str(name), None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            return kind(str(answer.get("message", "")))
    return RuntimeError(
        f"{answer.get('error', 'the code under test has ended')}: {answer.get('message', '')}"
    )


def _global_names(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            names |= _global_names(const)
    return names
