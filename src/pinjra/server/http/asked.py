"""A request, and what of the service it is about: whose it is, its session or run, its body as checked data."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from pinjra.core.errors import ConfigurationError

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor
    from pinjra.server.http.hub import Held, Hub
    from pinjra.server.http.settings import ServeSettings
    from pinjra.server.http.tenants import Tenant
    from pinjra.server.runs.run import AgentRun
    from pinjra.server.runs.store import AgentRuns

T = TypeVar("T")
B = TypeVar("B", bound=BaseModel)


class Asked(Request):
    """A request to the service."""

    @property
    def service(self) -> Any:
        """Return the parts of the service, as `create_app` has put them together."""
        return self.app.state

    @property
    def hub(self) -> Hub:
        """Return the service's sessions."""
        return cast("Hub", self.service.hub)

    @property
    def settings(self) -> ServeSettings:
        """Return the service's settings."""
        return self.hub.settings

    @property
    def runs(self) -> AgentRuns:
        """Return the service's runs of agents."""
        return cast("AgentRuns", self.service.agents)

    @cached_property
    def tenant(self) -> Tenant:
        """Return who asks; Unauthorized: nobody that we know."""
        return cast("Tenant", self.service.tenants.of(self.headers))

    def check_tenant(self) -> None:
        """Check that somebody asks whom we know; Unauthorized: nobody."""
        _ = self.tenant  # kept: the endpoint asks for it next

    @cached_property
    def held(self) -> Held:
        """Return the tenant's session that the path names; NotFound: there is none, or another API speaks to it."""
        found = self.held_by_any
        found.check_kind()
        return found

    @property
    def held_by_any(self) -> Held:
        """Return the tenant's session that the path names, also a stream or a sandbox; NotFound: there is none."""
        return self.hub.find(self.tenant, self.path_params["session"])

    @cached_property
    def run(self) -> AgentRun:
        """Return the tenant's run of an agent that the path names; NotFound: there is none."""
        return self.runs.find(self.tenant, self.path_params["run"])

    async def use(self, do: Callable[[PythonExecutor], T], *, alone: bool = True) -> T:
        """Return what `do` returns of the session's executor, in a thread; with `alone` when it is this request's turn."""
        async with self.hub.using(self.held, alone=alone) as executor:
            return await self.hub.call(do, executor)

    async def body_as(self, kind: type[B]) -> B:
        """Return the JSON body as `kind`.

        Raises:
            ConfigurationError: It is no such body; the message names the field (the client's fault).
        """
        raw = await self.body()
        try:
            return kind.model_validate_json(raw or b"{}")
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ConfigurationError(f"{where}: {first['msg']}" if where else str(first["msg"])) from None
