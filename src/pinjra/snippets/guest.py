"""A forked child: runs a source as a program, and then answers calls of what it has defined, or is a test of another one."""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import functools
import io
import json
import linecache
import logging
import os
import random
import resource
import signal
import sys
import threading
import traceback
import types
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn, cast

from pinjra.core.values import Opaque
from pinjra.snippets.calls import CALLBACK, awaited, failed, raised, read_out
from pinjra.snippets.frames import CONTROL, HEAD, Message, framed, unframed, write_all
from pinjra.snippets.program_test import Test
from pinjra.wire.values.codec import VALUE_BYTES, decode, encode
from pinjra.worker.interpreter.environment import reseed
from pinjra.worker.interpreter.imports import adapt_modules

SOURCE_NAME = "main.py"
_ENDS_STACKS = True  # for the worker: a snippet that looks at its stack sees nothing from here on
_MODULE = "solution"  # what a program is called whose functions are called
_WARMING = 20  # CPython 3.11 and later adapt code that has run 8 times
_GRACE_SECONDS = 0.1  # for the kernel's own limit of processor time to be noticed before ours
_PROGRAM: Message = {"mode": "program"}
# What is done with what is no UTF-8, and bytes that are kept (1: lines), of the descriptors 0, 1 and 2.
_STREAMS = (
    ("stdin", "replace", io.DEFAULT_BUFFER_SIZE),
    ("stdout", "replace", io.DEFAULT_BUFFER_SIZE),
    ("stderr", "backslashreplace", 1),
)


def _seed(seed: int | None) -> None:
    """Draw the random numbers of a seed, or others than all other children; those of numpy once a program has it."""
    if seed is None:
        reseed()
        return
    random.seed(seed)
    adapt_modules({"numpy.random": lambda module: module.seed(seed & 0xFFFFFFFF)})  # it takes no larger one


def _start(argv: list[str]) -> int:
    """Be another program; return the status for one that is not there."""
    os.set_inheritable(CONTROL, False)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)  # noqa: S606  (what the request asks for, in the box)
    except OSError as error:
        os.write(2, f"{argv[:1]}: {error}\n".encode())
        return 127


class Guest:
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
        for number, (name, errors, buffer_bytes) in enumerate(_STREAMS):
            stream = open(  # noqa: SIM115  (for as long as this process is there)
                number, "w" if number else "r", buffer_bytes, closefd=False, encoding="utf-8", errors=errors
            )
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
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
            os.closerange(CONTROL + 1, 4096)
            os.chdir(self.folder)
            signal.signal(signal.SIGINT, signal.default_int_handler)  # the box's own is of the warden
            source, seed, limits = self._taken(os.read(CONTROL, 65536))
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
            head = HEAD.pack(len(source), len(rest), False, 0, 1.0, 1, 0, 1)
            code, seed, _ = self._taken(head + source + rest)
            self.request = _PROGRAM
            self._begin(seed)
            self.main(code)
            resource.setrlimit(resource.RLIMIT_CPU, resource.getrlimit(resource.RLIMIT_CPU))
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            tree, blobs = encode(((1,), {}), self.limits, self._kept)
            call = unframed(bytearray(framed({"call": ["f"], "args": tree, "blobs": blobs}))) or {}
            framed(self._called(call))
        self.module.__dict__.clear()
        self.module.__dict__.update(names)

    def _taken(self, data: bytes) -> tuple[str, int | None, list[Any]]:
        """Return source and seed of a request and its limits; the rest is kept."""
        size, more, has_seed, seed, *limits = HEAD.unpack_from(data)
        end = HEAD.size + size
        while len(data) < end + more:
            data += os.read(CONTROL, 1 << 20) or os._exit(71)
        if more:
            self.request = json.loads(data[end:])
        return data[HEAD.size : end].decode("utf-8", "surrogatepass"), seed if has_seed else None, limits

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
        # a module that others use: what it does as a program is not asked for
        if self.request["mode"] == "calls":
            self.module.__name__ = _MODULE
        sys.modules[self.module.__name__] = self.module
        _seed(seed)

    def main(self, source: str) -> int:
        """Return the exit status."""
        linecache.cache[SOURCE_NAME] = (
            len(source),
            None,
            io.StringIO(f"{source}\n").readlines(),
            SOURCE_NAME,
        )
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
        told = failed(error) if error is not None else {"error": "", "message": ""}
        said = {"stage": stage, "is_exit": is_exit, "type": told["error"], "message": told["message"]}
        self._flush()
        self._send({"report": said})

    # ------------------------------------------------------------ calls from the other side

    def _prepare(self) -> None:
        if self.request["mode"] == "test":
            Test(self.request, self.limits, self._ask).prepare(self.module.__dict__)

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
                return self._given(awaited(cast("Coroutine[Any, Any, object]", found)))
            if not message.get("args"):  # a look at a name: what is it?
                return self._given(found)
            args, kwargs = cast("tuple[Any, Any]", decode(message["args"], message["blobs"], self._resolved))
            value = cast("Callable[..., object]", found)(*args, **kwargs)
            return self._given(read_out(value) if message.get("read") else value)
        except Exception as error:
            return failed(error)

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

    def _kept(self, value: object) -> Opaque:
        self.objects.append(value)
        about = "coroutine" if isinstance(value, types.CoroutineType) else ""
        if isinstance(value, type) and issubclass(value, Exception):
            about = "exception"
        return Opaque(type(value).__name__[:200], about, len(self.objects))

    def _back(self, number: int, *args: object, **kwargs: object) -> object:
        """Return what a function of the test returns, which the test gave as an argument."""
        tree, blobs = encode((args, kwargs), self.limits, self._kept)
        answer = self._ask({"back": number, "args": tree, "blobs": blobs})
        while answer.get("call"):  # that function calls us again
            answer = self._ask(self._called(answer))
        if "value" in answer:
            return decode(answer["value"], answer["blobs"], self._resolved)
        raise raised(answer, {})

    def _resolved(self, opaque: Opaque) -> object:
        if opaque.repr == CALLBACK:
            return functools.partial(self._back, opaque.handle)
        return self.objects[opaque.handle - 1] if 0 < opaque.handle <= len(self.objects) else opaque

    def _send(self, message: Message) -> None:
        try:
            write_all(CONTROL, framed(message))
        except OSError:
            return

    def _ask(self, message: Message) -> Message:
        if self.request["mode"] == "test" and self.request["calls"]:
            return self._foreseen(framed(message).decode("latin-1"))
        with self.line:
            self._send(message)
            return self._next()

    def _foreseen(self, call: str) -> Message:
        """Return the program's answer to a call of the test, which is here already; or end: another was foreseen."""
        answers, position = self.request["answers"], self.position
        self.position += 1
        if position < len(answers) and call == self.request["calls"][position]:
            return unframed(bytearray(answers[position], "latin-1")) or {}
        if len(answers) <= position < len(self.request["calls"]):
            return {}  # the program has ended before it came to this
        self._send({"report": {"stage": "unforeseen"}})
        os._exit(1)

    def _next(self) -> Message:
        while (answer := unframed(self.received)) is None:
            data = os.read(CONTROL, 65536)
            if not data:
                os._exit(71)
            self.received += data
        return answer


def _exits() -> tuple[int, int, list[Any]]:
    """Return what tells whether exit functions have something to do: how many there are, and what those of Python look at."""
    return atexit._ncallbacks(), len(weakref.finalize._registry), list(logging._handlerList)  # type: ignore[attr-defined]
