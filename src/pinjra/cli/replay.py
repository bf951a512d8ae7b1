"""`pinjra replay`: a saved run, shown again."""

from __future__ import annotations

from pathlib import Path

import click

from pinjra.cli.run import view_for

__all__ = ["replay"]


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
