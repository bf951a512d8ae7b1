"""Modules: which are listed, which cannot work in a box, and what misspelt names mean. Data only.

`scripts/policy_tables` prints these tables into docs/guard.md.
"""

from __future__ import annotations

_LISTED = """
abc asyncio base64 bisect calendar collections contextlib copy csv dataclasses datetime decimal enum fractions functools
hashlib heapq html io itertools json math operator queue random re stat statistics string struct textwrap time types
typing unicodedata uuid warnings zoneinfo
collections.abc html.entities html.parser json.decoder json.encoder string.templatelib
__future__
"""

LISTED: tuple[str, ...] = tuple(sorted(_LISTED.split()))
"""With `imports="listed"`. Exactly these: other modules below them are closed, and so are modules that they happen to hold."""

_MEMORY = "it reaches the memory of the process past Python"
_SCREEN = "there is no screen"
_TERMINAL = "there is no terminal"
_INSTALL = "nothing can be installed from inside"

UNFIT: dict[str, str] = {
    "antigravity": _SCREEN,
    "ctypes": _MEMORY,
    "curses": _TERMINAL,
    "ensurepip": _INSTALL,
    "idlelib": _SCREEN,
    "readline": _TERMINAL,
    "rlcompleter": _TERMINAL,
    "tkinter": _SCREEN,
    "turtle": _SCREEN,
    "turtledemo": _SCREEN,
    "venv": _INSTALL,
    "webbrowser": _SCREEN,
}
"""Modules of the standard library that `imports="standard"` does not give, and why. Authorised by name, they are given."""

MEANT: dict[str, str] = {
    "Image": "PIL",
    "beautifulsoup": "bs4",
    "beautifulsoup4": "bs4",
    "dateutils": "dateutil",
    "mpl": "matplotlib",
    "np": "numpy",
    "opencv": "cv2",
    "pd": "pandas",
    "pillow": "PIL",
    "plt": "matplotlib.pyplot",
    "pyplot": "matplotlib.pyplot",
    "pyyaml": "yaml",
    "scikit_learn": "sklearn",
    "sns": "seaborn",
}
"""What is written where an import is meant: names of distributions, and the short names that everybody binds."""
