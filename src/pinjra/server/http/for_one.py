"""Settings of the service for one user of this machine: on loopback, with a token made for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from pinjra.executors.registry import default_executor
from pinjra.server.http.settings import ServeSettings, load_settings

__all__ = ["settings_for_one"]


def settings_for_one(
    config: str | None, agent: Mapping[str, Any] | None, *, port: int, executor: str | None
) -> ServeSettings:
    """Return settings with one tenant, you, who may do everything.

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
