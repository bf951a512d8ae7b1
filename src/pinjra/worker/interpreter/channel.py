"""The interpreter's end of its socket: messages out, messages in, answers to whoever waits for them.

Any thread may send. One thread at a time reads (the leader) and hands each answer to the call that it belongs to; the
others wait until their answer is there or the leadership is free. An asyncio loop that waits watches the socket
itself.
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable

from pinjra.wire.connection import GuestConnection
from pinjra.wire.messages import TO_GUEST, Answer, Call, Kinds, Message
from pinjra.worker.interpreter.interrupts import Interrupts
from pinjra.worker.supervisor.outbox import READ_BYTES

_CALLS_PER_RUN = 1 << 20  # call numbers of run n start at n × this: above all that a checkpoint can have used


class Channel:
    """The socket to the supervisor, which blocks."""

    def __init__(self, stream: socket.socket, interrupts: Interrupts, kinds: Kinds = TO_GUEST) -> None:
        self._interrupts = interrupts
        self._kinds = kinds
        self._send_lock = threading.Lock()
        self._turn = threading.Condition(threading.Lock())
        self.attach(stream)
        self.run = 0
        """The run in progress; 0 between runs."""
        self._last_call = 0
        self._pid = 0  # of the process that carries out the run

    def attach(self, stream: socket.socket) -> None:
        """Speak over this socket from now on, and forget what the one before had half said."""
        self._stream = stream
        self._poll = select.poll()
        self._poll.register(stream, select.POLLIN)
        self._connection = GuestConnection(self._kinds)
        self._inbox: deque[Message] = deque()
        self.waiting: dict[int, Callable[[Answer], None]] = {}
        """By the numbers of the calls that are not answered."""
        self._has_leader = False

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when there is something to take."""
        return self._stream.fileno()

    # ------------------------------------------------------------ out

    def begin_run(self, run: int) -> None:
        """Open a run: calls and output are possible."""
        self.run, self._pid = run, os.getpid()
        self._last_call = max(self._last_call, run * _CALLS_PER_RUN)

    @property
    def is_in_child(self) -> bool:
        """Whether this is a process that guest code has forked."""
        return os.getpid() != self._pid

    def send(self, message: Message) -> None:
        """Send a message, whole, whatever signals come."""
        with self._interrupts, self._send_lock:
            for piece in self._connection.pieces(message):
                self._stream.sendall(piece)

    def tell(self, line: bytes) -> None:
        """Say one line to the supervisor itself."""
        with self._interrupts, self._send_lock:
            self._stream.sendall(line)

    def call(self, message: Callable[..., Call], on_answer: Callable[[Answer], None]) -> int:
        """Send a call; return its number.

        Args:
            message: Makes the call of its `run` and its number, `call`.
            on_answer: Called once, on the thread that happened to read the answer.

        Raises:
            RuntimeError: No run is open (a thread that a run left behind), or this is a child of the guest's, which has the same
                socket: its numbers would be those of its parent's calls, and its answers read by either.
        """
        if self.is_in_child and self.run:
            raise RuntimeError("tools answer the process that the run began in; call them there")
        with self._turn:
            if not self.run:
                raise RuntimeError("a tool was called after the run was over")
            self._last_call = number = self._last_call + 1
            self.waiting[number] = on_answer
            self.send(message(run=self.run, call=number))  # inside the lock: numbers rise on the wire
        return number

    def end_run(self) -> None:
        """Close the run: from here on nothing is said in its name, and who still waits for an answer waits in vain."""
        with self._turn:
            self.run = 0
            waiting, self.waiting = self.waiting, {}
            for number, on_answer in waiting.items():
                on_answer(Answer(call=number, error_type="RuntimeError", error_message="the run is over"))
            self._turn.notify_all()

    # ------------------------------------------------------------ in

    def next_message(self) -> Message | None:
        """Wait for the next message that is no answer; None when the supervisor is gone."""
        try:
            self.wait_for(lambda: bool(self._inbox))
        except EOFError:
            return None
        return self._inbox.popleft()

    def wait_for(self, is_done: Callable[[], bool]) -> None:
        """Read until `is_done`; together with other threads that wait.

        Raises:
            EOFError: The supervisor is gone.
        """
        while True:
            with self._turn:
                while not (done := is_done()) and self._has_leader:
                    self._turn.wait()
                if done:
                    return
                self._has_leader = True
            self._lead(is_done)

    def _lead(self, is_done: Callable[[], bool]) -> None:
        try:
            while not is_done():
                if not self._read():
                    raise EOFError("the supervisor is gone")
        finally:
            self._resign()

    def take_ready(self) -> None:
        """Hand out what has come, without waiting. For the callback of an event loop."""
        with self._turn:
            if self._has_leader:
                return
            self._has_leader = True
        try:
            if self._poll.poll(0):
                self._read()
        finally:
            self._resign()

    def _resign(self) -> None:
        with self._turn:
            self._has_leader = False
            self._turn.notify_all()

    def _read(self) -> bool:
        """Wait for some bytes and hand out the messages that they complete; False at the end of the stream."""
        # poll(2) first: a read(2) that waits is woken in vain when the other side takes what we have written.
        self._poll.poll()
        try:
            data = os.read(self._stream.fileno(), READ_BYTES)
        except ConnectionResetError:
            return False
        for message in self._connection.receive_data(data):
            self._take(message)
        with self._turn:
            self._turn.notify_all()
        return bool(data)

    def _take(self, message: Message) -> None:
        if isinstance(message, Answer):
            self.waiting.pop(message.call, _unwanted)(message)
        else:
            self._inbox.append(message)


def _unwanted(_answer: Answer) -> None:
    """Drop the answer of a call that nobody waits for any more."""
