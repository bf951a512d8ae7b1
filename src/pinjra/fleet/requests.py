"""What one snippet needs -> plain data for a box; what the box says -> a result. The host's side of `snippets`."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

from pinjra.core.limits import Limits

Reason = Literal[
    "", "exception", "exit", "compile", "wall", "processor", "memory", "output", "value", "infrastructure"
]
Mode = Literal["program", "calls", "test"]

_WORDS = {
    "value": "it said more to its box than it was asked, or something else",
    "infrastructure": "the machine had too much else to do: it hardly ran",
}
_DEFAULT = Limits(wall_seconds=10.0, cpu_seconds=10.0, memory_bytes=512 << 20)
# Signals that the kernel does not send for what a process does itself.
_SENT = {signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT}
_UNLIMITED_SECONDS = 86_400.0
# Times the limit, in which a program may wait for processors: on a machine that has ten times too much to do none is judged.
MOST_STARVING = 9.0
_UNLIMITED_BYTES = 1 << 40
# The warm interpreter's own share, which a forked child has mapped from its first moment.
_CHILD_MEMORY = 64 << 20


def seconds(limits: Limits) -> float:
    """Return the time on the clock that limits leave; what has none has a day."""
    return limits.wall_seconds or _UNLIMITED_SECONDS


def most_seconds(limits: Limits) -> float:
    """Return the time that may pass for `seconds`: their clock stands still while a program waits for others' processors."""
    return seconds(limits) * (1 + MOST_STARVING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One snippet.

    Args:
        mode: "program": run it; "calls": run it, then answer calls of its functions; "test": it is a test of such functions.
        fetch: Names of files to bring back.
        argv: Start this program instead of the code, where the box has programs.
        build: Start this one first, in the same folder; when it fails, that is all.
        setup, entry: Of a test: source that runs before it, and the function that it is about.
        seed: Of `random`, and of numpy's where it is loaded; None: another for each.
        names: Of a test: what it uses and does not define.
        modules: Of a test: names of `names` that are modules -> what these are called.
        calls: What it is asked, one after the other, where that is known before; of a test what it will ask.
        answers: Of a test: what the program has said to each of `calls`, as far as it came.
        others_seconds: How long others may take for all of their answers to it: its clock stands still meanwhile.
        most_starving: Times its limit, in which it may wait for processors; with less than usual there is no second try either.
    """

    code: str = ""
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)
    fetch: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    build: tuple[str, ...] = ()
    build_seconds: float = 30.0
    limits: Limits = _DEFAULT
    mode: Mode = "program"
    setup: str = ""
    entry: str = ""
    seed: int | None = None
    names: tuple[str, ...] = ()
    modules: Mapping[str, str] = field(default_factory=dict)
    calls: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    others_seconds: float = 0.0
    most_starving: float = MOST_STARVING

    def data(self) -> dict[str, Any]:
        """Return it as the box takes it."""
        limits = self.limits
        return {
            **{each.name: getattr(self, each.name) for each in fields(self) if each.name != "limits"},
            "files": dict(self.files),
            "modules": dict(self.modules),
            "wall_seconds": seconds(limits),
            "cpu_seconds": limits.cpu_seconds or _UNLIMITED_SECONDS,
            "memory_bytes": limits.memory_bytes and limits.memory_bytes + _CHILD_MEMORY,
            "disk_bytes": limits.disk_bytes or _UNLIMITED_BYTES,
            "output_bytes": limits.output_bytes or _UNLIMITED_BYTES,
            "value_bytes": limits.value_bytes,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SnippetResult:
    """What came of one snippet.

    Args:
        index: Its position in what was given to `map`.
        ok: It ended by itself with status 0, within its limits.
        reason: Why not; "infrastructure" is nobody's verdict on the snippet.
        returncode: Exit status, or the negative number of the signal that ended it; None without one.
        error_type, message: Of the exception that ended it.
        is_killed: Its process was killed, and no limit of ours and nothing that it did is known to be the reason.
        files: Those that were asked for with `fetch`.
        build: What came of the request's `build`.
        earlier_cpu_seconds: Processor time of runs before this one: of a snippet whose process or box was ended.
    """

    index: int = 0
    ok: bool
    reason: Reason = ""
    returncode: int | None = None
    stdout: str = ""
    stderr: str = ""
    error_type: str = ""
    message: str = ""
    lost_bytes: int = 0
    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    memory_bytes: int = 0
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    build: SnippetResult | None = None
    is_killed: bool = False
    earlier_cpu_seconds: float = 0.0

    @property
    def total_cpu_seconds(self) -> float:
        """Return the processor time of all of its runs, and of its build."""
        # a build that failed is what this result says
        built = self.build.cpu_seconds if self.build is not None and self.build.ok else 0.0
        return self.cpu_seconds + built + self.earlier_cpu_seconds


def infrastructure(message: str) -> SnippetResult:
    """Return the result of a snippet that could not be run; it says nothing about the snippet."""
    return SnippetResult(ok=False, reason="infrastructure", message=message)


def result_of(request: Request, said: Mapping[str, Any]) -> SnippetResult:
    """Return the result of what a box says. The guest may have lied to the box about itself, and only about itself."""
    if said["cause"] == "given":  # it could not be begun
        return infrastructure(said["message"])
    status = said["status"]
    code = os.waitstatus_to_exitcode(status) if isinstance(status, int) else None
    report = said["report"] if isinstance(said["report"], dict) else {}
    kind = str(report.get("type", ""))
    reason = _reason(request, said, code, report, kind)
    return SnippetResult(
        ok=not reason,
        reason=reason,
        returncode=code,
        stdout=said["stdout"].decode("utf-8", "replace"),
        stderr=said["stderr"].decode("utf-8", "replace"),
        error_type=kind,
        message=_WORDS.get(reason, str(report.get("message", ""))),
        lost_bytes=said["lost_bytes"],
        wall_seconds=said["wall_seconds"],
        cpu_seconds=said["cpu_seconds"],
        memory_bytes=said["memory_bytes"],
        files=said.get("files", {}),
        build=result_of(request, said["build"]) if said.get("build") else None,
        is_killed=reason in ("memory", "exit") and _is_killed(code or 0, bool(request.argv)),
    )


def _is_killed(code: int, is_program: bool) -> bool:
    """Return whether an exit status tells of a signal that somebody has sent; shells tell of their programs' so, too."""
    return -code in _SENT or (is_program and code - 128 in _SENT)


def _reason(
    request: Request, said: Mapping[str, Any], code: int | None, report: Mapping[str, Any], kind: str
) -> Reason:
    if said["cause"] in ("wall", "output", "value"):
        found: Reason = said["cause"]
        return found
    if said["cause"] == "starved":
        return "infrastructure"
    cpu = request.limits.cpu_seconds
    if code in (-signal.SIGPROF, -signal.SIGXCPU) or (
        code == -signal.SIGKILL and cpu and said["cpu_seconds"] >= cpu
    ):
        return "processor"
    if code == 0:
        return ""
    limit = request.limits.memory_bytes
    # the kernel ends a process for memory with this signal; one that had little was ended by somebody else
    if kind == "MemoryError" or (
        code == -signal.SIGKILL and (not limit or said["memory_bytes"] * 2 >= limit)
    ):
        return "memory"
    if report.get("stage") == "compile":
        return "compile"
    return "exit" if report.get("is_exit") or not kind else "exception"
