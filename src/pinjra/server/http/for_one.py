"""Settings of the service for one user of this machine: on loopback, with a token made for it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from pinjra.server.http.settings import ServeSettings, load_settings

__all__ = ["settings_for_one"]


def settings_for_one(
    config: str | None, agent: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> ServeSettings:
    """Return settings with one tenant, you, who may do everything.

    Args:
        config: A TOML file as of `pinjra serve`; its tenants and address are left out of account.
        agent: An agent named "agent", beside those of the file.

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
        **options,
    }
    paths = [config] if config else []
    given = load_settings(paths, {})
    agents = {name: each.model_dump() for name, each in given.agents.items()}
    return load_settings(paths, {**own, "agents": {**agents, **({"agent": dict(agent)} if agent else {})}})
