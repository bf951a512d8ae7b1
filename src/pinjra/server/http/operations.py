"""Rows that say what each request takes and gives -> routes, and the OpenAPI description that is made of the same rows."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pinjra.server.http.asked import Asked

Endpoint = Callable[..., Awaitable[object]]  # (request), or (request, body) where it has a checked one

_COMPONENTS = "#/components/schemas/{model}"
_PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
_SUMMARIES = {
    "session": "What opening the session answered as `id`.",
    "stream": "What opening the stream answered as `id`.",
    "name": "The file's path inside the session's folder; or a variable's name.",
    "agent": "An agent of the settings.",
    "run": "What giving the task answered as `id`.",
    "key": "Of what waits for a person: `ApprovalAsked` has it.",
}
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_EVENT = {"event": {"type": "string"}, "data": {"type": "string"}}
_EVENTS = {"schema": {"type": "object", "properties": _EVENT, "required": ["event", "data"]}}


class _FileConvertor(PathConvertor):
    regex = r"(?s:.*)"  # a file's name may have ends of lines; `path` ends at the first


register_url_convertor("file", _FileConvertor())


class StrictAnswer(BaseModel):
    """What is answered: the description is made from these, and the property test holds us to them."""

    model_config = ConfigDict(extra="forbid")


class ErrorText(BaseModel):
    """What went wrong, as a word and as a sentence."""

    kind: str
    message: str


class ErrorAnswer(BaseModel):
    """The body of every answer from 400 on."""

    error: ErrorText


def asked_route(
    method: str,
    path: str,
    endpoint: Endpoint,
    *,
    body: type | None = None,
    status: int = 200,
    is_open: bool = False,
) -> Route:
    """Return the route that answers such requests; unless it is open, those of tenants only.

    Args:
        body: Where it is a model, the endpoint is given the request's body as one.
        status: Of what the endpoint returns, as JSON, where it is no response itself; None is an answer without a body.
    """

    async def answer(request: Request) -> Response:
        asked = Asked(request.scope, request.receive)
        if not is_open:
            asked.check_tenant()  # SECURITY: here, so that no endpoint can forget it
        said = await (endpoint(asked, await asked.body_as(body)) if _is_model(body) else endpoint(asked))
        if isinstance(said, Response):
            return said
        return Response(status_code=status) if said is None else JSONResponse(said, status)

    return Route(path, answer, methods=[method])


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request of the service.

    Args:
        endpoint: Answers it; the first line of its docstring is its summary.
        body: Of the request, as JSON; `bytes` for any bytes.
        answer: Of the service, as JSON; `bytes` and `str` for what they are, None for no body.
        streams: The answer may be server-sent events instead.
        is_open: Needs no token.
    """

    method: str
    path: str
    endpoint: Endpoint
    body: type[BaseModel] | type[bytes] | None = None
    answer: type[BaseModel] | type[bytes] | type[str] | None = None
    status: int = 200
    streams: bool = False
    is_open: bool = False

    def route(self) -> Route:
        """Return the route of this operation."""
        return asked_route(
            self.method, self.path, self.endpoint, body=self.body, status=self.status, is_open=self.is_open
        )

    @property
    def place(self) -> str:
        """Return the path as OpenAPI writes it."""
        return _PARAMETER.sub(r"{\1}", self.path)

    @property
    def summary(self) -> str:
        """Return one line that says what it does."""
        return (self.endpoint.__doc__ or "").partition("\n")[0]


def _models(operations: Iterable[Operation]) -> list[type[BaseModel]]:
    found: list[type[BaseModel]] = [ErrorAnswer]
    for operation in operations:
        found += [each for each in (operation.body, operation.answer) if _is_model(each)]
    return list(dict.fromkeys(found))


def _is_model(kind: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _content(kind: type | None, schemas: dict[type[BaseModel], Any]) -> dict[str, Any]:
    if kind is None:
        return {}
    if kind is bytes:
        return _BYTES
    if kind is str:
        return {"text/plain": {"schema": {"type": "string"}}}
    return {"application/json": {"schema": schemas[kind]}}


def _described(operation: Operation, schemas: dict[type[BaseModel], Any]) -> dict[str, Any]:
    answer = _content(operation.answer, schemas)
    if operation.streams:
        answer = {**answer, "text/event-stream": _EVENTS}
    failure = {"description": "Refused or failed.", "content": _content(ErrorAnswer, schemas)}
    described: dict[str, Any] = {
        "operationId": f"{operation.endpoint.__module__.rpartition('.')[2]}_{operation.endpoint.__name__}",
        "summary": operation.summary,
        "tags": [operation.path.strip("/").partition("/")[0]],
        "responses": {
            str(operation.status): {"description": "Done.", **({"content": answer} if answer else {})},
            "4XX": failure,
            "5XX": failure,
        },
    }
    if operation.body is not None:
        content = _content(operation.body, schemas)
        described["requestBody"] = {"required": True, "content": content}
    names = _PARAMETER.findall(operation.path)
    if names:
        described["parameters"] = [
            {
                "name": name,
                "in": "path",
                "required": True,
                "description": _SUMMARIES.get(name, ""),
                "schema": {"type": "string", "minLength": 1},
            }
            for name in names
        ]
    if operation.is_open:
        described["security"] = []
    return described


def document(operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 description of these operations."""
    operations = list(operations)
    models = _models(operations)
    keyed, definitions = models_json_schema(
        [(model, "validation") for model in models], ref_template=_COMPONENTS
    )
    schemas = {model: keyed[model, "validation"] for model in models}
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.place, {})[operation.method.lower()] = _described(operation, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "pinjra serve",
            "version": version("pinjra"),
            "description": "Sessions that run code which nobody trusts.",
        },
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"token": []}],
    }
