"""Single requests, as httpx's own functions, with patience for a machine that has other work."""

from __future__ import annotations

from functools import partial

import httpx

__all__ = ["SECONDS", "get", "post", "request"]

SECONDS = 60.0
get, post, request = (partial(call, timeout=SECONDS) for call in (httpx.get, httpx.post, httpx.request))
