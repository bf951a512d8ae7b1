"""Every message of the protocol, one frozen dataclass each. See docs/protocol.md for who says what when.

Two lanes share one stream. On lane "c" (control) the host talks with the supervisor, on lane "g" (guest) with the interpreter.
The supervisor relays the guest lane and never lets it speak on the control lane: a guest can forge messages of its own lane only.

A field of type `Value` is a codec tree (see `codec`), whose blobs travel beside the message.

Rule for whoever adds a message: its class goes into one of the four tables below; what a field may have is what its type says
(`_check_of`). Blobs are put before their message, and found again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Union, get_args, get_origin, get_type_hints

from pinjra.core.errors import ProtocolViolation
from pinjra.wire import frames

if TYPE_CHECKING:
    from typing import dataclass_transform

    # A codec tree: what json.loads gives. Kept opaque here: a field of this type may have any of it.
    Value = Union[None, bool, int, float, str, list["Value"], dict[str, "Value"]]  # noqa: UP007 (forward references)
else:
    Value = object
    dataclass_transform = lambda **_options: lambda cls: cls  # noqa: E731  # Python 3.10 has none

PROTOCOL = 2  # the number that `Hello` names

# What a `Call` names that asks for the next piece of a run's standard input; b"" is its end.
INPUT = "<stdin>"


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
@dataclass(frozen=True, kw_only=True)
class Message:
    """Base of all messages; `blobs` are the raw bytes that the message's values refer to by position."""

    blobs: tuple[bytes, ...] = field(default=(), repr=False)

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)


class OfRequest(Message):
    """What has the number of a request: itself, or its answer."""

    request: int


class OfRun(Message):
    """What belongs to one run."""

    run: int


# ---------------------------------------------------------------- control lane: host -> supervisor


class Init(Message):
    """First frame of all. The whole configuration: nothing comes by environment or argv."""

    authorized_imports: tuple[str, ...]
    limits: dict[str, int | float | None]
    guard: bool = True
    rollback: bool = True
    protected: tuple[str, ...] = ()  # names that guest code may not bind at module level (tools of an agent)
    scratch: str = ""  # folder for files; "" lets the worker make one
    raw: bool = False  # blobs as raw bytes from here on, both ways (only when `Hello` offered it)
    resume: bool = False  # keep what was sent until it is acknowledged (never together with `raw`)
    imports: str = "standard"  # what can be imported without being authorised: "listed", "standard", "all"
    walled: bool = True  # something besides the worker confines it; else the audit hook may have to
    links: tuple[str, ...] = ()  # "name=path": links of the scratch folder to the user's folders
    env: tuple[str, ...] = ()  # "NAME=value" for guest code, besides what every box has


class Interrupt(Message):
    """Stop the run now: by a signal first, SIGKILL and rollback after `grace_seconds`."""

    grace_seconds: float = 0.2


class Kill(Message):
    """Kill the interpreter now and go back to the checkpoint.

    Always answered by one `Lost` that echoes `cause` and the number `kill`, so that a kill that comes too late for its
    run is never taken for the end of the next one.
    """

    cause: str
    kill: int = 0


class PutFile(OfRequest):
    """Write one scratch file; `blobs[0]` is its content, or what follows the first `offset` bytes, which are there."""

    name: str
    offset: int = 0


class GetFile(OfRequest):
    """Ask for `size` bytes of one scratch file from `offset` on (fewer at its end)."""

    name: str
    size: int
    offset: int = 0


class ListFiles(OfRequest):
    """Ask for names and sizes of the scratch files."""


class Reset(OfRequest):
    """Replace the interpreter by a fresh one and empty the scratch folder."""


class Fork(OfRequest):
    """Make an independent session with the same state, on the stream that comes with the request."""


class Resume(Message):
    """After the stream was cut: resend everything after frame `last_seen`, behind a line that has `token` in it.

    The token is random and new each time: nothing that a guest got into the torn rest of the old stream can pass for it.
    """

    last_seen: int
    token: str


class Ack(Message):
    """Nothing to say but the acknowledgement in the frame (either way)."""


class Close(Message):
    """End the session."""


# ---------------------------------------------------------------- control lane: supervisor -> host


class Hello(Message):
    """First frame of the worker, before `Init` was read: what it is."""

    protocol: int
    capabilities: tuple[str, ...] = ()  # "raw", "fork", "rollback"
    applied: tuple[str, ...] = ()  # confinement in force, outermost first (the jail)
    missing: tuple[str, ...] = ()


class Started(Message):
    """`Init` was understood and the interpreter is up."""


class Output(Message):
    """What something in the box wrote to descriptor 1 or 2, as text (UTF-8, bad bytes replaced).

    Of a worker in one process, which has nobody to read these, it comes on the guest's lane.
    With `file`: where in the scratch folder all that the run has printed stands, since something is missing in what was said.
    """

    stream: str
    text: str
    file: str = ""
    file_bytes: int = 0


class Lost(Message):
    """The interpreter died. A run in progress is over.

    `rolled_back`: the checkpoint took over and the variables are as before the run; otherwise a fresh, empty
    interpreter is there (`state_lost`).
    """

    cause: str  # a Cause value
    detail: str = ""  # "signal 9", "exit status 3"
    rolled_back: bool = False
    kill: int = 0  # the number of the `Kill` that this answers; 0: the interpreter died by itself
    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None


class Done(OfRequest):
    """The answer to a request, on the lane on which that was made. `blobs[0]` is what `GetFile` asked for.

    `problem`: "" when it was carried out, else "not-found", "refused", "quota" or "error". Request 0: `Init` itself.
    """

    problem: str = ""
    message: str = ""  # the problem in words
    files: dict[str, int] | None = None  # what `ListFiles` asked for


# ---------------------------------------------------------------- guest lane: host -> interpreter


class GrantTools(OfRequest):
    """Bind stubs for these host functions. `tools`: name -> {"doc": str, "async": bool}."""

    tools: dict[str, dict[str, str | bool]]


class SetVariables(OfRequest):
    """Set guest variables; `values` is a codec tree of a dict."""

    values: Value


class Execute(OfRun):
    """Run code, or a program. Answered by `Finished` (or `Lost` on the control lane).

    `argv`: with code, what it finds as `sys.argv` from now on, where it is not empty. Without code (None) the program to start,
    whose exit status is the value. `blobs[0]` is the standard input of either; with `more`, its beginning: calls of `INPUT` ask
    for the rest.
    """

    code: str | None
    argv: tuple[str, ...] = ()
    more: bool = False


class Answer(Message):
    """The answer to a `Call`: a value, or the type and message of an exception."""

    call: int
    value: Value = None
    error_type: str = ""  # "" means: value
    error_message: str = ""


# ---------------------------------------------------------------- guest lane: interpreter -> host


class Display(OfRun):
    """Something to look at: `blobs[0]` is its bytes."""

    media_type: str
    name: str


class Call(OfRun):
    """Guest code calls a host function. `call` counts 1, 2, 3 … over the session's life; several may be open at one time."""

    call: int
    name: str
    args: Value
    kwargs: Value


class Finished(OfRun):
    """The run is over. Either `error` (fields of GuestError) or `value`."""

    value: Value = None
    is_final: bool = False
    error: dict[str, str | int | bool | None] | None = None
    operations: int | None = None
    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    notes: tuple[str, ...] = ()
    files: dict[str, int] | None = None  # name → bytes of what the run wrote into its folder


# ---------------------------------------------------------------- messages <-> JSON fields

Kinds = Mapping[str, type[Message]]


def kinds(*classes: type[Message]) -> dict[str, type[Message]]:
    """Return the classes by their names."""
    return {cls.__name__: cls for cls in classes}


TO_SUPERVISOR = kinds(Init, Interrupt, Kill, PutFile, GetFile, ListFiles, Reset, Fork, Resume, Ack, Close)
FROM_SUPERVISOR = kinds(Hello, Started, Output, Lost, Done, Ack)
TO_GUEST = kinds(GrantTools, SetVariables, Execute, Answer)
FROM_GUEST = kinds(Output, Done, Display, Call, Finished)

Check = Callable[[object], bool]


def _is_int(value: object) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def _is_number(value: object) -> bool:
    return _is_int(value) or (type(value) is float and math.isfinite(value))


def _is_texts(value: object) -> bool:
    return type(value) is list and set(map(type, value)) <= {str}


_CHECKS: Mapping[object, Check] = {int: _is_int, float: _is_number, tuple[str, ...]: _is_texts}


def _check_of(hint: object) -> Check:
    """Return the test for values of JSON that a field of this type may have."""
    if hint in _CHECKS:
        return _CHECKS[hint]
    checks = [_check_of(part) for part in get_args(hint)]
    if get_origin(hint) is dict:
        return lambda value: type(value) is dict and all(map(checks[1], value.values()))
    if checks:  # a union
        return lambda value: any(check(value) for check in checks)
    return lambda value: hint is object or type(value) is hint


# Class -> field -> what a value must be, and its default.
_FIELDS: Mapping[type[Message], Mapping[str, tuple[Check, object]]] = {
    cls: {f.name: (_check_of(hints[f.name]), f.default) for f in fields(cls) if f.name != "blobs"}
    for table in (TO_SUPERVISOR, FROM_SUPERVISOR, TO_GUEST, FROM_GUEST)
    for cls in table.values()
    for hints in [get_type_hints(cls)]
}


def to_fields(message: Message) -> dict[str, object]:
    """Return the fields of `message` for JSON, without its blobs and without what has its default."""
    known = _FIELDS[type(message)].items()
    return {name: value for name, (_, default) in known if (value := getattr(message, name)) is not default}


def from_fields(kind: str, tree: object, blobs: tuple[bytes, ...], kinds: Kinds) -> Message:
    """Return the message that `tree` spells.

    Raises:
        ProtocolViolation: Unknown kind or field, missing field, wrong type (the worker's fault).
    """
    cls = kinds.get(kind)
    if cls is None:
        raise ProtocolViolation(f"unknown message {frames.glimpse(kind, 60)} on this lane")
    if type(tree) is not dict:
        raise ProtocolViolation(f"{kind}: fields are {type(tree).__name__}, not an object")
    known = _FIELDS[cls]
    for name, value in tree.items():
        if name not in known:
            raise ProtocolViolation(f"{kind}: unknown field {frames.glimpse(name, 60)}")
        check = known[name][0]
        if not check(value):
            raise ProtocolViolation(f"{kind}: field {name!r} has a wrong value {frames.glimpse(value, 60)}")
        if check is _is_texts:
            tree[name] = tuple(value)
    try:
        return cls(**tree, blobs=blobs)
    except TypeError as error:  # a field is missing
        raise ProtocolViolation(f"{kind}: {error}") from None


# ---------------------------------------------------------------- messages <-> frames

SPILL_BYTES = 256 << 10  # fields longer than this as JSON travel as the message's last blob


def pack(message: Message, *, raw: bool) -> Iterator[frames.Unnumbered]:
    """Yield the frames of `message`, to be put behind a lane and numbers."""
    for position, blob in enumerate(message.blobs):
        yield from frames.blob_rests(position, blob, raw=raw)
    fields = frames.dump(to_fields(message))
    if len(fields) > SPILL_BYTES:
        yield from frames.blob_rests(len(message.blobs), fields, raw=raw)
        fields = b"null"
    yield b'"%s",%s]\n' % (type(message).__name__.encode(), fields), b""


def parse(rest: bytes, blobs: list[bytes], kinds: Kinds, message_bytes: int) -> Message:
    """Return the message that a line and the blobs before it spell.

    Raises:
        ProtocolViolation: They spell none of `kinds` (the worker's fault).
    """
    tree = frames.load(b"[" + rest, message_bytes)
    if type(tree) is not list or len(tree) != 2 or type(tree[0]) is not str:
        frames.refuse("a message is a kind and its fields", rest)
    kind, fields = tree
    if fields is None:
        if not blobs:
            frames.refuse("a message without fields", rest)
        fields = frames.load(blobs.pop(), message_bytes)
    return from_fields(kind, fields, tuple(blobs), kinds)


class Assembler:
    """Collects the frames of one lane until a message is whole. Each lane has its own, so blobs never change lanes."""

    def __init__(self, kinds: Kinds, message_bytes: int = frames.MESSAGE_BYTES) -> None:
        self._kinds = kinds
        self._message_bytes = message_bytes
        self._blobs: list[bytes] = []
        self._chunks: list[bytes] = []
        self._size = 0

    def add(self, frame: frames.Frame) -> Message | None:
        """Return the message that `frame` completes, or None.

        Raises:
            ProtocolViolation: The frame does not fit (the worker's fault).
        """
        blob = frames.read_blob(frame)
        if blob is not None:
            self._collect(*blob)
            return None
        if self._chunks:
            frames.refuse("a message in the middle of a blob", frame.rest)
        blobs, self._blobs, self._size = self._blobs, [], 0
        return parse(frame.rest, blobs, self._kinds, self._message_bytes)

    def clear(self) -> None:
        """Forget a message that will not be completed."""
        self._blobs, self._chunks, self._size = [], [], 0

    def _collect(self, position: int, chunk: bytes, last: bool) -> None:
        self._size += len(chunk)
        # SECURITY: the sum is checked before the chunk is kept; chunks are full but the last, so their number is bounded.
        if self._size > self._message_bytes or position >= frames.BLOBS:
            frames.refuse(f"a message of more than {self._message_bytes} bytes or {frames.BLOBS} blobs")
        if position != len(self._blobs) or not (last or len(chunk) == frames.CHUNK_BYTES):
            frames.refuse("a blob out of order", position)
        self._chunks.append(chunk)
        if last:
            self._blobs.append(self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks))
            self._chunks = []
