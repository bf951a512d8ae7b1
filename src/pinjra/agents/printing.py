"""Events -> plain lines on stderr, for `verbosity_level`. The command line has a richer view of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from enum import IntEnum

from pinjra.agents.memory.observation import describe_value
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
from pinjra.core.json_data import encodable
from pinjra.core.redaction import redact
from pinjra.core.safe_text import cut_middle


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

    def write(event: Event) -> None:
        if isinstance(event, ModelDelta):
            if level > 1:
                print(event.text, end="", file=sys.stderr, flush=True)
            return
        for line in _lines(event):
            print("  " * event.depth + redact(encodable(line)), file=sys.stderr)

    return write


def _lines(event: Event) -> list[str]:
    match event:
        case RunStarted():
            return [f"━━ {event.agent}: {line}" for line in cut_middle(event.task, 2000).splitlines()]
        case PlanMade():
            return ["── plan", *event.plan.splitlines()]
        case CodeReady():
            thought = event.thought.splitlines()
            return [f"── step {event.step}", *thought, *(f"│ {line}" for line in event.code.splitlines())]
        case OutputText():
            return [f"  {line}" for line in event.text.splitlines()]
        case ToolCalled():
            return [f"  → {event.name}({cut_middle(str(event.arguments), 300)})"]
        case StepFinished():
            tokens = f"{event.input_tokens} + {event.output_tokens} tokens"
            return ([f"  ✗ {event.error}"] if event.error else []) + [f"  [{event.seconds:.1f} s, {tokens}]"]
        case FinalAnswer():
            return [f"━━ answer: {cut_middle(describe_value(event.value), 2000)}"]
        case _:
            return []
