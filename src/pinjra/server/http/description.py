"""The OpenAPI description -> `/openapi.json`, and a page at `/docs` that loads nothing from anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterable
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pinjra.server.http.operations import Operation, document

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
}


def _shown(content: dict[str, Any] | jinja2.Undefined) -> Markup:
    """Return media types, with a link to the data where it has a name."""
    parts = []
    for media_type, said in (content or {}).items():
        name = said["schema"].get("$ref", "").rpartition("/")[2]
        link = Markup(' <a href="#{0}">{0}</a>').format(name) if name else ""
        parts.append(Markup("<code>{}</code>{}").format(media_type, link))
    return Markup(", or ").join(parts)


def _page(described: dict[str, Any]) -> str:
    source = (resources.files("pinjra.server.http") / "description.html").read_text("utf-8")
    environment = jinja2.Environment(autoescape=True)
    functions = {"shown": _shown, "pretty": lambda schema: json.dumps(schema, indent=2)}
    return environment.from_string(source).render(**described, **functions)


def routes(operations: Iterable[Operation]) -> list[Route]:
    """Return the routes that describe these operations."""
    described = document(operations)
    page = _page(described)

    async def openapi(request: Request) -> Response:
        """Return the OpenAPI description."""
        return JSONResponse(described)

    async def docs(request: Request) -> Response:
        """Return the description as a page."""
        return HTMLResponse(page, headers=_HEADERS)

    return [Route("/openapi.json", openapi), Route("/docs", docs)]
