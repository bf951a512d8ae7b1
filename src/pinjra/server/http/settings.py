"""A TOML file and options -> the checked settings of one service."""

from __future__ import annotations

import secrets
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pinjra.core.addresses import LOOPBACK
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.core.nearest import nearest
from pinjra.executors.registry import default_executor, executor_class, executor_names
from pinjra.models.registry import named
from pinjra.tools.shipped import SHIPPED, shipped_tools

# SECURITY: what is not in this row is bounded by another one (operations and calls by time).
_CAPPED = ("wall_seconds", "memory_bytes", "disk_bytes", "output_bytes", "value_bytes", "processes")


_MOST = 1 << 63  # what the kernel and the wire count with
_Count = Annotated[int, Field(strict=True, gt=0, lt=_MOST)]
_Seconds = Annotated[float, Field(strict=True, gt=0, lt=_MOST)]
_Money = Annotated[float, Field(strict=True, ge=0)]


class _Strict(BaseModel):
    """Unknown names are refused: a misspelled quota must not be no quota."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


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
    sessions: _Count = 64
    requests: _Count = 2000
    cpu_seconds: _Seconds | None = None
    memory_bytes: _Count = 1 << 30
    disk_bytes: _Count = 256 << 20
    wall_seconds: _Seconds = 300.0
    output_bytes: _Count = 16 << 20
    value_bytes: _Count = 16 << 20
    processes: _Count = 256
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
    max_steps: _Count = 10
    planning_interval: _Count | None = None
    approval: Literal[True, False, "", "code", "tools", "all"] = ""
    price: tuple[_Money, _Money] | None = None

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
    port: int = Field(default=8700, strict=True, ge=0, le=65535)
    hosts: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    executor: str = "jail"
    executors: tuple[str, ...] = ("jail",)
    sessions: _Count = 1024
    idle_seconds: _Seconds = 900.0
    body_bytes: _Count = 256 << 20
    bodies_bytes: _Count = 1 << 30
    body_seconds: _Seconds = 120.0
    drain_seconds: float = Field(default=30.0, strict=True, ge=0, lt=_MOST)
    isolation: Literal["fork", "fresh"] = "fork"
    warm_imports: tuple[str, ...] = ()
    traces: bool = False
    audit_log: str = ""
    audit_bytes: _Count = 64 << 20
    audit_files: int = Field(default=5, strict=True, gt=0, le=1000)
    audit_code_characters: int = Field(default=2000, strict=True, ge=0, lt=_MOST)
    metrics_token: str = Field(default="", pattern="^(.{16,})?$", repr=False)
    runs_folder: str = ""
    runs_kept: _Count = 500
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
    def _bodies_have_room(self) -> Self:
        if self.body_bytes > self.bodies_bytes:
            raise ValueError(
                f"body_bytes = {self.body_bytes} is above bodies_bytes = {self.bodies_bytes}, which is for all together"
            )
        return self

    @model_validator(mode="after")
    def _teams_are_there(self) -> Self:
        for name in self.agents:
            _check_team(self.agents, name, ())
        return self

    @property
    def is_loopback(self) -> bool:
        """Return whether only this machine can reach the service."""
        return self.host in LOOPBACK


def _check_team(agents: Mapping[str, AgentSettings], name: str, above: tuple[str, ...]) -> None:
    if name not in agents:
        raise ValueError(f"agents: there is no agent {name!r}")
    if name in above:
        raise ValueError(f"agents: {name!r} would manage itself")
    for each in agents[name].managed_agents:
        _check_team(agents, each, (*above, name))


_TABLES: Mapping[str, type[_Strict]] = {"": ServeSettings, "tenants": TenantSettings, "agents": AgentSettings}
_WORDS = {"tuple_type": 'it is a list, as ["…"]', "dict_type": "it is a table, of names and values"}


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
        raise ConfigurationError(f"{', '.join(paths) or 'options'}: {_said(error)}") from None
    if not settings.is_loopback and not settings.tenants:
        raise ConfigurationError(
            f"{settings.host} can be reached by other machines: give at least one tenant with a token ([tenants.NAME] token = …)"
        )
    _check_names(settings)
    return settings


def _said(error: ValidationError) -> str:
    """Return where the first wrong value stands, and what would be right."""
    first = error.errors(include_input=False, include_url=False)[0]  # the input may be a token
    where = ".".join(str(part) for part in first["loc"]) or "settings"
    if first["type"] == "extra_forbidden":
        *above, name = first["loc"]
        known = _TABLES[str(above[0]) if above else ""].model_fields
        return f"{where}: there is no such setting; {nearest(str(name), known)}"
    return f"{where}: {_WORDS.get(first['type']) or first['msg'].removeprefix('Value error, ')}"


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


def settings_for_one(
    config: str | None, agent: Mapping[str, Any] | None, *, port: int, executor: str | None
) -> ServeSettings:
    """Return settings for one user of this machine: on loopback, one tenant, you, who may do everything, by a token made for it.

    Args:
        config: A TOML file as of `pinjra serve`; its tenants and address are left out of account.
        agent: An agent named "agent", beside those of the file.
        executor: Where code runs; the file's, or this system's own, unless given.

    Raises:
        ConfigurationError: The file or a value is wrong (the user's fault).
    """
    you = {
        "token": secrets.token_urlsafe(24),
        "network": ("*",),
        "open_network": True,
        "packages": True,
        "sessions": 64,
    }
    own: dict[str, Any] = {
        "host": "127.0.0.1",
        "hosts": (),
        "tenants": {"you": you},
        "idle_seconds": 3600.0,
        "drain_seconds": 2.0,
        "port": port,
    }
    paths = [config] if config else []
    given = load_settings(paths, {})
    chosen = executor or (given.executor if "executor" in given.model_fields_set else default_executor())
    others = given.executors if "executors" in given.model_fields_set else ()
    own |= {"executor": chosen, "executors": tuple(dict.fromkeys((chosen, *others)))}
    agents = {name: each.model_dump() for name, each in given.agents.items()}
    return load_settings(paths, {**own, "agents": {**agents, **({"agent": dict(agent)} if agent else {})}})
