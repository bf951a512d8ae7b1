"""A worker that speaks the protocol and behaves as its first argument says. Started by the tests as a process."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from pinjra.wire.connection import GuestConnection, SupervisorConnection
from pinjra.wire.messages import (
    PROTOCOL,
    Call,
    Display,
    Execute,
    Finished,
    GetFile,
    Hello,
    Init,
    Kill,
    Lost,
    Message,
    Output,
    Started,
)


class Worker:
    """Supervisor and interpreter in one loop, without any guest."""

    def __init__(self, behave: Callable[[Worker, Message], None]) -> None:
        self.host, self.guest = SupervisorConnection(), GuestConnection()
        self.behave = behave

    def raw(self, data: bytes) -> None:
        while data:
            data = data[os.write(1, data) :]

    def control(self, message: Message) -> None:
        self.raw(self.host.send(message))

    def say(self, message: Message) -> None:
        self.raw(b"".join(self.host.relay(self.guest.send(message))))

    def serve(self) -> None:
        self.control(Hello(protocol=PROTOCOL, capabilities=("raw", "rollback")))
        while data := os.read(0, 1 << 20):
            for event in self.host.receive_data(data):
                for message in self.guest.receive_data(event) if isinstance(event, bytes) else [event]:
                    self.behave(self, message)


def polite(worker: Worker, message: Message) -> None:
    if isinstance(message, Init):
        worker.control(Started())
    elif isinstance(message, Kill):
        worker.control(Lost(cause=message.cause, kill=message.kill, rolled_back=True))


def on_execute(action: Callable[[Worker, int], None]) -> Callable[[Worker, Message], None]:
    def behave(worker: Worker, message: Message) -> None:
        if isinstance(message, Execute):
            action(worker, message.run)
        else:
            polite(worker, message)

    return behave


def deaf(worker: Worker, message: Message) -> None:
    if isinstance(message, Execute):
        worker.say(Output(stream="stdout", text="at work"))
    elif not isinstance(message, Kill):
        polite(worker, message)


def flood(worker: Worker, run: int) -> None:
    for _ in range(2000):
        worker.say(Output(stream="stdout", text="x" * 10_000))
    worker.say(Finished(run=run))


def late(worker: Worker, message: Message) -> None:
    """Finish the run just before the kill arrives: both answers cross on the way."""
    if isinstance(message, Kill):
        worker.say(Finished(run=1, value="in time"))
    polite(worker, message)


def wrong_file(worker: Worker, message: Message) -> None:
    if isinstance(message, GetFile):
        worker.control(Started())
    else:
        polite(worker, message)


def ansi(worker: Worker, run: int) -> None:
    worker.say(Output(stream="stdout", text="\x1b]0;owned\x07\x1b[2Jab\tc\r\nd\u202e\ud800\n"))
    worker.control(Output(stream="stderr", text="\x9b31m"))
    worker.say(Display(run=run, media_type="image/\x1b", name="\x1b", blobs=(b"1",)))
    error = {"kind": "exception", "type": "E\x1b", "message": "m\x1b", "traceback": "t\x1b", "line": 1}
    error |= {"source_line": "s\x1b", "hint": "h\x1b", "rolled_back": True, "state_lost": True}
    worker.say(Finished(run=run, error=error, notes=("n\x1b",)))


def call_twice(worker: Worker, run: int) -> None:
    for _ in range(2):
        worker.say(Call(run=run, call=1, name="f", args=["l"], kwargs={}))


def costly(worker: Worker, run: int) -> None:
    """Have the host decode two million numbers, in 40 calls of no tool."""
    args = ["l", *[["F", "nan"]] * 50_000]
    for call in range(1, 41):
        worker.say(Call(run=run, call=call, name="f", args=args, kwargs={}))


def controls(worker: Worker, run: int) -> None:
    text = "\x01" * 5_000_000
    worker.say(Output(stream="stdout", text=text))
    worker.say(Display(run=run, media_type=text, name=text, blobs=(b"1",)))
    worker.say(Finished(run=run, notes=(text,)))


BEHAVIOURS: dict[str, Callable[[Worker, Message], None]] = {
    "polite": polite,
    "talks": on_execute(lambda w, run: w.say(Output(stream="stdout", text="at work"))),
    "deaf": deaf,
    "late": late,
    "wrong-file": wrong_file,
    "dies": on_execute(lambda w, run: os.kill(os.getpid(), signal.SIGKILL)),
    "leaves": on_execute(lambda w, run: os._exit(3)),
    "garbage": on_execute(lambda w, run: w.raw(b"\x00\xff garbage\n")),
    "floods": on_execute(flood),
    "costly": on_execute(costly),
    "controls": on_execute(controls),
    "ansi": on_execute(ansi),
    "call-twice": on_execute(call_twice),
    "answers-run-2": on_execute(lambda w, run: w.say(Finished(run=run + 1))),
    "odd-value": on_execute(
        lambda w, run: w.say(Finished(run=run, value=["nd", "|O", [1], 0], blobs=(b"12345678",)))
    ),
    "odd-error": on_execute(lambda w, run: w.say(Finished(run=run, error={"kind": "nonsense"}))),
    "odd-cause": on_execute(lambda w, run: w.control(Lost(cause="nonsense"))),
    "odd-stream": on_execute(lambda w, run: w.say(Output(stream="stdlog", text=""))),
    "odd-arguments": on_execute(lambda w, run: w.say(Call(run=run, call=1, name="f", args=5, kwargs={}))),
    "loses-state": on_execute(lambda w, run: w.control(Lost(cause="memory", detail="out of memory"))),
    "dies-at-start": lambda w, message: w.control(Lost(cause="startup", detail="no memory")),
}

if __name__ == "__main__":
    if sys.argv[1] == "silent":
        time.sleep(1000)
    if sys.argv[1] == "no-worker":
        sys.exit("python: cannot find the worker")
    Worker(BEHAVIOURS[sys.argv[1]]).serve()
