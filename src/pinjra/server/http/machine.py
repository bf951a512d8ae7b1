"""Settings that name what is not on this machine -> refused when the service starts, not when a request first comes to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from pinjra.core.access import parse_access
from pinjra.core.errors import ConfigurationError
from pinjra.server.http.settings import ServeSettings, TenantSettings
from pinjra.server.models import PYTHON, found_at

_OF_THIS_PYTHON = ("jail", "local")  # executors whose boxes have the modules that are installed here


def check_machine(settings: ServeSettings) -> None:
    """Check that what the settings name is there.

    Raises:
        ConfigurationError: It is not; the message names the setting (the operator's fault).
    """
    if settings.audit_log:
        _check_log(settings.audit_log)
    if settings.runs_folder:
        _check_folder(settings.runs_folder)
    for name, tenant in settings.tenants.items():
        _check_reach(name, tenant)
    for setting, place in _places(settings):
        try:
            found_at(place)
        except ConfigurationError as error:
            raise ConfigurationError(f"{setting}: {error}") from error
    if settings.executor in _OF_THIS_PYTHON:
        _check_modules(settings.warm_imports)


def _check_log(path: str) -> None:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"audit_log: {path!r} cannot be written: {error}") from error


def _check_folder(path: str) -> None:
    try:
        Path(path).mkdir(parents=True, mode=0o700, exist_ok=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"runs_folder: {path!r} cannot be made: {error}") from error
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        raise ConfigurationError(f"runs_folder: {path!r} cannot be written")


def _check_reach(name: str, tenant: TenantSettings) -> None:
    hosts = [host for host in tenant.network if host != "*"]
    try:
        parse_access({"mounts": tenant.mounts, "network": hosts})
    except ConfigurationError as error:
        raise ConfigurationError(f"tenants.{name}: {error}") from error


def _places(settings: ServeSettings) -> Iterator[tuple[str, str]]:
    """Yield the settings that name what stands in Python, and where."""
    models = {f"models.{name}": model for name, model in settings.models.items()}
    models |= {f"agents.{name}.model": agent.model for name, agent in settings.agents.items()}
    for setting, model in models.items():
        if model.startswith(PYTHON):
            yield setting, model.removeprefix(PYTHON)
    for name, agent in settings.agents.items():
        if agent.agent:
            yield f"agents.{name}.agent", agent.agent


def _check_modules(names: tuple[str, ...]) -> None:
    for name in names:
        try:
            is_there = find_spec(name) is not None
        except Exception:  # of a package that must be imported to be looked into
            is_there = False
        if not is_there:
            raise ConfigurationError(f"warm_imports: there is no module {name!r} here")
