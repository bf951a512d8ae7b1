"""What is written once, as a coroutine, for threads and for event loops -> its result."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TypeVar

T = TypeVar("T")


def at_once(coroutine: Coroutine[object, None, T]) -> T:
    """Return what a coroutine gives that never waits for an event loop: whatever takes time in it holds this thread."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # of its own type
    coroutine.close()
    raise RuntimeError(f"{coroutine!r} waited for an event loop, and there is none")
