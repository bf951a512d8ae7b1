"""The documented import path of `pinjra.core.safe_text`."""

from pinjra.core.safe_text import cut_middle as cut_middle

__all__ = ["cut_middle"]
