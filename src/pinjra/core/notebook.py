"""What a run showed -> HTML for a notebook, where it can do nothing: a guest wrote it, and the page has a kernel."""

from __future__ import annotations

import base64
from html import escape

_PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp", "image/svg+xml")
_TEXT_CHARS = 100_000  # of one text: a page with more is slow
# SECURITY: a page of the guest's is shown in a frame of no origin, without scripts, that loads nothing from anywhere: else it
# could run code by the server of the page around it, or carry out what the box has no network to say.
GUEST_PAGE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'"
)
_FRAME = (
    '<iframe sandbox="" srcdoc="{}" style="width: 100%; height: 24em; border: 0; resize: vertical"></iframe>'
)


def shown_html(media_type: str, data: bytes) -> str:
    """Return what shows an artifact: a picture, a page in a frame, or text."""
    if media_type in _PICTURES:
        # SECURITY: by its address, also SVG: scripts in it do not run, and it loads nothing
        return f'<img src="data:{media_type};base64,{base64.b64encode(data).decode("ascii")}" style="max-width: 100%">'
    text = data.decode("utf-8", "replace")
    if media_type == "text/html":
        policy = f'<meta http-equiv="Content-Security-Policy" content="{GUEST_PAGE_POLICY}">'
        return _FRAME.format(escape(f"<!doctype html>{policy}{text}"))
    return text_html(text)


def text_html(text: str, colour: str = "inherit") -> str:
    """Return what shows a text as it is; "" for none."""
    shown = text.rstrip()[:_TEXT_CHARS]
    return f'<pre style="color: {colour}; white-space: pre-wrap">{escape(shown)}</pre>' if shown else ""
