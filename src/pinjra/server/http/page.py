"""The page at `/`: files of the folder `page`, and what guests displayed, each in a frame that is an origin of its own."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import PurePosixPath
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinjra.server.http.errors import NotFound
from pinjra.server.runs.store import AgentRuns

__all__ = ["ROUTES"]

# SECURITY: nothing but this origin's own files runs, nothing of another host is loaded, markup from text is refused by the
# browser (trusted types), and no page of another site may frame this one.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; frame-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# SECURITY: what a guest displayed has no origin, loads nothing, and runs scripts only where a person asked for them.
_FRAME_POLICY = (
    "sandbox{}; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'{}"
)
_SCRIPTS = (" allow-scripts", "; script-src 'unsafe-inline' 'unsafe-eval'")
_FRAME = re.compile(r"[0-9a-f]{32}\.(png|jpg|gif|webp|svg|html)")
_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
}
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _read(folder: Any, prefix: str = "") -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for entry in folder.iterdir():
        if entry.is_dir():
            found |= _read(entry, f"{prefix}{entry.name}/")
        elif entry.name.rpartition(".")[2] in _TYPES:
            found[prefix + entry.name] = entry.read_bytes()
    return found


_FILES = _read(files("pinjra.server").joinpath("page"))
_TAGS = {name: f'"{hashlib.sha256(data).hexdigest()[:32]}"' for name, data in _FILES.items()}


async def page(request: Request) -> Response:
    """Return a file of the page."""
    name = request.path_params.get("name", "index.html")
    data = _FILES.get(name)
    if data is None:
        raise NotFound(f"the page has no file {name[:100]!r}")
    tag = _TAGS[name]
    headers = {**_SAFE, "Content-Security-Policy": _PAGE_POLICY, "Cache-Control": "no-cache", "ETag": tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=_TYPES[PurePosixPath(name).suffix[1:]], headers=headers)


async def frame(request: Request) -> Response:
    """Return what a guest displayed. Its name is the permission to see it: a frame cannot send a token."""
    runs: AgentRuns = request.app.state.agents
    name = request.path_params["name"]
    folder = runs.folder_of(request.path_params["run"])
    match = _FRAME.fullmatch(name)
    path = folder / "artifacts" / name if folder and match else None
    if path is None or match is None or not path.is_file():
        raise NotFound("there is nothing to see here")
    with_scripts = match[1] == "html" and request.query_params.get("scripts") == "1"
    policy = _FRAME_POLICY.format(*(_SCRIPTS if with_scripts else ("", "")))
    headers = {
        **_SAFE,
        "Content-Security-Policy": policy,
        "Cache-Control": "private, max-age=86400, immutable",
    }
    return Response(path.read_bytes(), media_type=_TYPES[match[1]], headers=headers)


_PLAIN: tuple[tuple[str, Callable[[Request], Any]], ...] = (
    ("/", page),
    ("/page/{name:path}", page),
    ("/frames/{run}/{name}", frame),
)
ROUTES: list[Any] = [Route(path, function, methods=["GET"]) for path, function in _PLAIN]
