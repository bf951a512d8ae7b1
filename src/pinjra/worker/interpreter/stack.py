"""What a program sees of the stack that it runs on: its own frames and those of libraries, as if nothing were below it.

`traceback.print_stack`, `logging` where it cannot format, `inspect.stack` and `warnings.warn(…, stacklevel=9)` walk down to the
first frame: thirty of the worker's, which tell a model nothing. CPython gives no frame another caller, so who walks is told.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType, TracebackType
from typing import TYPE_CHECKING

from pinjra.guard.interpreter import Interpreter
from pinjra.worker.interpreter.imports import adapt_modules

if TYPE_CHECKING:
    from inspect import FrameInfo

_OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(__file__))), "")
_FIRST = Interpreter._execute.__code__
ENDS_STACKS = "_ENDS_STACKS"  # a global of modules that run programs: what is below them is not the program's
_Walk = Callable[[TracebackType | None], Iterator[tuple[FrameType, object]]]


def adapt() -> None:
    """Let these modules end a stack where the program begins."""
    adapt_modules({"traceback": _walking, "inspect": _listing, "warnings": _locating})


def _walking(module: ModuleType) -> None:
    def walk_stack(f: FrameType | None) -> Iterator[tuple[FrameType, int | None]]:
        """Walk a stack yielding the frame and line number for each frame."""
        return ((frame, frame.f_lineno) for frame in _of_program(f or sys._getframe(1)))

    walk_stack.__module__ = module.__name__
    vars(module)["walk_stack"] = walk_stack
    for name in ("walk_tb", "_walk_tb_with_full_positions"):
        if walk := getattr(module, name, None):
            vars(module)[name] = _passing_over(walk)


def _passing_over(walk: _Walk) -> _Walk:
    """Return `walk` without what the program's calls went through: tools, `import`, `exec`. A fault of ours begins with us."""

    @functools.wraps(walk)
    def walk_tb(tb: TracebackType | None) -> Iterator[tuple[FrameType, object]]:
        is_program = False
        for each in walk(tb):
            is_own = each[0].f_code.co_filename.startswith(_OWN)
            is_program = is_program or not is_own
            if not (is_own and is_program):
                yield each

    return walk_tb


def _listing(module: ModuleType) -> None:
    all_frames: Callable[..., list[FrameInfo]] = module.getouterframes

    def getouterframes(frame: FrameType, context: int = 1) -> list[FrameInfo]:
        """Get a list of records for a frame and all higher (calling) frames."""
        seen = set(_of_program(frame))
        return [each for each in all_frames(frame, context) if each.frame in seen]

    getouterframes.__module__ = module.__name__
    vars(module)["getouterframes"] = getouterframes


def _locating(module: ModuleType) -> None:
    message = module.WarningMessage
    init: Callable[..., None] = message.__init__

    @functools.wraps(init)
    def located(self: object, *given: object, **named: object) -> None:
        init(self, *given, **named)
        if str(vars(self)["filename"]).startswith(_OWN):
            vars(self).update(filename="sys", lineno=1)  # as CPython calls what is below the first frame

    message.__init__ = located


def _of_program(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None and frame.f_code is not _FIRST and ENDS_STACKS not in frame.f_globals:
        if not frame.f_code.co_filename.startswith(_OWN):
            yield frame
        frame = frame.f_back
