"""Options that several commands share, and what their values mean."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


def names(text: str) -> list[str]:
    """Return the names of a list like "a, b"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def listed(*flags: str, **settings: Any) -> Callable[[F], F]:
    """Return an option whose value is a list like "a, b"; it may be repeated, which says the same."""
    return click.option(
        *flags, multiple=True, callback=lambda _ctx, _param, values: ",".join(values), **settings
    )


class NewFile(click.Path):
    """A file that is written when the work is done; that it cannot be written is told before."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        folder = os.path.dirname(os.path.abspath(value))
        if not os.access(folder, os.W_OK):
            self.fail(
                f"{value!r} cannot be written: there is no folder {folder!r} to write into.", param, ctx
            )
        return super().convert(value, param, ctx)


def file_options(command: F) -> F:
    """Add the options that say which files go in, and where what comes out is saved."""
    command = click.option(
        "--out",
        type=click.Path(file_okay=False),
        metavar="DIR",
        help="Save files that code wrote, and pictures, there.",
    )(command)
    return given_file_option(command)


def given_file_option(command: F) -> F:
    """Add the option that says which files go in."""
    return click.option(
        "--file",
        "files",
        multiple=True,
        type=click.Path(exists=True, dir_okay=False),
        help="A file for code to work with; may be repeated.",
    )(command)


def chosen_model(name: str | None) -> str:
    """Return the model to use: the given one, PINJRA_MODEL, else the best embedded one that is here.

    Raises:
        ConfigurationError: None was named and none is here (the caller's fault).
    """
    from pinjra.core.errors import ConfigurationError
    from pinjra.models.catalog import CATALOG, DEFAULT_NAME
    from pinjra.models.weights import located

    if chosen := name or os.environ.get("PINJRA_MODEL"):
        return chosen
    for weights in CATALOG.values():
        if located(weights) is not None:
            return weights.name
    raise ConfigurationError(
        f"no model: fetch an embedded one with `pinjra models pull {DEFAULT_NAME}`, "
        "or name one with --model, such as hf:OWNER/NAME (HF_TOKEN) or openai:NAME (OPENAI_API_KEY)"
    )


@contextmanager
def ctrl_c(interrupt: Callable[[], None]) -> Iterator[None]:
    """Let the first Ctrl-C end the run, in its own way; the second one ends the command."""

    def once(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        interrupt()

    before = signal.signal(signal.SIGINT, once)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
