"""What is asked for and what an executor has -> nothing, or an error that names one that has it."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from importlib import import_module
from typing import Literal

from pinjra.core.access import Access, Mount
from pinjra.core.errors import ConfigurationError

Hosts = Literal["with ports", "domains", "all"]
SCRATCH = "/scratch"  # where containers and pods have the scratch folder
MOUNTS = "/mnt"  # where they have the user's folders. Not in the scratch folder: what empties that would empty them
IMAGE = "python:3.12.12-slim-bookworm"  # they are made from, where nobody says another
NOBODY = 65534  # as whom all in them runs

# SECURITY: what nobody shows to a guest by mistake. Whole trees, and folders that are only refused themselves.
_TREES = ("/etc", "/proc", "/sys", "/dev", "/run", "/boot", "/var/run", "/var/lib")
_FOLDERS = ("/", "/home", "/root", "/usr", "/var", "/lib", "/bin", "/opt", "/tmp", "/Users")  # noqa: S108


_HAVING_HOSTS = 'executor_type="jail" or "e2b" has them'  # others open a network whole


def check_can(
    executor: str,
    has: Collection[str],
    access: Access,
    *,
    hosts: Hosts = "with ports",
    has_volumes: bool = False,
) -> None:
    """Return when the class of that name has all that is asked for.

    Args:
        hosts: Which hosts its network can be opened for; "all": for single ones it cannot.
        has_volumes: It is a cluster's, whose volumes `mounts` may name.

    Raises:
        ConfigurationError: It has not, or a mount shows what nobody means to show (the caller's fault).
    """
    for name in access.asked:
        if name not in has:
            others = _HAVING_HOSTS if name == "network" and access.hosts else elsewhere(name)
            raise ConfigurationError(f"{executor} has no {name}=; {others}")
    for host in access.hosts:
        if hosts == "all":
            raise ConfigurationError(
                f"{executor} knows network=True or False only, not single hosts; {_HAVING_HOSTS}"
            )
        if hosts == "domains" and not host.endswith(":"):
            raise ConfigurationError(
                f'{executor}: the vendor\'s allow-list has no ports ({host!r}); executor_type="jail" has them'
            )
    for name, mount in access.mounts:
        if mount.volume and not has_volumes:
            raise ConfigurationError(
                f'mounts= for {name!r}: {executor} has no {mount.volume} of a cluster; executor_type="kubernetes" has it'
            )
        if not mount.dangerous and _is_dangerous(mount):
            raise ConfigurationError(
                f"mounts= for {name!r}: {mount.path} holds more than a guest should see; name a folder below it, or say "
                f"Mount({mount.path!r}, dangerous=True)"
            )


def _is_dangerous(mount: Mount) -> bool:
    if mount.volume not in ("", "hostPath"):
        return False
    path, home = (
        os.path.normpath(mount.path.removeprefix("hostPath:")),
        os.path.realpath(os.path.expanduser("~")),
    )
    is_hidden_at_home = path.startswith(os.path.join(home, "."))
    below = (path == tree or path.startswith(tree + "/") for tree in _TREES)
    return path in (*_FOLDERS, home) or home.startswith(path + "/") or is_hidden_at_home or any(below)


def elsewhere(parameter: str) -> str:
    """Return which of the shipped executors have a parameter, as the end of a sentence."""
    names = [f'"{name}"' for name in _having(parameter)]
    return f"executor_type={' or '.join(names)} has it" if names else "no executor has it"


def _having(parameter: str) -> Iterator[str]:
    registry = import_module("pinjra.executors.registry")
    for name in registry.BUILTIN:
        try:
            cls = registry.executor_class(name)
        except ImportError:  # of another system, or its extra is not installed
            continue
        if parameter in getattr(cls, "ACCESS", ()):
            yield name


def links_to(mounts: Iterable[tuple[str, Mount]]) -> tuple[str, ...]:
    """Return the links by which the scratch folder shows what is at its name below `MOUNTS`."""
    return tuple(f"{name}={MOUNTS}/{name}" for name, _ in mounts)
