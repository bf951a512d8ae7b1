"""A host in forty lines, speaking the real protocol with a real worker in a real process."""

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from pinjra.wire.connection import HostConnection
from pinjra.wire.messages import (
    Answer,
    Call,
    Close,
    Display,
    Done,
    Execute,
    Finished,
    GrantTools,
    Hello,
    Init,
    Lost,
    Message,
    Output,
    SetVariables,
    Started,
)
from pinjra.wire.values.codec import decode, encode
from processes import descendants

WORKER = [sys.executable, "-I", "-m", "pinjra.worker"]
PATIENCE = 300.0  # a hang fails the test; nothing waits so long


class Host:
    """The host's end of one worker."""

    def __init__(self, command=WORKER, *, imports=("*",), guard=False, limits=None, raw=True, **init):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.connection = HostConnection(resume=not raw)
        self.tools: dict[str, Callable] = {}
        self._messages: list[Message] = []
        self._request = 0
        try:
            self._set_up(imports=imports, guard=guard, limits=limits or {}, raw=raw, **init)
        except BaseException:
            self.close()
            raise

    def _set_up(self, *, imports, raw, mode="standard", **init):
        self.hello = self.next(Hello)
        self.send(Init(authorized_imports=imports, imports=mode, raw=raw, resume=not raw, **init))
        self.next(Started)

    def send(self, message):
        self.send_bytes(self.connection.send(message))

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def read(self):
        """Return the next message."""
        while not self._messages:
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            assert ready, "the worker said nothing"
            data = os.read(self.process.stdout.fileno(), 1 << 20)
            if not data:
                raise EOFError(self.process.wait(PATIENCE))
            self._messages += self.connection.receive_data(data)
            self.send_bytes(self.connection.take_reply())
        return self._messages.pop(0)

    def next(self, *kinds):
        """Return the next message of these kinds, passing over others."""
        while not isinstance(message := self.read(), kinds):
            pass
        return message

    def request(self):
        self._request += 1
        return self._request

    def start(self, code):
        self.printed, self.pictures, self.calls = {"stdout": "", "stderr": ""}, [], []
        self.send(Execute(run=self.connection.run + 1, code=code))

    @property
    def text(self):
        """What the run printed to its standard output."""
        return self.printed["stdout"]

    def finish(self):
        """Return the `Finished` or `Lost` of the run in progress; answer its calls from `tools`."""
        while True:
            message = self.read()
            if isinstance(message, Output):
                self.printed[message.stream] += message.text
            elif isinstance(message, Display):
                self.pictures.append(message)
            elif isinstance(message, Call):
                self.calls.append(message)
                if message.name in self.tools:
                    self.answer(message)
            elif isinstance(message, (Finished, Lost)):
                return message

    def answer(self, call):
        args, kwargs = self.arguments(call)
        try:
            tree, blobs = encode(self.tools[call.name](*args, **kwargs))
        except Exception as error:
            self.send(Answer(call=call.call, error_type=type(error).__name__, error_message=str(error)))
        else:
            self.send(Answer(call=call.call, value=tree, blobs=blobs))

    @staticmethod
    def arguments(call):
        args, kwargs = decode(["l", call.args, call.kwargs], call.blobs)
        return args, kwargs

    def run(self, code):
        """Return the value of `code`, the fields of its error, or `Lost`."""
        self.start(code)
        self.finished = end = self.finish()
        if isinstance(end, Lost):
            return end
        return decode(end.value, end.blobs) if end.error is None else end.error

    def grant(self, *, is_async=False, **tools):
        self.tools.update(tools)
        described = {name: {"doc": "", "async": is_async} for name in tools}
        self.send(GrantTools(request=self.request(), tools=described))
        assert self.next(Done).problem == ""

    def set(self, **values):
        tree, blobs = encode(values)
        self.send(SetVariables(request=self.request(), values=tree, blobs=blobs))
        return self.next(Done).message

    def processes(self):
        """Return all processes below the supervisor."""
        return sorted(descendants(self.process.pid))

    def close(self):
        if self.process.poll() is None and self.connection.state != "closed":
            try:
                self.send(Close())
            except (BrokenPipeError, ValueError):  # it ended by itself
                pass
        try:
            self.process.stdin.close()
        except BrokenPipeError:  # it was killed, with something on its way
            pass
        self.process.stdout.close()
        return self.process.wait(PATIENCE)


@pytest.fixture
def open_host() -> Iterator[Callable[..., Host]]:
    """Open real workers, and close them behind the test."""
    hosts = []

    def make(*args, **options):
        hosts.append(Host(*args, **options))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def host(open_host) -> Host:
    """A worker without the guard: what holds there holds without its help."""
    return open_host()
