"""Events -> what a person sees of a run: what views have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

from pinjra.core import events as e


class View:
    """Shows a run, event by event. This one shows nothing; others have a function for each kind of event that they show."""

    _show: Mapping[type[e.Event], Callable[[Any], None]] = {}

    def __init__(self) -> None:
        self._told = ""  # what went wrong in the last step
        self._begun: dict[tuple[str, str], str] = {}  # run and stream -> the line that is not complete yet

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def show(self, event: e.Event) -> e.Event | None:
        """Show what the event says; return it where it was shown as another."""
        if show := self._show.get(type(event)):
            show(event)
        return None

    def _printed(self, event: e.Event, text: str, stream: str) -> None:
        """Show whole lines of output."""

    def _output(self, event: e.OutputText) -> None:
        key = (event.run_id, event.stream)
        *whole, begun = (self._begun.pop(key, "") + event.text).split("\n")
        if whole:
            self._printed(event, "\n".join(whole), event.stream)
        if begun:
            self._begun[key] = begun

    def _step_finished(self, event: e.StepFinished) -> None:
        for stream in ("stdout", "stderr"):
            if begun := self._begun.pop((event.run_id, stream), ""):
                self._printed(event, begun, stream)
        self._told = event.error
