"""Events -> plain lines of text, for pipes, files and logs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO

from pinjra.core import events as e
from pinjra.core.safe_text import settled
from pinjra.ui import words
from pinjra.ui.clean import clean

__all__ = ["PlainView"]


class PlainView:
    """Writes a run as text, a line at a time; managed agents' lines are indented and carry their name."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._told = ""  # what went wrong in the last step
        self._begun: dict[tuple[str, str], str] = {}  # run and stream → the line that is not complete yet
        self._show: dict[type[e.Event], Callable[..., None]] = {
            e.RunStarted: self._run_started,
            e.PlanMade: lambda event: self._lines(event, "plan:\n" + event.plan),
            e.CodeReady: self._code,
            e.OutputText: self._output,
            e.ToolCalled: lambda event: self._lines(event, f"→ {words.call(event)}"),
            e.ToolReturned: lambda event: self._lines(event, f"← {words.returned(event)}"),
            e.StepFinished: self._step_finished,
            e.FinalAnswer: lambda event: self._lines(event, f"answer: {words.answer(event.value)}"),
            e.RunFinished: lambda event: self._lines(event, f"[{words.run_end(event, self._told)}]"),
        }

    def __enter__(self) -> PlainView:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.flush()

    def show(self, event: e.Event) -> None:
        """Write what the event says; some say nothing here."""
        show = self._show.get(type(event))
        if show is not None:
            show(event)
            self._out.flush()

    def _run_started(self, event: e.RunStarted) -> None:
        self._lines(event, f"task: {event.task}")

    def _code(self, event: e.CodeReady) -> None:
        self._lines(
            event, f"step {event.step}" + (f": {event.thought.strip()}" if event.thought.strip() else "")
        )
        self._lines(event, event.code.rstrip("\n"), mark=">>> ")

    def _output(self, event: e.OutputText) -> None:
        key = (event.run_id, event.stream)
        *whole, begun = (self._begun.pop(key, "") + event.text).split("\n")
        for line in whole:
            self._lines(event, settled(line), mark="| ")
        if begun:
            self._begun[key] = begun

    def _step_finished(self, event: e.StepFinished) -> None:
        for stream in ("stdout", "stderr"):
            if begun := self._begun.pop((event.run_id, stream), ""):
                self._lines(event, settled(begun), mark="| ")
        self._told = event.error
        if event.error:
            self._lines(event, f"✗ {event.error}")
        self._lines(event, f"[{words.step_end(event)}]")

    def _lines(self, event: e.Event, text: str, mark: str = "") -> None:
        name = f"{clean(event.agent)}: " if event.depth else ""
        for line in clean(text).split("\n"):
            self._out.write(f"{'  ' * event.depth}{name}{mark}{line}\n")
