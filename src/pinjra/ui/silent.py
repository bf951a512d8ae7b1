"""Events -> nothing."""

from __future__ import annotations

from pinjra.core.events import Event

__all__ = ["SilentView"]


class SilentView:
    """Shows nothing."""

    def __enter__(self) -> SilentView:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def show(self, event: Event) -> None:
        """Show nothing."""
