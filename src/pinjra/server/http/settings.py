"""A TOML file and options -> the checked settings of one service."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.executors.registry import executor_class, executor_names
from pinjra.models.registry import named
from pinjra.tools.shipped import SHIPPED, shipped_tools

__all__ = ["AgentSettings", "ServeSettings", "TenantSettings", "load_settings"]


# SECURITY: what is not in this row is bounded by another one (operations and calls by time).
_CAPPED = ("wall_seconds", "memory_bytes", "disk_bytes", "output_bytes", "value_bytes", "processes")


class _Strict(BaseModel):
    """Unknown names are refused: a misspelled quota must not be no quota."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class TenantSettings(_Strict):
    """What one tenant may use.

    Args:
        token: Secret of at least 16 characters that its clients send.
        sessions: Open at one time.
        requests: In progress at one time.
        cpu_seconds: Processor time of all its runs in a sliding hour; None for no limit.
        memory_bytes: Largest memory that one of its sessions may ask for.
        disk_bytes: Largest scratch folder that one of its sessions may ask for.
        wall_seconds: Longest single run.
        output_bytes, value_bytes, processes: The most that one run may ask for; text and values pass through the service.
        network: Hosts that its sessions may be given; empty for none, ["*"] for any.
        open_network: Its sessions may ask for the whole network (`network=true`), this machine's loopback too.
        packages: Its sessions may ask for packages of the registry.
        programs: Its sessions may start programs.
        mounts: Name -> folder of this machine that its sessions may see, read-only.
    """

    token: str = Field(min_length=16, repr=False)
    sessions: int = Field(default=64, gt=0)
    requests: int = Field(default=2000, gt=0)
    cpu_seconds: float | None = Field(default=None, gt=0)
    memory_bytes: int = Field(default=1 << 30, gt=0)
    disk_bytes: int = Field(default=256 << 20, gt=0)
    wall_seconds: float = Field(default=300.0, gt=0)
    output_bytes: int = Field(default=16 << 20, gt=0)
    value_bytes: int = Field(default=16 << 20, gt=0)
    processes: int = Field(default=256, gt=0)
    network: tuple[str, ...] = ()
    open_network: bool = False
    packages: bool = False
    programs: bool = True
    mounts: dict[str, str] = Field(default_factory=dict)

    def capped(self, limits: Limits) -> Limits:
        """Return limits of which none is above what the tenant may use."""
        most: dict[str, Any] = {name: getattr(self, name) for name in _CAPPED}
        asked = {name: getattr(limits, name) for name in _CAPPED}
        return replace(limits, **{name: min(asked[name] or most[name], most[name]) for name in _CAPPED})


class AgentSettings(_Strict):
    """An agent that clients may give tasks to.

    Args:
        model: As `pinjra run --model`.
        agent: Instead of all the others, where it stands in Python as "module:name": an agent, or a function that makes one.
        tools: Names of shipped tools.
        managed_agents: Names of other agents of these settings, which it may call like tools.
        approval: What waits for a client's word before it happens, whatever the client asks: nothing, each code action
            ("code" or true), each tool call ("tools"), or "all".
        price: What a million tokens read and written cost.
    """

    model: str = ""
    agent: str = ""
    description: str = ""
    instructions: str = ""
    tools: tuple[str, ...] = ()
    managed_agents: tuple[str, ...] = ()
    authorized_imports: tuple[str, ...] = ()
    executor: str | None = None
    max_steps: int = Field(default=10, gt=0)
    planning_interval: int | None = Field(default=None, gt=0)
    approval: bool | Literal["", "code", "tools", "all"] = ""
    price: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        if bool(self.model) == bool(self.agent):
            raise ValueError(
                'an agent has a model, or stands in Python (agent = "module:name"), and not both'
            )
        return self


class ServeSettings(_Strict):
    """All of a service.

    Args:
        hosts: Names that a Host header may say besides the address; others are pages of other sites (DNS rebinding). "*.name":
            those below, for what sandboxes serve.
        executor: Where sessions run unless a request names another one of `executors`.
        executors: What a request may name.
        sessions: Open at one time, all tenants together.
        idle_seconds: A session that nobody used for so long is closed.
        body_bytes: Largest request body; `bodies_bytes`: of all that are in progress, together.
        proxies: Addresses of proxies whose word on a client's address is taken.
        body_seconds: Longest time until a body has arrived.
        drain_seconds: How long runs may go on after SIGTERM.
        isolation: Of programs of `/run_code`: "fork" of one warm jail for each tenant, or a "fresh" jail for each program.
        warm_imports: Modules that the warm jail of `/run_code` has loaded.
        traces: Requests and what they do are sent as OpenTelemetry's spans, as its environment variables say.
        audit_log: File of JSON lines; "" for none.
        audit_bytes: Size at which it is put aside as FILE.1 and so on; `audit_files` are kept, itself included.
        audit_code_characters: Of code that is run, which it shows without secrets; 0 for none.
        models: What clients of OpenAI's API may ask: name -> as `pinjra run --model`, or "python:module:name".
        metrics_token: Who sends it sees the metrics of all tenants. A tenant sees its own, and who sends none sums.
        runs_folder: Where runs of agents are kept; "" for the user's folder for such data.
        runs_kept: The oldest that have ended are removed when there are more.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8700, ge=0, le=65535)
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    executor: str = "jail"
    executors: tuple[str, ...] = ("jail",)
    sessions: int = Field(default=1024, gt=0)
    idle_seconds: float = Field(default=900.0, gt=0)
    body_bytes: int = Field(default=256 << 20, gt=0)
    bodies_bytes: int = Field(default=1 << 30, gt=0)
    body_seconds: float = Field(default=120.0, gt=0)
    drain_seconds: float = Field(default=30.0, ge=0)
    isolation: Literal["fork", "fresh"] = "fork"
    warm_imports: tuple[str, ...] = ()
    traces: bool = False
    audit_log: str = ""
    audit_bytes: int = Field(default=64 << 20, gt=0)
    audit_files: int = Field(default=5, gt=0)
    audit_code_characters: int = Field(default=2000, ge=0)
    metrics_token: str = Field(default="", pattern="^(.{16,})?$", repr=False)
    runs_folder: str = ""
    runs_kept: int = Field(default=500, gt=0)
    tenants: dict[str, TenantSettings] = Field(default_factory=dict)
    agents: dict[str, AgentSettings] = Field(default_factory=dict)
    models: dict[str, str] = Field(default_factory=dict)

    @field_validator("tenants")
    @classmethod
    def _tokens_differ(cls, tenants: dict[str, TenantSettings]) -> dict[str, TenantSettings]:
        if len({tenant.token for tenant in tenants.values()}) != len(tenants):
            raise ValueError("two tenants have the same token")
        return tenants

    @model_validator(mode="after")
    def _teams_are_there(self) -> Self:
        for name in self.agents:
            _check_team(self.agents, name, ())
        return self

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach the service."""
        return self.host in ("127.0.0.1", "::1", "localhost")


def _check_team(agents: Mapping[str, AgentSettings], name: str, above: tuple[str, ...]) -> None:
    if name not in agents:
        raise ValueError(f"agents: there is no agent {name!r}")
    if name in above:
        raise ValueError(f"agents: {name!r} would manage itself")
    for each in agents[name].managed_agents:
        _check_team(agents, each, (*above, name))


def load_settings(paths: Sequence[str], options: Mapping[str, Any]) -> ServeSettings:
    """Return the settings of TOML files, the later on top, with `options` that are not None on top of them.

    Raises:
        ConfigurationError: A file cannot be read, or a value is wrong; the message names it (the operator's fault).
    """
    values: dict[str, Any] = {}
    for path in paths:
        try:
            values.update(tomllib.loads(Path(path).read_text(encoding="utf-8")))
        except OSError as error:
            raise ConfigurationError(f"{path}: {error.strerror}") from error
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"{path}: {error}") from error
    values.update({name: value for name, value in options.items() if value is not None})
    try:
        settings = ServeSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]  # the input may be a token
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise ConfigurationError(f"{', '.join(paths) or 'options'}: {where}: {first['msg']}") from None
    if not settings.is_loopback and not settings.tenants:
        raise ConfigurationError(
            f"{settings.host} can be reached by other machines: give at least one tenant with a token ([tenants.NAME] token = …)"
        )
    _check_names(settings)
    return settings


def _check_names(settings: ServeSettings) -> None:
    """Refuse names of nothing at the start, and not when the first request comes to them.

    Raises:
        ConfigurationError: There is no executor, model or tool of that name (the operator's fault).
    """
    agents = settings.agents.values()
    executors = {settings.executor, *settings.executors, *(agent.executor or "jail" for agent in agents)}
    for executor in executors - set(executor_names()):
        executor_class(executor)  # says what there is
    for model in (*settings.models.values(), *(agent.model for agent in agents)):
        if model and not model.startswith("python:"):
            named(model)
    shipped_tools({tool for agent in agents for tool in agent.tools} - set(SHIPPED))
