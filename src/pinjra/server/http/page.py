"""The page at `/`, in one answer; and what guests displayed, each in a frame that is an origin of its own.

The modules of the folder `page` are joined when the service starts, and go out inside the document with the styles: a browser
that asked for each would wait for several round trips before the first picture (docs/decisions/0017).
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pinjra.core.notebook import GUEST_PAGE_POLICY
from pinjra.server.http.errors import NotFound
from pinjra.server.runs.store import AgentRuns

# SECURITY: nothing but the page's own script and styles, known by their hashes, is used, nothing of another host is loaded,
# markup from text is refused by the browser (trusted types), and no page of another site may frame this one.
_PAGE_POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
# SECURITY: what a guest displayed has no origin, loads nothing, and runs scripts only where a person asked for them.
_FRAME_POLICY = f"sandbox{{}}; {GUEST_PAGE_POLICY}; frame-ancestors 'self'{{}}"
_SCRIPTS = (" allow-scripts", "; script-src 'unsafe-inline' 'unsafe-eval'")
_FRAME = re.compile(r"[0-9a-f]{32}\.(png|jpg|gif|webp|svg|html)")
_TYPES = {
    "html": "text/html; charset=utf-8",
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


_IMPORT = re.compile(r'^import \{([^}]+)\} from "\./((?:vendor/)?\w+)\.js";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_EXPORTS = re.compile(r"^(.*)export\{([^}]+)\};$", re.MULTILINE)  # as minified libraries say it


def _joined(folder: Any, name: str, done: dict[str, str]) -> None:
    """Put a module, as a function that returns what it exports, into `done`, after those that it imports."""
    if name in done:
        return
    text = folder.joinpath(f"{name}.js").read_text("utf-8")
    for _, other in _IMPORT.findall(text):
        _joined(folder, other, done)
    text = _IMPORT.sub(
        lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = {_variable(found[2])};", text
    )
    pairs = [pair.split(" as ") for _, names in _EXPORTS.findall(text) for pair in names.split(",")]
    given = [f"{outside}: {inside}" for inside, outside in pairs] + _EXPORT.findall(text)
    text = _EXPORT.sub("", _EXPORTS.sub(r"\1", text))
    done[name] = f"const {_variable(name)} = (() => {{\n{text}return {{ {', '.join(given)} }};\n}})();\n"


def _variable(module: str) -> str:
    return f"${module.rpartition('/')[2]}"


def _document() -> tuple[bytes, dict[str, str]]:
    """Return the page and its headers."""
    folder = files("pinjra.server").joinpath("page")
    modules: dict[str, str] = {}
    _joined(folder, "main", modules)
    # The styles first: the script, when it is there, has a `</style>` in a string.
    parts = {
        "style": folder.joinpath("page.css").read_text("utf-8"),
        "script": f'"use strict";\n{{\n{"".join(modules.values())}}}',
    }
    text = folder.joinpath("index.html").read_text("utf-8")
    for name, part in parts.items():
        text = text.replace(f"</{name}>", f"{part}</{name}>")
    hashes = {name: f"sha256-{base64.b64encode(_hash(part)).decode()}" for name, part in parts.items()}
    return text.encode(), {
        **_SAFE,
        "Content-Security-Policy": _PAGE_POLICY.format(**hashes),
        "Cache-Control": "no-cache",
        "ETag": f'"{_hash(text).hex()[:32]}"',
    }


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


_DOCUMENT, _HEADERS = _document()


async def page(request: Request) -> Response:
    """Return the page."""
    if request.headers.get("if-none-match") == _HEADERS["ETag"]:
        return Response(status_code=304, headers=_HEADERS)
    return Response(_DOCUMENT, media_type=_TYPES["html"], headers=_HEADERS)


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


ROUTES = [Route("/", page), Route("/frames/{run}/{name}", frame)]
