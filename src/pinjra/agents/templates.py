"""The documented import path of `pinjra.agents.prompts.templates`."""

from pinjra.agents.prompts.templates import render as render

__all__ = ["render"]
