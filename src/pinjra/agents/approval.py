"""Who may stop or change an action before it happens, and the log of what happened."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pinjra.core.json_data import encodable, json_text, plain, text_of
from pinjra.core.redaction import shortened
from pinjra.core.value_text import Room

_PARTS = 4  # times what is kept of a value: what costs more is not masked part by part


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on as it is. Returning None says the same."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Do not do it; the model sees `reason` as an observation."""

    reason: str


@dataclass(frozen=True, slots=True)
class Replace:
    """Go on with `value` instead: other code, other arguments (a dict by name), or another result."""

    value: object


Decision = Allow | Refuse | Replace | None
allow, refuse, replace = Allow, Refuse, Replace  # as hooks call them

# Hooks, as the agent's parameters `before_run`, `before_tool` and `after_tool`; each may also return an awaitable.
BeforeRun = Callable[[str, object], object]
BeforeTool = Callable[[str, dict[str, object], object], object]
AfterTool = Callable[[str, dict[str, object], object, object], object]


def decided(answer: object) -> Decision:
    """Return what a hook's answer means: None and True allow, False refuses.

    Raises:
        TypeError: The answer is no decision. SECURITY: it must not pass for "allowed".
    """
    if answer is None or answer is True:
        return None
    if answer is False:
        return Refuse("it was not approved")
    if isinstance(answer, Allow | Refuse | Replace):
        return answer
    raise TypeError(f"a hook must return allow(), refuse(reason), replace(value) or None, not {answer!r}")


class AuditLog:
    """JSON lines, one per code action, tool call, refusal and limit; each is written before the next thing happens.

    Args:
        target: A file's path (appended to) or a text stream.
        longest: Longer texts are cut to so many characters.
    """

    def __init__(self, target: str | Path | IO[str], *, longest: int = 20_000) -> None:
        self._path = Path(target) if isinstance(target, str | Path) else None
        self._stream = None if isinstance(target, str | Path) else target
        self._longest = longest
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    def write(self, kind: str, **details: object) -> None:
        """Append one line: time, kind, details. Secrets are masked."""
        record = {"time": round(time.time(), 3), "kind": kind}
        line = json_text(record | {name: self._value(value) for name, value in details.items()}) + "\n"
        with self._lock:
            if self._stream is not None:
                self._stream.write(line)
                self._stream.flush()
            elif self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line)

    def _value(self, value: object) -> object:
        # SECURITY: a tool's arguments may be a million texts, and masking each takes longer than the guest took to make all.
        if not isinstance(value, str) and not Room(_PARTS * self._longest).holds(value):
            return shortened(text_of(value, Room(_PARTS * self._longest)), self._longest)
        data = encodable(value) if isinstance(value, str) else plain(value)
        text = data if isinstance(data, str) else json_text(data)
        return data if len(text) <= self._longest else shortened(text, self._longest)
