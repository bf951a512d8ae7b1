"""Events -> a live view in the terminal: steps as they happen, code highlighted, and one line on what goes on now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from rich.console import Console, ConsoleOptions, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.segment import ControlType, Segment
from rich.spinner import Spinner
from rich.syntax import Syntax
from rich.text import Text

from pinjra.core import events as e
from pinjra.core.execution import Artifact
from pinjra.ui import words
from pinjra.ui.clean import clean, coloured
from pinjra.ui.pictures import picture_for
from pinjra.ui.view import View

_TAIL_CHARACTERS = 60  # of what the model is writing, in the line on what goes on now
_INDENT = 4  # columns a level of managed agents


def highlighted(code: str) -> Syntax:
    """Return Python code with colours of the terminal's own palette."""
    return Syntax(
        clean(code).rstrip("\n"), "python", theme="ansi_dark", background_color="default", word_wrap=True
    )


class _Raw:
    """What the terminal is to get as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Segment]:
        yield Segment(self._text, None, [(ControlType.BELL,)])  # rich passes on whatever is called a command
        yield Segment.line()


class LiveView(View):
    """Shows a run in a terminal. A managed agent's steps are indented under the call.

    Text of guests and models is never read as markup: it goes in as `Text`, cleaned.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._started = time.monotonic()
        self._doing = "starting"
        self._tail = ""
        self._tokens = 0
        self._money = 0.0
        self._spinner = Spinner("dots", style="cyan")
        self._live = Live(console=console, transient=True, refresh_per_second=8, get_renderable=self._now)
        self._show = {
            e.RunStarted: self._run_started,
            e.StepStarted: self._step_started,
            e.ModelDelta: self._delta,
            e.PlanMade: self._plan,
            e.CodeReady: self._code,
            e.OutputText: self._output,
            e.ToolCalled: self._tool_called,
            e.ToolReturned: self._tool_returned,
            e.StepFinished: self._step_finished,
            e.FinalAnswer: self._final_answer,
            e.RunFinished: self._run_finished,
        }

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def _now(self) -> RenderableType:
        seconds = time.monotonic() - self._started
        cost = f" · cost {words.money(self._money)}" if self._money else ""
        line = Text(f" {self._doing} · {seconds:.0f} s · {self._tokens:,} tokens{cost}", style="dim")
        if self._tail:
            line.append(f" · {self._tail}", style="dim italic")
        line.truncate(max(10, self._console.width - 4), overflow="ellipsis")
        self._spinner.update(text=line)
        return self._spinner

    def _print(self, event: e.Event, what: RenderableType) -> None:
        self._live.console.print(Padding(what, (0, 0, 0, _INDENT * event.depth)))

    def _say(self, event: e.Event, text: str, style: str = "") -> None:
        self._print(event, Text(clean(text), style=style))

    def _printed(self, event: e.Event, text: str, stream: str) -> None:
        shown = Text.from_ansi(coloured(text))
        shown.stylize_before("" if stream == "stdout" else "yellow")
        self._print(event, shown)

    def _panel(self, event: e.Event, text: Text, title: str | Text, colour: str) -> None:
        self._print(event, Panel(text, title=title, title_align="left", border_style=colour))

    def _run_started(self, event: e.RunStarted) -> None:
        self._panel(event, Text(clean(event.task)), Text(clean(event.agent), style="bold cyan"), "cyan")

    def _step_started(self, event: e.StepStarted) -> None:
        self._doing, self._tail = f"{clean(event.agent)}, step {event.step}: the model is thinking", ""

    def _delta(self, event: e.ModelDelta) -> None:
        self._tail = " ".join((self._tail + clean(event.text)).split("\n"))[-_TAIL_CHARACTERS:]

    def _plan(self, event: e.PlanMade) -> None:
        self._panel(event, Text(clean(event.plan)), "plan", "blue")

    def _code(self, event: e.CodeReady) -> None:
        self._doing, self._tail = f"{clean(event.agent)}, step {event.step}: the code runs", ""
        self._print(event, Rule(Text(f"step {event.step}", style="bold"), align="left", style="dim"))
        if event.thought.strip():
            self._say(event, event.thought.strip(), "italic")
        self._print(event, highlighted(event.code))

    def _tool_called(self, event: e.ToolCalled) -> None:
        self._doing = f"{clean(event.agent)}, step {event.step}: {clean(event.name)} works"
        self._say(event, f"→ {words.call(event)}", "magenta")

    def _tool_returned(self, event: e.ToolReturned) -> None:
        self._doing = f"{clean(event.agent)}, step {event.step}: the code runs"
        self._say(event, f"← {words.returned(event)}", "red" if event.error else "magenta")

    def _step_finished(self, event: e.StepFinished) -> None:
        super()._step_finished(event)
        if event.error:
            self._say(event, f"✗ {event.error}", "red")
        for artifact in event.artifacts:
            self._artifact(event, artifact)
        self._tokens += event.input_tokens + event.output_tokens
        self._money += event.money
        self._say(event, words.step_end(event), "dim")

    def _artifact(self, event: e.Event, artifact: Artifact) -> None:
        shown = picture_for(artifact, os.environ) if self._console.is_terminal else ""
        if shown:
            self._live.console.print(_Raw(shown))
        self._say(event, f"displayed: {artifact.media_type}, {len(artifact.data)} bytes", "dim")

    def _final_answer(self, event: e.FinalAnswer) -> None:
        self._panel(event, Text(words.answer(event.value), style="bold"), "answer", "green")

    def _run_finished(self, event: e.RunFinished) -> None:
        self._say(event, words.run_end(event, self._told), "dim" if event.state == "success" else "red")
