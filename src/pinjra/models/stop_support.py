"""Which models refuse stop sequences. Their text is cut on this side."""

from __future__ import annotations

import re

# Models that answer 400 to `stop`, by the last part of their names (OpenAI's and xAI's pages on reasoning models).
_WITHOUT_STOP = re.compile(
    r"(?:o\d+|gpt-5|codex-mini|computer-use|grok-3-mini|grok-4|grok-code|grok-[5-9])(?:$|[-._:@].*)",
    re.IGNORECASE,
)


def takes_stop(model_id: str) -> bool:
    """Return whether a model's provider takes stop sequences, as far as the name tells: "openai/o3", "gpt-5.1-mini"."""
    return _WITHOUT_STOP.fullmatch(model_id.rpartition("/")[2]) is None
