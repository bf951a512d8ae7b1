"""Options that several commands share, and what their values mean."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

__all__ = [
    "chosen_model",
    "ctrl_c",
    "executor_kwargs",
    "executor_options",
    "file_options",
    "given_file_option",
    "limits_of",
    "names",
]

F = TypeVar("F", bound=Callable[..., Any])


def names(text: str) -> list[str]:
    """Return the names of a list like "a, b"."""
    return [name.strip() for name in text.split(",") if name.strip()]


def executor_options(command: F) -> F:
    """Add the options that say where code runs and what it may use."""
    for option in (
        click.option("--memory", "memory_mib", type=click.IntRange(min=1), metavar="MIB", help="Memory of the guest."),
        click.option("--wall", "wall_seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                     help="Longest time of one step."),
        click.option("--imports", default="", metavar="A,B", help='Modules that code may import besides the default list.'),
        click.option("--executor", metavar="NAME", help="jail, local, docker, …; the default of this system unless given."),
    ):  # fmt: skip
        command = option(command)
    return command


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


def limits_of(wall_seconds: float | None, memory_mib: int | None) -> Any:
    """Return the limits that the options ask for; None where they ask for none."""
    from pinjra.core.limits import Limits

    given: dict[str, Any] = {}
    if wall_seconds is not None:
        given["wall_seconds"] = wall_seconds
    if memory_mib is not None:
        given["memory_bytes"] = memory_mib << 20
    return Limits(**given) if given else None


def executor_kwargs(
    wall_seconds: float | None, memory_mib: int | None, access: dict[str, Any]
) -> dict[str, Any]:
    """Return an executor's parameters as the options say them."""
    limits = limits_of(wall_seconds, memory_mib)
    return access if limits is None else {"limits": limits, **access}


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
