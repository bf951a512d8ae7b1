"""Events -> the words for them, the same in every view. Everything that comes from outside is cleaned here."""

from __future__ import annotations

from pinjra.core.events import RunFinished, StepFinished, ToolCalled, ToolReturned
from pinjra.core.json_data import text_of
from pinjra.core.safe_text import cut_middle
from pinjra.core.value_text import describe_value
from pinjra.ui.clean import clean

_SHORT_CHARACTERS = 200
_ANSWER_CHARACTERS = 20_000


def short(value: object) -> str:
    """Return a value in one line of at most a few hundred characters."""
    text = value if isinstance(value, str) else text_of(value)
    line = " ".join(clean(text).split())
    return line if len(line) <= _SHORT_CHARACTERS else line[: _SHORT_CHARACTERS - 1] + "…"


def answer(value: object) -> str:
    """Return the final answer as text."""
    return clean(cut_middle(value if isinstance(value, str) else describe_value(value), _ANSWER_CHARACTERS))


def call(event: ToolCalled) -> str:
    """Return a tool call as one reads it in code."""
    given = ", ".join(
        f"{clean(str(name))}={short(text_of(value))}" for name, value in event.arguments.items()
    )
    return f"{clean(event.name)}({given})"


def returned(event: ToolReturned) -> str:
    """Return what a tool call gave."""
    outcome = f"✗ {short(event.error)}" if event.error else short(text_of(event.value))
    return f"{clean(event.name)} → {outcome} ({event.seconds:.1f} s)"


def step_end(event: StepFinished) -> str:
    """Return a step's figures."""
    return f"step {event.step}: {_figures(event)}"


def run_end(event: RunFinished, told: str = "") -> str:
    """Return a run's figures and how it ended, where that was not well; why, unless it was `told` just before."""
    figures = f"{clean(event.agent)}: {_figures(event)}"
    if event.state == "success":
        return figures
    why = f": {clean(event.error)}" if event.error not in ("", told) else ""
    return f"{figures}, ended with {event.state}{why}"


def money(amount: float) -> str:
    """Return an amount in the currency of the given price: small ones with enough digits to be seen."""
    return f"{amount:.2f}" if amount >= 0.1 else f"{amount:.2g}"


def _figures(event: StepFinished | RunFinished) -> str:
    figures = f"{event.seconds:.1f} s, {event.input_tokens:,} tokens read, {event.output_tokens:,} written"
    return f"{figures}, cost {money(event.money)}" if event.money else figures
