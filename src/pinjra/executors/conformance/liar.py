"""A worker that lies: it speaks the protocol until it is told, in the place of code, which lie to tell. It runs in the sandbox.

The checks of `hostile` send it there in the worker's place. Standard library and `pinjra.wire` only; Python 3.10.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import NoReturn

from pinjra.wire import messages as wire
from pinjra.wire.connection import GuestConnection, SupervisorConnection
from pinjra.wire.frames import LINE_BYTES

DEEP = 500  # brackets; the host allows 64


class Liar:
    """Supervisor and interpreter in one loop, without any guest.

    Args:
        fd_in, fd_out: The stream.
    """

    def __init__(self, fd_in: int, fd_out: int) -> None:
        self.fds = fd_in, fd_out
        self.host, self.guest = SupervisorConnection(), GuestConnection()
        self.run = 0

    def raw(self, data: bytes) -> None:
        """Write bytes as they are."""
        while data:
            data = data[os.write(self.fds[1], data) :]

    def frame(self, lane: str, text: bytes) -> bytes:
        """Return the next frame, of whatever text."""
        return self.host._stream.number(lane, (text + b"\n", b""))

    def say(self, message: wire.Message) -> None:
        """Say something as the interpreter."""
        self.raw(b"".join(self.host.relay(self.guest.send(message))))

    def call(self, name: str, number: int) -> None:
        """Call a tool with one argument."""
        self.say(wire.Call(run=self.run, call=number, name=name, args=["l", 1], kwargs={}))

    def serve(self) -> None:
        """Answer as a worker does, until the stream ends."""
        self.raw(self.host.send(wire.Hello(protocol=wire.PROTOCOL, capabilities=("raw",))))
        while data := os.read(self.fds[0], 1 << 16):
            for event in self.host.receive_data(data):
                if isinstance(event, bytes):
                    for message in self.guest.receive_data(event):
                        self.on_guest(message)
                elif event is not None:
                    self.on_control(event)
            self.raw(self.host.take_reply())

    def on_control(self, message: wire.Message) -> None:
        """Answer what a supervisor is asked."""
        if isinstance(message, wire.Init):
            self.raw(self.host.send(wire.Started()))
        elif isinstance(message, wire.Kill):
            self.raw(self.host.send(wire.Lost(cause=message.cause, kill=message.kill, rolled_back=True)))
        elif isinstance(message, wire.Close):
            os._exit(0)

    def on_guest(self, message: wire.Message) -> None:
        """Answer what an interpreter is asked; code is the name of a lie."""
        if isinstance(message, wire.GrantTools):
            self.say(wire.Done(request=message.request))
        elif isinstance(message, wire.Execute):
            self.run = message.run
            lie = {**LIES, **HARMLESS}.get(message.code or "")
            if lie is None:
                self.say(wire.Finished(run=self.run, value=f"no such lie: {message.code}"))
            else:
                lie(self)
        elif isinstance(message, wire.Answer):
            self.say(wire.Finished(run=self.run, value=message.error_type or "done"))


def _same_call_twice(liar: Liar) -> None:
    liar.call("touch", 1)
    liar.call("touch", 1)


def _same_frame_twice(liar: Liar) -> None:
    message = wire.Call(run=liar.run, call=1, name="touch", args=["l", 1], kwargs={})
    data = b"".join(liar.host.relay(liar.guest.send(message)))
    liar.raw(data + data)


LIES: Mapping[str, Callable[[Liar], None]] = {
    "no frame": lambda liar: liar.raw(b"\x01\xff no frame\n"),
    "no JSON": lambda liar: liar.raw(liar.frame("c", b'"Done",{"request":')),
    "too long": lambda liar: liar.raw(b"x" * (LINE_BYTES + 2) + b"\n"),
    "too deep": lambda liar: liar.raw(
        liar.frame("c", b'"Done",{"request":' + b"[" * DEEP + b"]" * DEEP + b"}]")
    ),
    "unknown kind": lambda liar: liar.raw(liar.frame("c", b'"Obey",{}]')),
    "unknown field": lambda liar: liar.raw(
        liar.frame("c", b'"Output",{"stream":"stdout","text":"","run":"rm"}]')
    ),
    "wrong lane": lambda liar: liar.raw(liar.frame("g", b'"Lost",{"cause":"wall"}]')),
    "unasked answer": lambda liar: liar.raw(liar.frame("c", b'"Done",{"request":77}]')),
    "second greeting": lambda liar: liar.raw(liar.host.send(wire.Started())),
    "gap": lambda liar: liar.raw(b'["c",%d,0,"Ack",{}]\n' % (liar.host._stream.sent + 5)),
    "unsaid acknowledged": lambda liar: liar.raw(
        b'["c",%d,999999,"Ack",{}]\n' % (liar.host._stream.sent + 1)
    ),
    "other run": lambda liar: liar.say(wire.Display(run=liar.run + 1, media_type="text/html", name="")),
    "same call twice": _same_call_twice,
    "blob of no message": lambda liar: liar.raw(liar.frame("c", b'"+",4095,"!!!!",1]')),
}
"""Name -> what ends a session: the host must say `ProtocolViolation`."""

HARMLESS: Mapping[str, Callable[[Liar], None]] = {
    "same frame twice": _same_frame_twice,
    "tool that was not granted": lambda liar: liar.call("os.system", 1 << 10),
    "tool with wrong arguments": lambda liar: liar.call("plain", 1 << 11),
}
"""Name -> what must have no effect here, and ends with the value that says so."""


def main() -> NoReturn:
    """Serve on the standard descriptors."""
    serve(0, 1)


def serve(fd_in: int, fd_out: int, **_confinement: object) -> NoReturn:
    """Serve one session; never return."""
    os.set_blocking(fd_in, True)
    os.set_blocking(fd_out, True)
    try:
        Liar(fd_in, fd_out).serve()
    finally:
        sys.stderr.flush()
        os._exit(0)
