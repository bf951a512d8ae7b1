"""Events -> plain lines on stderr, for `verbosity_level`. The command line has a richer view of its own."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable
from enum import IntEnum

from pinjra.core.events import (
    CodeReady,
    Event,
    FinalAnswer,
    ModelDelta,
    OutputText,
    PlanMade,
    RunStarted,
    StepFinished,
    ToolCalled,
)
from pinjra.core.redaction import Pieces, cut
from pinjra.core.safe_text import printable
from pinjra.core.value_text import Room, describe_value, text_of

_LONGEST = 200_000  # characters of one text
_ARGUMENTS_COST = 1 << 18  # of a call's arguments, as `Room` has it: 300 characters are shown


class LogLevel(IntEnum):
    """Names for `verbosity_level`."""

    OFF = -1
    ERROR = 0
    INFO = 1
    DEBUG = 2


def printer(level: int) -> Callable[[Event], None]:
    """Return a sink that writes events to stderr; 0 and below: nothing, 1: steps, 2: the model's text as it comes."""
    if level <= 0:
        return lambda event: None

    said: defaultdict[str, Pieces] = defaultdict(Pieces)
    printed: defaultdict[str, Pieces] = defaultdict(lambda: Pieces(by_line=True))

    def write(event: Event) -> None:
        run = event.run_id
        if isinstance(event, ModelDelta):
            if level > 1:
                print(printable(said[run].add(event.text)), end="", file=sys.stderr, flush=True)
            return
        if run in said:
            print(printable(said.pop(run).rest()), file=sys.stderr)
        if isinstance(event, OutputText):
            lines = _marked("  ", printed[run].add(event.text))
        else:
            lines = [*_marked("  ", printed.pop(run, Pieces()).rest()), *_lines(event)]
        for line in lines:
            print("  " * event.depth + line, file=sys.stderr)

    return write


def _lines(event: Event) -> list[str]:
    match event:
        case RunStarted():
            return _marked(f"━━ {printable(event.agent)}: ", cut(event.task, 2000))
        case PlanMade():
            return ["── plan", *_marked("", cut(event.plan, _LONGEST))]
        case CodeReady():
            thought, code = (
                _marked("", cut(event.thought, _LONGEST)),
                _marked("│ ", cut(event.code, _LONGEST)),
            )
            return [f"── step {event.step}", *thought, *code]
        case ToolCalled():
            return _marked(
                "  ", f"→ {event.name}({cut(text_of(event.arguments, Room(_ARGUMENTS_COST)), 300)})"
            )
        case StepFinished():
            tokens = f"{event.input_tokens} + {event.output_tokens} tokens"
            error = _marked("  ", f"✗ {cut(event.error, _LONGEST)}") if event.error else []
            return [*error, f"  [{event.seconds:.1f} s, {tokens}]"]
        case FinalAnswer():
            return _marked("━━ answer: ", cut(describe_value(event.value), 2000))
        case _:
            return []


def _marked(mark: str, text: str) -> list[str]:
    """Return the lines of a text, which was masked as a whole: a secret may have several."""
    return [mark + line for line in printable(text).splitlines()]
