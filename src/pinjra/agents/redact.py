"""Text -> text without secrets: well-known shapes of tokens, and values of this process's secret variables."""

from __future__ import annotations

import os
import re

__all__ = ["redact"]

_MASK = "[secret]"
# Shapes that providers document for their tokens; long enough that no word of a text is one.
_SHAPES = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[abp]-[\w-]{10,}|"
    r"AKIA[0-9A-Z]{16}|AIza[\w-]{30,}|glpat-[\w-]{20,}|e2b_[0-9a-f]{20,}|bl_[A-Za-z0-9]{20,})"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    re.DOTALL,
)
_SECRET_NAME = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?)$")
_SHORTEST = 8  # a shorter value would mask ordinary words


def redact(text: str) -> str:
    """Return `text` with tokens of known shapes and values of secret environment variables masked."""
    text = _SHAPES.sub(_MASK, text)
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET_NAME.search(name.upper()) and value in text:
            text = text.replace(value, _MASK)
    return text
