"""A guest's exception -> GuestError: type, message, line in the guest's own source, short traceback of guest frames.

A guest's frames are the program's, those of files in its folder, and those of texts that it has given to `exec`.
"""

from __future__ import annotations

import errno
import linecache
import os
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from itertools import groupby
from types import TracebackType
from typing import NamedTuple, cast

from pinjra.core.execution import Cause, ErrorKind, GuestError, error_line
from pinjra.core.tool_errors import GROUPS
from pinjra.guard.errors import GuardRefused, GuestStop, RefusedOperation
from pinjra.guard.policy.modules import MEANT

_MESSAGE_CHARACTERS = 10_000
_FRAMES = 20
_NAMES = 5_000  # are looked at for the one that was meant
_LINE_CHARACTERS = 200
_CAUSES = 5  # of one exception are shown
_PARTS, _LEVELS = 10, 3  # of a group
_WRAPPED = 10  # of one exception are looked at: requests wraps urllib3's, which wraps a socket's
_DIRECT = "The above exception was the direct cause of the following exception:"
_DURING = "During handling of the above exception, another exception occurred:"

Describe = Callable[[BaseException], str]
_NAME_OF_CLASS = vars(type)["__name__"].__get__
_ERRNO_OF = vars(OSError)["errno"].__get__
# What a class of the guest's says of itself (a property, __bool__, __getattribute__) is its code, and not asked.
_TRACE_OF = vars(BaseException)["__traceback__"].__get__
_IS_CONTEXT_HIDDEN = vars(BaseException)["__suppress_context__"].__get__
_CAUSE_OF = vars(BaseException)["__cause__"].__get__
_CONTEXT_OF = vars(BaseException)["__context__"].__get__
_SPACE_OF = vars(BaseException)["__dict__"].__get__


def report_exception(error: BaseException, sources: Mapping[str, str], describe: Describe) -> GuestError:
    """Return what came of an exception that left the guest's code.

    Args:
        sources: File name → source of each of the session's runs.
        describe: Returns `str(error)`; runs guest code, so it may fail in any way.
    """
    frames = _guest_frames(_TRACE_OF(error), sources)
    refused = issubclass(type(error), RefusedOperation)  # isinstance() asks the guest's class
    line, text = _place(frames)
    name = "RefusedOperation" if refused else _type_name(error)
    message = describe(error)[:_MESSAGE_CHARACTERS]
    causes = "".join(_causes(error, sources, describe))
    return GuestError(
        kind=ErrorKind.REFUSED if refused else ErrorKind.EXCEPTION,
        type=name,
        message=message,
        line=line,
        source_line=text,
        traceback=causes + _render(frames, _last_line(name, message) + _more(error, sources, describe)),
        hint=(cast("RefusedOperation", error).hint or None) if refused else _hint(error) or _meant(error),
    )


# Module of the standard library whose system call was refused -> what would allow it, or who does.
_ALLOWED_BY = {
    "subprocess": 'programs=["…"] allows programs',
    "socket": 'network=["…"] allows hosts; within the box os.pipe() and socket.socketpair() work',
    "multiprocessing.synchronize": 'locks between processes, and so pools of them, are in executor_type="jail" or '
    '"docker"; threads, and processes with a Pipe, work here',
    "multiprocessing.shared_memory": 'shared memory is in executor_type="jail" or "docker"; files work here',
}
_ALLOWED_BY["multiprocessing.heap"] = _ALLOWED_BY["multiprocessing.shared_memory"]  # of Value and Array
_NOT_PERMITTED = {
    errno.EPERM: "the sandbox does not permit this system call",
    errno.EROFS: "the sandbox lets the scratch folder be written, and of mounts= those that are writable",
    errno.EACCES: "the sandbox lets the scratch folder be written, and mounts= shows more of the machine",
}


def _hint(error: BaseException) -> str | None:
    """Return what is to be known of a system call that the kernel has refused; libraries wrap its error in their own."""
    return next((hint for each in _chain(error) if (hint := _hint_of(each))), None)


def _chain(error: BaseException) -> list[BaseException]:
    chain = [error]
    while len(chain) <= _WRAPPED and (cause := _cause(error)) is not None:
        chain.append(cause)
        error = cause
    return chain


def _cause(error: BaseException) -> BaseException | None:
    direct: BaseException | None = _CAUSE_OF(error)
    return _CONTEXT_OF(error) if direct is None else direct


def _hint_of(error: BaseException) -> str | None:
    if not issubclass(type(error), OSError):
        return None
    if type(error) is getattr(sys.modules.get("_socket"), "gaierror", None):
        return None if _has_sockets() else _ALLOWED_BY["socket"]
    number = _ERRNO_OF(error)  # not what the guest's own class says
    name = _innermost_module(_TRACE_OF(error))
    is_refused = number in _NOT_PERMITTED or (
        number == errno.ENOENT and name == "multiprocessing.synchronize"
    )
    return _ALLOWED_BY.get(name) or _NOT_PERMITTED.get(number) if is_refused else None


def _has_sockets() -> bool:
    import _socket

    try:
        _socket.socket().close()
    except PermissionError:
        return False
    except OSError:  # descriptors are used up
        pass
    return True


def _innermost_module(trace: TracebackType | None) -> str:
    name: object = ""
    while trace is not None:
        found, trace = trace.tb_frame.f_globals.get("__name__"), trace.tb_next
        name = name if found == "tempfile" else found  # who asks it for a file is the one
    return name if type(name) is str else ""


def _causes(error: BaseException, sources: Mapping[str, str], describe: Describe) -> Iterator[str]:
    """Yield what an exception came of, first things first: the causes that its traceback shows in CPython."""
    chain: list[tuple[BaseException, str]] = []
    while len(chain) < _CAUSES and all(error is not seen for seen, _ in chain):
        is_direct, cause = _CAUSE_OF(error) is not None, _cause(error)
        if cause is None or (_IS_CONTEXT_HIDDEN(error) and not is_direct):
            break
        chain.append((cause, _DIRECT if is_direct else _DURING))
        error = cause
    for cause, words in reversed(chain):
        frames = _guest_frames(_TRACE_OF(cause), sources)
        last = _last_line(_type_name(cause), describe(cause)) + _more(cause, sources, describe)
        yield f"{_render(frames, last)}\n\n{words}\n\n"


def _more(error: BaseException, sources: Mapping[str, str], describe: Describe, level: int = 1) -> str:
    """Return what CPython shows below the last line: notes, and the exceptions of a group, of which each has its own lines."""
    notes: object = dict.get(_SPACE_OF(error), "__notes__")
    texts = [note for note in notes if issubclass(type(note), str)] if type(notes) is list else []
    lines = [str.__str__(note)[:1000] for note in texts[:_PARTS]]
    inner = _parts(error) if level <= _LEVELS else ()
    for part in inner[:_PARTS]:
        last = _last_line(_type_name(part), describe(part)) + _more(part, sources, describe, level + 1)
        lines.append(textwrap.indent(_render(_guest_frames(_TRACE_OF(part), sources), last), "  "))
    if len(inner) > _PARTS:
        lines.append(f"  and {len(inner) - _PARTS:,} more")
    return "".join(f"\n{line}" for line in lines)


def _parts(error: BaseException) -> tuple[BaseException, ...]:
    is_group = issubclass(type(error), GROUPS)
    return vars(GROUPS[0])["exceptions"].__get__(error) if is_group else ()


def _meant(error: BaseException) -> str | None:
    """Return the name that was perhaps meant, where one is not known: Python's own display says it too."""
    try:
        wrong, known = _names_near(error)
        if type(wrong) is not str or wrong in known:
            return None
        if type(error) is NameError and (wrong in sys.stdlib_module_names or wrong in MEANT):
            return f"did you forget to import {f'{MEANT[wrong]} as {wrong}' if wrong in MEANT else wrong}?"
        names = [each for each in known if type(each) is str and (each[:1] != "_" or wrong[:1] == "_")]
        close = get_close_matches(wrong[:100], names[:_NAMES], n=1, cutoff=0.7)
    except BaseException:  # SECURITY: a class of the guest's says what it likes, or fails
        return None
    return f"did you mean {close[0]}?" if close else None


def _names_near(error: BaseException) -> tuple[object, Sequence[object]]:
    """Return the name that an exception is about, and what there is in its place."""
    if issubclass(type(error), AttributeError) and (owner := _OWNER_OF(error)) is not None:
        return _ATTRIBUTE_OF(error), dir(owner)
    trace = _TRACE_OF(error)
    if type(error) is not NameError or trace is None:
        return None, []
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    return _NAME_OF(error), [*frame.f_locals, *frame.f_globals, *frame.f_builtins]


_OWNER_OF, _ATTRIBUTE_OF = vars(AttributeError)["obj"].__get__, vars(AttributeError)["name"].__get__
_NAME_OF = vars(NameError)["name"].__get__


def _last_line(name: str, message: str) -> str:
    return error_line(name, message[:1000])


def report_stop(stop: GuestStop, error: BaseException | None, sources: Mapping[str, str]) -> GuestError:
    """Return a stop (limit, interrupt) as a value."""
    frames = _guest_frames(_TRACE_OF(error), sources) if error is not None else []
    line, text = _place(frames)
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
    text = _line_of(source, line) if line else None
    message = f"{error.msg}"[:_MESSAGE_CHARACTERS]
    return GuestError(
        kind=ErrorKind.SYNTAX,
        type=type(error).__name__,
        message=message,
        line=line,
        source_line=text,
        hint=next((hint for begin, hint in _OF_IPYTHON if (text or "").startswith(begin)), None),
    )


# Lines that notebooks take and Python does not begin like this -> what is there instead.
_OF_IPYTHON = (
    (
        ("!pip ", "%pip ", "!conda ", "%conda "),
        'this is Python, not IPython: packages=["…"] installs packages',
    ),
    (("!",), 'this is Python, not IPython: programs=["…"] allows programs, subprocess starts them'),
    (("%",), "this is Python: lines that begin with % are IPython's"),
)


def _type_name(error: BaseException) -> str:
    """Return the name of an exception's class without asking its metaclass."""
    return str(_NAME_OF_CLASS(type(error)))


class _Frame(NamedTuple):
    """A line that was running: of the program, or of the file that is named."""

    file: str
    line: int
    name: str
    text: str | None


def _place(frames: list[_Frame]) -> tuple[int | None, str | None]:
    """Return the program's innermost line and its text."""
    return next(((each.line, each.text) for each in reversed(frames) if not each.file), (None, None))


def _guest_frames(trace: TracebackType | None, sources: Mapping[str, str]) -> list[_Frame]:
    """Return the guest's frames, outermost first."""
    frames: list[_Frame] = []
    while trace is not None:
        code, line = trace.tb_frame.f_code, trace.tb_lineno
        source = sources.get(code.co_filename)
        if line is not None and source is not None:
            frames.append(_Frame("", line, code.co_name, _line_of(source, line)))
        elif line is not None and frames:  # not what runs the program
            frames.extend(_of_a_file(code.co_filename, line, code.co_name))
        trace = trace.tb_next
    return frames


def _of_a_file(path: str, line: int, name: str) -> Iterator[_Frame]:
    """Yield a frame of code that is not the program's if it is the guest's."""
    if path == "<string>":
        yield _Frame(path, line, name, None)
        return
    try:
        here, full = os.path.join(os.getcwd(), ""), os.path.abspath(path)
        if not full.startswith(here) or full.startswith(_INSTALLED) or not os.path.isfile(full):
            return
        linecache.checkcache(full)
        text = linecache.getline(full, line).strip()[:_LINE_CHARACTERS]
    except BaseException:  # SECURITY: modules are as the guest has left them
        return
    yield _Frame(full.removeprefix(here), line, name, text)


# A checkout may lie in the folder, with its environment.
_INSTALLED = (os.path.join(sys.prefix, ""), os.path.join(os.path.dirname(os.path.dirname(__file__)), ""))


def _line_of(source: str, line: int) -> str | None:
    lines = source.split("\n")
    return lines[line - 1].strip()[:_LINE_CHARACTERS] if 0 < line <= len(lines) else None


def _render(frames: list[_Frame], last: str) -> str:
    """Return a traceback: the innermost lines, what repeats itself once."""
    rows: list[str] = []
    for frame, same in groupby(frames):
        file = f"{frame.file}, " if frame.file else ""
        where = "" if frame.name == "<module>" else f", in {frame.name}"
        text = f": {frame.text}" if frame.text else ""
        rows.append(f"{file}line {frame.line}{where}{text}")
        if more := sum(1 for _ in same) - 1:
            rows[-1] += f"\n  [Previous line repeated {more} more times]"
    return "\n".join([*rows[-_FRAMES:], last])
