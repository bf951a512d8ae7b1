"""Events -> JSON lines, for programs."""

from __future__ import annotations

import base64
from dataclasses import fields, replace
from typing import TextIO

from pinjra.core.events import Event, ModelDelta, OutputText, RunFinished, StepFinished
from pinjra.core.execution import Artifact
from pinjra.core.json_data import json_text
from pinjra.core.redaction import Pieces
from pinjra.ui.view import View


class JsonView(View):
    """Writes one JSON object a line: the event's name as "event", then its fields.

    Args:
        only_result: Write nothing but the outermost run's RunFinished.
    """

    def __init__(self, out: TextIO, *, only_result: bool = False) -> None:
        super().__init__()
        self._out = out
        self._only_result = only_result
        self._pieces = Pieces()
        self._text: ModelDelta | OutputText | None = None  # what they are pieces of

    def __exit__(self, *_: object) -> None:
        self._end_text()

    def show(self, event: Event) -> None:
        """Write the event; of text in pieces, the last words when it goes on or ends."""
        if self._only_result and not (isinstance(event, RunFinished) and event.depth == 0):
            return
        if not isinstance(event, ModelDelta | OutputText):
            self._end_text()
            self._write(event)
            return
        if replace(event, text="") != self._text:
            self._end_text()
            self._text = replace(event, text="")
        self._write_text(self._pieces.add(event.text))

    def _end_text(self) -> None:
        self._write_text(self._pieces.rest())
        self._text = None

    def _write_text(self, text: str) -> None:
        if text and self._text is not None:
            self._write(replace(self._text, text=text))

    def _write(self, event: Event) -> None:
        data = {field.name: getattr(event, field.name) for field in fields(event)}
        if isinstance(event, StepFinished):
            del data["record"]
            data["artifacts"] = [_fields(artifact) for artifact in event.artifacts]
        self._out.write(json_text({"event": type(event).__name__, **data}) + "\n")
        self._out.flush()


def _fields(artifact: Artifact) -> dict[str, object]:
    """Return an artifact as `pinjra exec --json` does."""
    data = base64.b64encode(artifact.data).decode("ascii")
    return {
        "media_type": artifact.media_type,
        "name": artifact.name,
        "bytes": len(artifact.data),
        "base64": data,
    }
