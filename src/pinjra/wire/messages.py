"""Every message of the protocol, one frozen dataclass each. See docs/protocol.md for who says what when.

Two lanes share one stream. On lane CONTROL the host talks with the supervisor, on lane GUEST with the interpreter. The
supervisor relays the guest lane and never lets it speak on the control lane: a guest that forges any message can only
forge a message of its own lane.

A field of type `Value` is a codec tree (see `codec`), whose blobs travel beside the message.

Rule for whoever adds a message: its class goes into one of the four tables of `shapes`, and its field types are written
exactly as the table of checks there spells them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Union

__all__ = ["CONTROL", "GUEST", "PROTOCOL", "Message", "Value"]

PROTOCOL = 1  # the number that `Hello` names

CONTROL = "c"
GUEST = "g"

# A codec tree: what json.loads gives. Kept opaque here.
Value = Union[None, bool, int, float, str, list["Value"], dict[str, "Value"]]  # noqa: UP007 (forward references)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """Base of all messages; `blobs` are the raw bytes that the message's values refer to by position."""

    blobs: tuple[bytes, ...] = field(default=(), repr=False)


# ---------------------------------------------------------------- control lane: host -> supervisor


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupt(Message):
    """Stop the run now: SIGINT first, SIGKILL and rollback after `grace_seconds`."""

    grace_seconds: float = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill(Message):
    """Kill the interpreter now and go back to the checkpoint.

    Always answered by one `Lost` that echoes `cause` and the number `kill`, so that a kill that comes too late for its
    run is never taken for the end of the next one.
    """

    cause: str
    kill: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFile(Message):
    """Write one scratch file; `blobs[0]` is its content."""

    request: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GetFile(Message):
    """Ask for one scratch file."""

    request: int
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFiles(Message):
    """Ask for names and sizes of the scratch files."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset(Message):
    """Replace the interpreter by a fresh one and empty the scratch folder. Answered by `Done`."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Message):
    """Make an independent session with the same state. Answered by `Forked` or `Failed`."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping(Message):
    """Ask whether the supervisor lives."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume(Message):
    """After the stream was cut: resend everything after frame `last_seen`, behind a line that has `token` in it.

    The token is random and new each time: nothing that a guest got into the torn rest of the old stream can pass for it.
    """

    last_seen: int
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ack(Message):
    """Nothing to say but the acknowledgement in the frame (either way)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Close(Message):
    """End the session."""


# ---------------------------------------------------------------- control lane: supervisor -> host


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello(Message):
    """First frame of the worker, before `Init` was read: what it is."""

    protocol: int
    python: str  # "3.11.2"
    platform: str
    capabilities: tuple[str, ...] = ()  # "raw", "fork", "rollback"
    applied: tuple[str, ...] = ()  # confinement in force, outermost first (the jail)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Message):
    """`Init` was understood and the interpreter is up."""

    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured(Message):
    """Bytes that something in the box wrote to descriptor 1 or 2, as text (UTF-8, bad bytes replaced)."""

    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class FileData(Message):
    """Answer to `GetFile`: `blobs[0]` is the content."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileList(Message):
    """Answer to `ListFiles`."""

    request: int
    files: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done(Message):
    """The request was carried out."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Message):
    """The request was not carried out. `kind`: "not-found", "refused", "quota", "error". Request 0: `Init` itself."""

    request: int
    kind: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked(Message):
    """Answer to `Fork`: the new session waits on the stream that came with the request."""

    request: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong(Message):
    """Answer to `Ping`."""

    request: int


# ---------------------------------------------------------------- guest lane: host -> interpreter


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantTools(Message):
    """Bind stubs for these host functions. `tools`: name -> {"doc": str, "async": bool}."""

    request: int
    tools: dict[str, dict[str, str | bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetVariables(Message):
    """Set guest variables; `values` is a codec tree of a dict."""

    request: int
    values: Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Execute(Message):
    """Run code, or a program. Answered by `Finished` (or `Lost` on the control lane).

    `argv`: start this program instead of running code; `blobs[0]` is its standard input, and its exit status the value.
    """

    run: int
    code: str
    argv: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Message):
    """The answer to a `Call`: a value, or the type and message of an exception."""

    call: int
    value: Value = None
    error_type: str = ""  # "" means: value
    error_message: str = ""


# ---------------------------------------------------------------- guest lane: interpreter -> host


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound(Message):
    """Answer to `GrantTools` and `SetVariables`; `problem` is "" when all went well."""

    request: int
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output(Message):
    """Text that guest code printed, in order, as it is produced: of a worker in one process, which has nobody to capture it."""

    run: int
    stream: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Display(Message):
    """Something to look at: `blobs[0]` is its bytes."""

    run: int
    media_type: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Message):
    """Guest code calls a host function. `call` counts 1, 2, 3 … over the session's life.

    `concurrent`: others may be open at the same time (async or threads); otherwise the guest waits for this one.
    """

    run: int
    call: int
    name: str
    args: Value
    kwargs: Value
    concurrent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Message):
    """The run is over. Either `error` (fields of GuestError) or `value`."""

    run: int
    value: Value = None
    is_final: bool = False
    error: dict[str, str | int | bool | None] | None = None
    operations: int | None = None
    cpu_seconds: float | None = None
    memory_peak_bytes: int | None = None
    notes: tuple[str, ...] = ()
