"""`pinjra run`: a task -> an agent's answer, shown as it comes about. `pinjra replay`: a saved one, shown again."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from pinjra.cli import FAILED, GUEST_FAILED, INTERRUPTED, LIMIT_REACHED, WRONG_INPUT
from pinjra.cli.access_options import access_options
from pinjra.cli.execute import save as save_result
from pinjra.cli.options import NewFile, chosen_model, ctrl_c, file_options, listed, names
from pinjra.core.json_data import json_text
from pinjra.ui.view import View

if TYPE_CHECKING:
    from pinjra.agents import CodeAgent, Price
    from pinjra.core.events import Event, FinalAnswer, RunFinished

_STDIN_BYTES = 64 << 20  # held by the host; a file of any size is streamed by --file
_STATUS = {
    "success": 0,
    "max_steps_error": GUEST_FAILED,
    "budget_error": LIMIT_REACHED,
    "interrupted": INTERRUPTED,
    "error": FAILED,
}


class _AsJson(View):
    """Shows answers of a type as JSON."""

    def __init__(self, view: View, wanted: object, *, as_text: bool) -> None:
        from pinjra.agents.run.answers import AnswerType

        super().__init__()
        self._view, self._type, self._as_text = view, AnswerType(wanted), as_text

    def show(self, event: Event) -> Event | None:
        """Show one event; return it as it was shown."""
        from pinjra.core.events import FinalAnswer, RunFinished

        if isinstance(event, FinalAnswer) and not event.depth:
            event = replace(event, value=self._written(event.value))
        elif isinstance(event, RunFinished) and not event.depth and event.state == "success":
            event = replace(event, output=self._written(event.output))
        self._view.show(event)
        return event

    def _written(self, answer: object) -> object:
        data = self._type.data(answer)
        return json_text(data) if self._as_text and not isinstance(data, str) else data


@click.command()
@click.argument("task")
@click.option(
    "--model",
    metavar="NAME",
    help="An embedded model, hf:…, openai:…, anthropic:…, litellm:…, or a .gguf file.",
)
@access_options
@file_options
@click.option(
    "--stdin", type=click.File("rb"), help="For code, as its file stdin: of this file, or of a pipe (-)."
)
@listed("--tools", metavar="A,B", help="Of visit_webpage, web_search, wikipedia, user_input.")
@click.option("--max-steps", type=click.IntRange(min=1), default=8, show_default=True)
@click.option(
    "--output-type",
    metavar="TYPE",
    help="What the answer must be: int, list[str], … or MODULE:NAME of a class. It is printed as JSON.",
)
@click.option(
    "--vote", type=click.IntRange(min=1), default=1, help="Attempts; the answer that most give is taken."
)
@click.option(
    "--price",
    metavar="IN,OUT",
    help="What a million tokens read and written cost: shows the cost of the run.",
)
@click.option(
    "--save", type=NewFile(dir_okay=False, path_type=Path), help="Write the run for `pinjra replay`."
)
@click.option(
    "--trace", is_flag=True, help="Send spans and metrics to OpenTelemetry, as OTEL_… variables say."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each event.")
@click.option("--quiet", is_flag=True, help="Only the answer.")
def run(
    task: str,
    as_json: bool,
    quiet: bool,
    save: Path | None,
    files: tuple[str, ...],
    stdin: BinaryIO | None,
    out: str | None,
    trace: bool,
    output_type: str | None,
    **options: Any,
) -> int:
    """Let an agent work on TASK. The code that its model writes runs in an executor."""
    if not task.strip():
        raise click.UsageError("the task is empty")
    given = [*files, *([] if stdin is None else [{"stdin": _read(stdin)}])]
    if trace:
        from pinjra import traces

        traces.enable()
    with view_for(as_json=as_json, quiet=quiet) as view, _agent(**options) as agent:
        wanted = _type(output_type)
        shown = view if wanted is None else _AsJson(view, wanted, as_text=not as_json)
        status = _shown(agent, task, shown, quiet and not as_json, files=given, output_type=wanted)
        if out is not None and agent.last_result is not None:
            save_result(agent.last_result, out)
        if save is not None:
            save.write_text(agent.memory.to_json(), encoding="utf-8")
    return status


def _read(stdin: BinaryIO) -> bytes:
    if len(data := stdin.read(_STDIN_BYTES + 1)) > _STDIN_BYTES:
        raise click.UsageError("--stdin has over 64 MiB: write it to a file, and give that by --file")
    return data


def _agent(
    model: str | None,
    executor: str | None,
    imports: list[str],
    tools: str,
    max_steps: int,
    vote: int,
    price: str | None,
    access: dict[str, Any],
) -> CodeAgent:
    from pinjra.agents import Budget, CodeAgent
    from pinjra.models.registry import load_model
    from pinjra.tools.shipped import shipped_tools

    return CodeAgent(
        tools=shipped_tools(names(tools)),
        model=load_model(chosen_model(model)),
        additional_authorized_imports=imports,
        executor_type=executor,
        executor_kwargs=access,
        max_steps=max_steps,
        vote=vote,
        budget=Budget(price=_price(price)),
        verbosity_level=0,
        stream_outputs=True,
    )


def _price(text: str | None) -> Price | None:
    from pinjra.agents import Price

    if text is None:
        return None
    try:
        read, written = (float(part) for part in text.split(","))
    except ValueError:
        raise click.UsageError(f"--price wants two numbers, as in 2.5,10, not {text!r}") from None
    return Price(input_per_million=read, output_per_million=written)


def _type(text: str | None) -> object:
    """Return what `--output-type` names; modules are looked for in this folder too."""
    if text is None:
        return None
    from pinjra.agents.run.answers import named_type

    sys.path.insert(0, os.getcwd())
    try:
        return named_type(text)
    finally:
        sys.path.remove(os.getcwd())


def _shown(agent: CodeAgent, task: str, view: View, only_answer: bool, **options: Any) -> int:
    """Run, show every event, and return the exit status."""
    from pinjra.agents import AgentError
    from pinjra.models.errors import AuthenticationFailed

    status = None
    try:
        with ctrl_c(agent.interrupt):
            for event in agent.run(task, True, **options):
                status = _followed(event, view, only_answer, status)
    except AgentError as error:
        if status is None:  # not told by the last event: an error before the run began
            raise
        if isinstance(error.__cause__, AuthenticationFailed):
            status = WRONG_INPUT
    return FAILED if status is None else status


def _followed(event: Event, view: View, only_answer: bool, status: int | None) -> int | None:
    """Show one event; return the exit status when the run has ended."""
    from pinjra.core.events import FinalAnswer, RunFinished

    event = view.show(event) or event
    if event.depth or not isinstance(event, FinalAnswer | RunFinished):
        return status
    if isinstance(event, RunFinished):
        status = _STATUS.get(event.state, FAILED)
    if only_answer:
        _tell(event, status)
    return status


def _tell(event: FinalAnswer | RunFinished, status: int | None) -> None:
    """Write the answer, or why there is none."""
    from pinjra.core.events import FinalAnswer
    from pinjra.ui import words

    if isinstance(event, FinalAnswer):
        print(words.answer(event.value))
    elif status:
        print(f"pinjra: {words.run_end(event)}", file=sys.stderr)


def view_for(*, as_json: bool, quiet: bool) -> View:
    """Return the view for this output: JSON, nothing, live in a terminal, plain text elsewhere."""
    if as_json:
        from pinjra.ui.machine import JsonView

        return JsonView(sys.stdout, only_result=quiet)
    if quiet:
        return View()
    if sys.stdout.isatty():
        from rich.console import Console

        from pinjra.ui.live import LiveView

        return LiveView(Console())
    from pinjra.ui.plain import PlainView

    return PlainView(sys.stdout)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line for each event.")
def replay(file: Path, as_json: bool) -> None:
    """Show the run that FILE holds (of `pinjra run --save`, or an agent's `memory.to_json()`)."""
    from pinjra.agents.memory.json import memory_from_json
    from pinjra.core.errors import ConfigurationError
    from pinjra.ui.replay import replay as events_of

    try:
        text = file.read_text("utf-8")
    except UnicodeDecodeError:
        raise click.UsageError(f"{file.name} is not UTF-8 text") from None
    try:
        memory = memory_from_json(text)
    except ConfigurationError as error:
        raise click.UsageError(f"{file.name} holds no run of `pinjra run --save`: {error}") from None
    with view_for(as_json=as_json, quiet=False) as view:
        for event in events_of(memory):
            view.show(event)
