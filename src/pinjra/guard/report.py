"""A guest's exception -> GuestError: type, message, line in the guest's own source, short traceback of guest frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType

from pinjra.core.execution import Cause, ErrorKind, GuestError
from pinjra.guard.attributes import type_name
from pinjra.guard.errors import GuardRefused, GuestStop, RefusedOperation

__all__ = ["report_exception", "report_refused", "report_stop", "report_syntax"]

_MESSAGE_CHARACTERS = 10_000
_FRAMES = 20
_LINE_CHARACTERS = 200

Describe = Callable[[BaseException], str]


def report_exception(error: BaseException, sources: Mapping[str, str], describe: Describe) -> GuestError:
    """Return what came of an exception that left the guest's code.

    Args:
        sources: File name → source of each of the session's runs.
        describe: Returns `str(error)`; runs guest code, so it may fail in any way.
    """
    frames = _guest_frames(error.__traceback__, sources)
    refused = isinstance(error, RefusedOperation)
    line, text = (frames[-1][0], frames[-1][2]) if frames else (None, None)
    name = "RefusedOperation" if refused else _type_name(error)
    message = describe(error)[:_MESSAGE_CHARACTERS]
    return GuestError(
        kind=ErrorKind.REFUSED if refused else ErrorKind.EXCEPTION,
        type=name,
        message=message,
        line=line,
        source_line=text,
        traceback=_render(frames, f"{name}: {message[:1000]}" if message else name),
        hint=(error.hint or None) if isinstance(error, RefusedOperation) else None,
    )


def report_stop(stop: GuestStop, error: BaseException | None, sources: Mapping[str, str]) -> GuestError:
    """Return a stop (limit, interrupt) as a value."""
    frames = _guest_frames(error.__traceback__, sources) if error is not None else []
    line, text = (frames[-1][0], frames[-1][2]) if frames else (None, None)
    interrupted = stop.cause is Cause.INTERRUPT
    name = "Interrupted" if interrupted else "LimitReached"
    message = str(stop)[:_MESSAGE_CHARACTERS]
    return GuestError(
        kind=ErrorKind.INTERRUPTED if interrupted else ErrorKind.LIMIT,
        type=name,
        message=message,
        line=line,
        source_line=text,
        traceback=_render(frames, f"{name}: {message}"),
        cause=stop.cause,
    )


def report_refused(refused: GuardRefused, source: str) -> GuestError:
    """Return what the guard refused before the program ran."""
    first = refused.violations[0]
    message = "\n".join(f"line {v.line}: {v.message}" for v in refused.violations)
    hints = dict.fromkeys(v.hint for v in refused.violations if v.hint)
    return GuestError(
        kind=ErrorKind.REFUSED,
        type="GuardRefused",
        message=message[:_MESSAGE_CHARACTERS],
        line=first.line,
        source_line=_line_of(source, first.line),
        hint="; ".join(hints) or None,
    )


def report_syntax(error: SyntaxError, source: str) -> GuestError:
    """Return a SyntaxError of the guest's source."""
    line = error.lineno if isinstance(error.lineno, int) else None
    message = f"{error.msg}"[:_MESSAGE_CHARACTERS]
    return GuestError(
        kind=ErrorKind.SYNTAX,
        type=type(error).__name__,
        message=message,
        line=line,
        source_line=_line_of(source, line) if line else None,
    )


def _type_name(error: BaseException) -> str:
    return type_name(type(error))


def _guest_frames(
    trace: TracebackType | None, sources: Mapping[str, str]
) -> list[tuple[int, str, str | None]]:
    """Return (line, function, text) of the guest's frames, outermost first; the innermost 20."""
    frames: list[tuple[int, str, str | None]] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        source = sources.get(code.co_filename)
        if source is not None and trace.tb_lineno is not None:
            frames.append((trace.tb_lineno, code.co_name, _line_of(source, trace.tb_lineno)))
        trace = trace.tb_next
    return frames[-_FRAMES:]


def _line_of(source: str, line: int) -> str | None:
    lines = source.split("\n")
    return lines[line - 1].strip()[:_LINE_CHARACTERS] if 0 < line <= len(lines) else None


def _render(frames: list[tuple[int, str, str | None]], last: str) -> str:
    rows = []
    for line, name, text in frames:
        where = "" if name == "<module>" else f", in {name}"
        rows.append(f"line {line}{where}: {text or ''}".rstrip())
    return "\n".join([*rows, last])
