"""The documented import path of `pinjra.agents.memory.observation`."""

from pinjra.agents.memory.observation import cut_middle as cut_middle

__all__ = ["cut_middle"]
