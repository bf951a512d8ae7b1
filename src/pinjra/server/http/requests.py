"""Bodies of the native API -> checked data. The OpenAPI page is made from these."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.server.http.errors import Forbidden
from pinjra.server.http.settings import ServeSettings
from pinjra.server.http.tenants import Tenant

_Word = Annotated[str, Field(max_length=1000)]  # a name, a host, a requirement


class StrictBody(BaseModel):
    """A body whose fields are all known and of the kind that they say."""

    model_config = ConfigDict(extra="forbid", strict=True)


class OpenBody(BaseModel):
    """A body of another service's API: fields that this one does not know are those of other clients, and left alone."""

    model_config = ConfigDict(strict=True)


class LimitsRequest(StrictBody):
    """What a run may use; what is not given is the default, and nothing is above the tenant's quota."""

    wall_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    cpu_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    operations: int | None = Field(default=None, gt=0)
    memory_bytes: int | None = Field(default=None, gt=0)
    disk_bytes: int | None = Field(default=None, gt=0)
    output_bytes: int | None = Field(default=None, gt=0)
    value_bytes: int | None = Field(default=None, gt=0)
    processes: int | None = Field(default=None, gt=0)
    tool_calls: int | None = Field(default=None, gt=0)

    def limits(self, tenant: Tenant) -> Limits:
        """Return the limits, none above the tenant's quota."""
        return tenant.quota.capped(Limits(**self.model_dump(exclude_none=True)))


class StreamRequest(StrictBody):
    """A box to open: the parameters of `sandbox()`. What is put into it comes over its stream."""

    executor: str | None = None
    authorized_imports: list[_Word] = Field(default_factory=list, max_length=1000)
    imports: str | None = None
    guard: bool | None = None
    rollback: bool | None = None
    limits: LimitsRequest = Field(default_factory=LimitsRequest)
    packages: list[_Word] = Field(default_factory=list, max_length=200)
    programs: list[_Word] = Field(default_factory=list, max_length=200)
    network: bool | Annotated[list[_Word], Field(max_length=200)] = Field(default_factory=list)
    secrets: dict[str, dict[str, str]] = Field(default_factory=dict)
    mounts: list[_Word] = Field(default_factory=list, max_length=50)
    env: dict[str, str] = Field(default_factory=dict)

    def options(self, tenant: Tenant, settings: ServeSettings) -> tuple[str, dict[str, Any]]:
        """Return the executor's name and the parameters of `sandbox()`.

        Raises:
            Forbidden: The tenant may not have this.
        """
        name = self.executor or settings.executor
        if name not in (settings.executor, *settings.executors):
            raise Forbidden(
                f"executor {name!r} is not offered here; there are: {', '.join(settings.executors)}"
            )
        quota = tenant.quota
        _allow(not self.packages or quota.packages, "packages", tenant)
        _allow(not self.programs or quota.programs, "programs", tenant)
        hosts = [] if isinstance(self.network, bool) else self.network
        _allow("*" in quota.network or set(hosts) <= set(quota.network), "network", tenant)
        # SECURITY: what has this machine's own network reaches what listens on its loopback; a name in `network` never does.
        if self.network is True and not quota.open_network:
            raise Forbidden(
                f"tenant {tenant.name!r} may not have network=true: open_network = true in [tenants.{tenant.name}] of the "
                'operator\'s settings allows it; single hosts are network=["api.github.com"]'
            )
        _allow(set(self.mounts) <= set(quota.mounts), "mounts", tenant)
        options: dict[str, Any] = {
            "authorized_imports": self.authorized_imports,
            "limits": self.limits.limits(tenant),
        }
        for field in ("imports", "guard", "rollback"):
            if getattr(self, field) is not None:
                options[field] = getattr(self, field)
        for field in ("packages", "programs", "network", "secrets", "env"):
            if getattr(self, field):
                options[field] = getattr(self, field)
        if self.mounts:
            options["mounts"] = {mount: quota.mounts[mount] for mount in self.mounts}
        return name, options


def _allow(is_allowed: bool, what: str, tenant: Tenant) -> None:
    if not is_allowed:
        raise Forbidden(
            f"tenant {tenant.name!r} may not have these {what}; the operator's settings say what it may"
        )


class SessionRequest(StreamRequest):
    """A session to open: the parameters of `sandbox()`.

    `files` are base64. `timeout_seconds` is how long it stays open without use.
    """

    files: dict[str, str] = Field(default_factory=dict, max_length=1000)
    variables: dict[str, Any] = Field(default_factory=dict)
    timeout_seconds: float | None = Field(default=None, gt=0, le=86400, allow_inf_nan=False)


class RunRequest(StrictBody):
    """Code to run in a session. With `stream` the answer is server-sent events."""

    code: str = Field(max_length=16 << 20)
    language: str = "python"
    stdin: str | None = None
    wall_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    stream: bool = False


class ProgramRequest(StrictBody):
    """A program to start in a session."""

    argv: list[str] = Field(min_length=1, max_length=1000)
    stdin: str | None = None
    timeout_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)


class VariablesRequest(StrictBody):
    """Variables to set: JSON data."""

    variables: dict[str, Any]


def decoded_files(files: Mapping[str, str]) -> dict[str, bytes]:
    """Return name -> bytes of files in base64.

    Raises:
        ConfigurationError: One is no base64 (the client's fault).
    """
    try:
        return {name: base64.b64decode(data, validate=True) for name, data in files.items()}
    except (binascii.Error, ValueError) as error:
        raise ConfigurationError(f"files are base64: {error}") from None
