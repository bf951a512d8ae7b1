"""E2B's control plane: sandboxes are created, listed, extended, paused and ended. One small function a route."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from pinjra.core.errors import ConfigurationError, PinjraError
from pinjra.server.http.asked import Asked
from pinjra.server.http.e2b.sandboxes import ENVD_VERSION, Sandbox, Sandboxes, failure, refused
from pinjra.server.http.errors import Forbidden, NotFound
from pinjra.server.http.operations import Endpoint, asked_route
from pinjra.server.http.requests import OpenBody
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenant

_TEMPLATES = frozenset(("base", "default", "code-interpreter", "code-interpreter-v1"))
_MOST_SECONDS = 86400
_MOST_LISTED = 100


class _AutoResume(OpenBody):
    enabled: bool = False


class _Create(OpenBody):
    templateID: str = "base"  # noqa: N815 (the API's own names)
    timeout: int = Field(default=300, ge=0, le=_MOST_SECONDS)
    autoPause: bool = False  # noqa: N815
    autoPauseMemory: bool = True  # noqa: N815
    autoResume: _AutoResume = _AutoResume()  # noqa: N815
    allow_internet_access: bool | None = None
    network: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    envVars: dict[str, str] = Field(default_factory=dict)  # noqa: N815
    volumeMounts: list[Any] = Field(default_factory=list)  # noqa: N815


class _Timeout(OpenBody):
    timeout: int = Field(default=300, ge=0, le=_MOST_SECONDS)


class _Refresh(OpenBody):
    duration: int = Field(default=60, ge=0, le=3600)


# ---------------------------------------------------------------- what every route does


def _answered(handle: Endpoint, body: type[BaseModel] | None = None) -> Endpoint:
    """Return the same route's function, given its body, with failures as E2B's clients read them."""

    async def answer(request: Asked) -> object:
        try:
            request.check_tenant()  # SECURITY: here, so that its failure is told as the others
            return await (handle(request, await request.body_as(body)) if body else handle(request))
        except PinjraError as error:
            return refused(error)

    return answer


def _sandboxes(request: Asked) -> Sandboxes:
    return cast("Sandboxes", request.service.sandboxes)


def _found(request: Asked) -> Sandbox:
    return _sandboxes(request).find(request.tenant, request.path_params["id"])


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _opened(sandbox: Sandbox) -> dict[str, Any]:
    """Return what a client needs to speak to a sandbox."""
    return {
        "templateID": sandbox.template,
        "sandboxID": sandbox.id,
        "clientID": "pinjra",
        "alias": sandbox.template,
        "envdVersion": ENVD_VERSION,
        "envdAccessToken": sandbox.access_token,
        "trafficAccessToken": None if sandbox.is_public else sandbox.traffic_token,
        "domain": None,
    }


def _listed(sandbox: Sandbox) -> dict[str, Any]:
    """Return what a list says of a sandbox."""
    quota = sandbox.held.tenant.quota
    return {
        "templateID": sandbox.template,
        "alias": sandbox.template,
        "sandboxID": sandbox.id,
        "clientID": "pinjra",
        "startedAt": _moment(sandbox.started),
        "endAt": _moment(sandbox.ends),
        "cpuCount": 1,
        "memoryMB": quota.memory_bytes >> 20,
        "diskSizeMB": quota.disk_bytes >> 20,
        "metadata": sandbox.metadata,
        "state": "paused" if sandbox.is_paused else "running",
        "envdVersion": ENVD_VERSION,
    }


# ---------------------------------------------------------------- routes


async def _create(request: Asked, wanted: _Create) -> dict[str, Any]:
    tenant, settings = request.tenant, request.settings
    _check(wanted, tenant, settings)
    traffic = wanted.network.get("allowPublicTraffic")
    sandbox = await _sandboxes(request).open(
        tenant,
        wanted.timeout,
        template=wanted.templateID.partition(":")[0],
        metadata=wanted.metadata,
        variables=wanted.envVars,
        auto_pause=wanted.autoPause,
        auto_resume=wanted.autoPause and wanted.autoResume.enabled,
        # SECURITY: what a sandbox serves is open to everybody only where the client says so, or nobody needs a token at all
        is_public=traffic is True or (traffic is None and not settings.tenants),
        network=wanted.network,
        allow_internet=wanted.allow_internet_access,
    )
    return _opened(sandbox)


def _check(wanted: _Create, tenant: Tenant, settings: ServeSettings) -> None:
    """Refuse what cannot be given here."""
    if wanted.templateID.partition(":")[0] not in _TEMPLATES:
        raise NotFound(
            f"template {wanted.templateID!r} not found; there are: {', '.join(sorted(_TEMPLATES))}"
        )
    if wanted.volumeMounts:
        raise ConfigurationError("volumes are not offered here")
    if wanted.autoPause and not wanted.autoPauseMemory:
        raise ConfigurationError("a sandbox is paused with its memory here, not with its files only")
    if "jail" not in (settings.executor, *settings.executors) or not tenant.quota.programs:
        raise Forbidden(f"tenant {tenant.name!r} may not have E2B sandboxes: they are jails with programs")


async def _list(request: Asked) -> list[dict[str, Any]]:
    return [_listed(one) for one in _chosen(request) if not one.is_paused]


async def _list_pages(request: Asked) -> Response:
    query = request.query_params
    found = _chosen(request)
    if query.get("order") != "asc":
        found.reverse()
    if query.get("nextToken"):
        names = [one.id for one in found]
        token = query["nextToken"]
        found = found[names.index(token) + 1 :] if token in names else []
    limit = min(max(_number(query.get("limit"), _MOST_LISTED), 1), _MOST_LISTED)
    page = found[:limit]
    headers = {"X-Next-Token": page[-1].id} if len(found) > limit else {}
    return JSONResponse([_listed(one) for one in page], headers=headers)


def _number(text: str | None, otherwise: int) -> int:
    return (
        int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 12 else otherwise
    )


def _chosen(request: Asked) -> list[Sandbox]:
    """Return the tenant's sandboxes that the request's filters leave, the oldest first."""
    query = request.query_params
    found = _sandboxes(request).of(request.tenant)
    wanted = [(unquote(name), unquote(value)) for name, value in parse_qsl(query.get("metadata", ""))]
    found = [one for one in found if all(one.metadata.get(name) == value for name, value in wanted)]
    if query.get("state"):
        states = ",".join(query.getlist("state")).split(",")
        found = [one for one in found if ("paused" if one.is_paused else "running") in states]
    if query.get("template"):
        found = [one for one in found if one.template == query["template"]]
    if query.get("startedAfter"):
        after = _parsed(query["startedAfter"])
        found = [one for one in found if one.started >= after]
    return found


def _parsed(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        raise ConfigurationError(f"startedAfter: {error}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _get(request: Asked) -> dict[str, Any]:
    sandbox = _found(request)
    on_timeout = "pause" if sandbox.auto_pause else "kill"
    return {
        **_listed(sandbox),
        "envdAccessToken": sandbox.access_token,
        "domain": None,
        "allowInternetAccess": sandbox.allow_internet,
        "network": sandbox.network,
        "lifecycle": {"onTimeout": on_timeout, "autoResume": sandbox.auto_resume},
    }


async def _kill(request: Asked) -> None:
    await request.hub.close(_found(request).held)


async def _set_timeout(request: Asked, wanted: _Timeout) -> Response | None:
    sandbox = _found(request)
    if sandbox.is_paused:
        return failure(409, "the sandbox is paused")
    sandbox.extend(wanted.timeout)
    return None


async def _refresh(request: Asked, wanted: _Refresh) -> None:
    sandbox = _found(request)
    await _sandboxes(request).resume(sandbox, wanted.duration)


async def _connect(request: Asked, wanted: _Timeout) -> Response:
    sandbox = _found(request)
    was_paused = await _sandboxes(request).resume(sandbox, wanted.timeout)
    return JSONResponse(_opened(sandbox), 201 if was_paused else 200)


async def _resume(request: Asked, wanted: _Timeout) -> Response | dict[str, Any]:
    sandbox = _found(request)
    if not await _sandboxes(request).resume(sandbox, wanted.timeout):
        return failure(409, f"sandbox {sandbox.id} is running already")
    return _opened(sandbox)


async def _pause(request: Asked) -> Response | None:
    sandbox = _found(request)
    if not await _sandboxes(request).pause(sandbox):
        return failure(409, f"sandbox {sandbox.id} is paused already")
    return None


async def _metrics(request: Asked) -> list[dict[str, Any]]:
    end = _number(request.query_params.get("end"), 0)
    return _sandboxes(request).metrics(_found(request), end or math.inf)


async def _metrics_of_many(request: Asked) -> dict[str, Any]:
    tenant, sandboxes = request.tenant, _sandboxes(request)
    wanted = ",".join(request.query_params.getlist("sandbox_ids")).split(",")[:_MOST_LISTED]
    found = {one.id: sandboxes.metrics(one)[0] for one in sandboxes.of(tenant) if one.id in wanted}
    return {"sandboxes": found}


async def _logs(request: Asked) -> dict[str, Any]:
    _found(request)
    return {"logs": [], "logEntries": []}


async def _not_offered(request: Asked) -> Response:
    return failure(501, "this service does not offer it; docs/e2b.md says what it does")


_S = "/sandboxes/{id}"
_ROUTES: tuple[tuple[str, str, Endpoint, type[BaseModel] | None, int], ...] = (
    ("POST", "/sandboxes", _create, _Create, 201),
    ("POST", "/v2/sandboxes", _create, _Create, 201),
    ("GET", "/sandboxes", _list, None, 200),
    ("GET", "/v2/sandboxes", _list_pages, None, 200),
    ("GET", "/sandboxes/metrics", _metrics_of_many, None, 200),
    ("GET", _S, _get, None, 200),
    ("DELETE", _S, _kill, None, 204),
    ("POST", _S + "/timeout", _set_timeout, _Timeout, 204),
    ("POST", _S + "/refreshes", _refresh, _Refresh, 204),
    ("POST", _S + "/connect", _connect, _Timeout, 200),
    ("POST", "/v2" + _S + "/connect", _connect, _Timeout, 200),
    ("POST", _S + "/resume", _resume, _Timeout, 201),
    ("POST", _S + "/pause", _pause, None, 204),
    ("GET", _S + "/metrics", _metrics, None, 200),
    ("GET", _S + "/logs", _logs, None, 200),
    ("GET", "/v2" + _S + "/logs", _logs, None, 200),
    ("POST", _S + "/fork", _not_offered, None, 501),
    ("POST", _S + "/snapshots", _not_offered, None, 501),
    ("PUT", _S + "/network", _not_offered, None, 501),
)
ROUTES = [
    asked_route(method, path, _answered(function, body), status=status, is_open=True)
    for method, path, function, body, status in _ROUTES
]
