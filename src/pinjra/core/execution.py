"""Execution: everything that came of one run of guest code, as plain values."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:  # the worker has no use for what they import
    from pathlib import Path

    from pinjra.core.guest_files import GuestFile


class ErrorKind(str, Enum):
    """What sort of guest failure ended a run."""

    EXCEPTION = "exception"  # the guest's own exception
    SYNTAX = "syntax"  # the source does not parse
    REFUSED = "refused"  # the guard or the kernel refused an operation
    LIMIT = "limit"  # a limit was reached: see `cause`
    INTERRUPTED = "interrupted"  # the host called interrupt()
    CRASHED = "crashed"  # the interpreter died (signal, os._exit): see `cause`


class Cause(str, Enum):
    """What ended a run that did not end by itself."""

    WALL = "wall"
    CPU = "cpu"
    MEMORY = "memory"
    OPERATIONS = "operations"
    PROCESSES = "processes"
    DISK = "disk"
    OUTPUT = "output"
    VALUE = "value"
    TOOL_CALLS = "tool_calls"
    SECCOMP = "seccomp"
    SIGNAL = "signal"
    EXIT = "exit"
    INTERRUPT = "interrupt"
    PROTOCOL = "protocol"
    HOST = "host"


def error_line(name: str, message: str) -> str:
    """Return an error as the last line of a traceback names it: one without words is its name alone."""
    return f"{name}: {message}" if message else name


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestError:
    """A failure of guest code, as a value.

    Args:
        type: The exception's class name, as the guest would see it ("ZeroDivisionError").
        message: One line or more, cut at 10,000 characters.
        line: 1-based line in the guest's source; None where no line is to blame.
        source_line: The text of that line, without indentation.
        traceback: Short, guest frames only, ready to be shown to a model.
        hint: What to do instead, where the guard refused something.
        cause: What ended the run, for LIMIT, INTERRUPTED and CRASHED.
        rolled_back: The session's variables are again as they were before this run.
        state_lost: The session's variables are gone (a backend without rollback).
    """

    kind: ErrorKind
    type: str
    message: str
    line: int | None = None
    source_line: str | None = None
    traceback: str = ""
    hint: str | None = None
    cause: Cause | None = None
    rolled_back: bool = False
    state_lost: bool = False

    def __str__(self) -> str:
        where = f" (line {self.line}: {self.source_line})" if self.line and self.source_line else ""
        hint = f"\n{self.hint}" if self.hint else ""
        return f"{error_line(self.type, self.message)}{where}{hint}"

    @property
    def text(self) -> str:
        """Return traceback, error and hint, each once."""
        text = self.traceback.rstrip()
        if error_line(self.type, self.message) not in text:
            text = f"{text}\n{self}".lstrip()
        return f"{text}\n{self.hint}" if self.hint and self.hint not in text else text


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one run used. None: this backend cannot tell."""

    wall_seconds: float = 0.0
    tool_seconds: float = 0.0
    cpu_seconds: float | None = None
    operations: int | None = None
    memory_peak_bytes: int | None = None
    output_bytes: int = 0
    tool_calls: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """Something to look at that guest code displayed or that its value was.

    Args:
        media_type: "image/png", "text/html", …
        data: The bytes, not encoded.
        name: The guest's name for it, never to be used as a path.
    """

    media_type: str
    data: bytes = field(repr=False)
    name: str = ""

    def _repr_html_(self) -> str:
        """Return what a notebook shows of it."""
        from pinjra.core.notebook import shown_html

        return shown_html(self.media_type, self.data)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What came of one run.

    Args:
        value: The last expression's value, or final_answer's argument; plain data or `Opaque`.
        stdout: Kept also when the run failed; cut at `Limits.output_bytes`.
        notes: Things the caller should tell the model ("len is the builtin again").
        status: The exit status of a program (`exec`, other languages); below zero a signal's number. None: it was Python, or the
            program did not end by itself (`error` says why).
        files: What the run wrote into its folder, new or changed, by name; read when asked for. Hidden names are left out, and so
            is everything of a run that was killed.
    """

    value: object = None
    stdout: str = ""
    stderr: str = ""
    error: GuestError | None = None
    artifacts: tuple[Artifact, ...] = ()
    usage: Usage = field(default_factory=Usage)
    is_final_answer: bool = False
    notes: tuple[str, ...] = ()
    status: int | None = None
    files: Mapping[str, GuestFile] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return all fields; never raises, also where Python gives a value no text (an integer of more than 4,300 digits)."""
        from pinjra.core.json_data import text_of

        return f"Execution({', '.join(f'{name}={text_of(getattr(self, name))}' for name in self.__slots__)})"

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all `files` and `artifacts` into a folder of this machine; return where they are."""
        from pinjra.core.guest_files import save_all

        return [*save_all(self.files, folder), *save_artifacts(self.artifacts, folder)]

    def _repr_html_(self) -> str:
        """Return what a notebook shows of it: output, error or value, what it showed, notes and names of files."""
        from pinjra.core.json_data import text_of
        from pinjra.core.notebook import text_html
        from pinjra.core.safe_text import settled

        red, value, said = "#b00", self.value, ""
        if self.error is not None:
            said = self.error.text
        elif value is not None and not self.artifacts:
            said = text_of(value)
        files = ", ".join(f"{file.name} ({file.size} bytes)" for file in self.files.values())
        parts = (
            text_html(settled(self.stdout)),
            text_html(settled(self.stderr), red),
            text_html(said, red if self.error else "inherit"),
            *(artifact._repr_html_() for artifact in self.artifacts),
            *map(text_html, self.notes),
            text_html(f"Files: {files}" if files else ""),
        )
        return "\n".join(part for part in parts if part)

    @property
    def logs(self) -> str:
        """Return stdout followed by stderr as a terminal shows them in the end: no colours, of a progress bar the last state."""
        from pinjra.core.safe_text import settled

        return settled(self.stdout) + settled(self.stderr)


def save_artifacts(artifacts: Iterable[Artifact], folder: str | os.PathLike[str]) -> list[Path]:
    """Write artifacts into a folder of this machine, as artifact-1.png and so on; return where they are."""
    from pinjra.core.guest_files import write_file

    return [
        write_file(folder, f"artifact-{number}{_ENDINGS.get(artifact.media_type, '.bin')}", artifact.data)
        for number, artifact in enumerate(artifacts, 1)
    ]


_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/svg+xml": ".svg",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/latex": ".tex",
    "application/json": ".json",
}


class CodeOutput(NamedTuple):
    """What `executor(code)` returns: the familiar form of a successful `Execution`."""

    output: object
    logs: str
    is_final_answer: bool


Stream = Literal["stdout", "stderr"]
