"""Files of any size -> pieces that a message carries; on a terminal with a progress bar, where there are many."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

PIECE_BYTES = 4 << 20  # the host holds one of them, once as bytes and once as a message
_SHOWN_BYTES = 10_000_000  # a file with fewer is through before anybody has read the bar


def with_progress(pieces: Iterable[bytes], name: str, size: int) -> Iterator[bytes]:
    """Yield `pieces`, of `size` bytes together; show how far they are where somebody looks at standard error."""
    if size <= _SHOWN_BYTES or not sys.stderr.isatty():
        yield from pieces
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=size)
        for piece in pieces:
            yield piece
            bar.advance(task, len(piece))
