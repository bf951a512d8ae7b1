"""`pinjra models`: the embedded models that there are, and their weights fetched with a progress bar."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pinjra.models.sources import Report


@click.group(invoke_without_command=True)
@click.pass_context
def models(context: click.Context) -> None:
    """List and fetch embedded models; lists them unless told otherwise."""
    if context.invoked_subcommand is None:
        context.invoke(list_models)


@models.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_models(as_json: bool) -> None:
    """List the embedded models and whether their weights are here."""
    from pinjra.models.catalog import CATALOG
    from pinjra.models.registry import KINDS
    from pinjra.models.weights import located

    for weights in CATALOG.values():
        here = located(weights)
        if as_json:
            form = {"name": weights.name, "bytes": weights.size_bytes, "sha256": weights.sha256}
            more = {"licence": weights.licence, "path": str(here) if here else None}
            print(
                json.dumps({**form, "repository": weights.repository, "revision": weights.revision, **more})
            )
        else:
            state = "here" if here else "not fetched"
            print(f"{weights.name:22} {weights.size_bytes / 1e9:4.1f} GB  {state:12} {weights.about}")
    if not as_json:
        kinds = ", ".join(f"{kind}:…" for kind in KINDS if kind != "llama-cpp")
        print(f"\nbehind an SDK: {kinds}; or the path of a .gguf file")


@models.command()
@click.argument("name", required=False)
@click.option("--small", is_flag=True, help="The smallest one.")
def pull(name: str | None, small: bool) -> None:
    """Fetch the weights of the model NAME, and check their SHA-256. Prints the path of the file."""
    from pinjra.models.catalog import DEFAULT_NAME, SMALL_NAME
    from pinjra.models.weights import pull as fetch

    if name is not None and small:
        raise click.UsageError("give either NAME or --small")
    wanted = name or (SMALL_NAME if small else DEFAULT_NAME)
    with _progress(wanted) as report:
        path = fetch(wanted, report=report)
    print(path)


@contextmanager
def _progress(name: str) -> Iterator[Report]:
    """Give a report that draws a bar in a terminal, and lines elsewhere."""
    if not sys.stderr.isatty():
        yield _Lines(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=f"{name}: {what}", completed=done, total=total)

        yield report


class _Lines:
    """Reports progress as lines: each new thing that is done, and every tenth of the bytes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._last: tuple[str, int] | None = None

    def __call__(self, what: str, done: int, total: int) -> None:
        tenth = done * 10 // total
        if self._last != (what, tenth):
            self._last = (what, tenth)
            print(
                f"{self._name}: {what}, {done / 1e6:,.0f} of {total / 1e6:,.0f} MB",
                file=sys.stderr,
                flush=True,
            )
