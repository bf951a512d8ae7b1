"""A name that is not known -> the words that help: the nearest known one, and what there is."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_SHOWN = 40  # names listed; of more, the first


def nearest(name: str, known: Iterable[str], *, listed: bool = True) -> str:
    """Return "perhaps you mean 'x'; there are: …", whichever part of it there is.

    Args:
        listed: Also say what there is.
    """
    names = [str(each) for each in known]
    close = difflib.get_close_matches(name[:100], names, n=1, cutoff=0.6)
    lower = {each.lower(): each for each in names}
    guess = lower.get(name.lower()) or (close[0] if close else "")
    parts = [f"perhaps you mean {guess!r}"] if guess else []
    if listed and names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        parts.append(f"there are: {', '.join(names[:_SHOWN])}{more}")
    return "; ".join(parts) or ("there are none" if not names else "see its documentation")
