"""Events -> plain lines of text, for pipes, files and logs."""

from __future__ import annotations

from typing import TextIO

from pinjra.core import events as e
from pinjra.core.safe_text import settled
from pinjra.ui import words
from pinjra.ui.clean import clean
from pinjra.ui.view import View


class PlainView(View):
    """Writes a run as text, a line at a time; managed agents' lines are indented and carry their name."""

    def __init__(self, out: TextIO) -> None:
        super().__init__()
        self._out = out
        self._show = {
            e.RunStarted: lambda event: self._lines(event, f"task: {event.task}"),
            e.PlanMade: lambda event: self._lines(event, "plan:\n" + event.plan),
            e.CodeReady: self._code,
            e.OutputText: self._output,
            e.ToolCalled: lambda event: self._lines(event, f"→ {words.call(event)}"),
            e.ToolReturned: lambda event: self._lines(event, f"← {words.returned(event)}"),
            e.StepFinished: self._step_finished,
            e.FinalAnswer: lambda event: self._lines(event, f"answer: {words.answer(event.value)}"),
            e.RunFinished: lambda event: self._lines(event, f"[{words.run_end(event, self._told)}]"),
        }

    def _code(self, event: e.CodeReady) -> None:
        thought = event.thought.strip()
        self._lines(event, f"step {event.step}: {thought}" if thought else f"step {event.step}")
        self._lines(event, event.code.rstrip("\n"), mark=">>> ")

    def _printed(self, event: e.Event, text: str, stream: str) -> None:
        self._lines(event, "\n".join(map(settled, text.split("\n"))), mark="| ")

    def _step_finished(self, event: e.StepFinished) -> None:
        super()._step_finished(event)
        if event.error:
            self._lines(event, f"✗ {event.error}")
        self._lines(event, f"[{words.step_end(event)}]")

    def _lines(self, event: e.Event, text: str, mark: str = "") -> None:
        name = f"{clean(event.agent)}: " if event.depth else ""
        for line in clean(text).split("\n"):
            self._out.write(f"{'  ' * event.depth}{name}{mark}{line}\n")
        self._out.flush()
