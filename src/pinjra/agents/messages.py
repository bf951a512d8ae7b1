"""The documented import path of `pinjra.agents.memory.messages`."""

from pinjra.agents.memory.messages import to_messages as to_messages

__all__ = ["to_messages"]
