"""What gets into and out of a box besides values: programs, hosts, packages, folders, environment. Parsed once, then trusted."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict

from pinjra.core.errors import ConfigurationError

_PROGRAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9_-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9_-]*[a-z0-9])?)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._ -]{0,99}")
_VOLUMES = ("persistentVolumeClaim", "configMap", "emptyDir", "hostPath")  # as a pod's manifest calls them


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder (or file) of this machine, or a volume of a cluster, shown in the box.

    Args:
        path: On this machine; or "persistentVolumeClaim:NAME", "configMap:NAME", "emptyDir:SIZE", "hostPath:PATH" of a node.
        writable: The guest may change it. What it writes there is not rolled back and not counted by `Limits.disk_bytes`.
        dangerous: Show it even where it is a home folder, `/`, `/etc` or the like.
    """

    path: str
    writable: bool = False
    dangerous: bool = False

    @property
    def volume(self) -> str:
        """Return which kind of a cluster's volume it is; "" for a folder of this machine."""
        kind, colon, _ = self.path.partition(":")
        return kind if colon and kind in _VOLUMES else ""


class AccessOptions(TypedDict, total=False):
    """The parameters as a user writes them; the same ones on `sandbox()` and on every executor."""

    programs: str | Iterable[str]
    network: bool | str | Iterable[str]
    secrets: Mapping[str, Mapping[str, str]]
    packages: Iterable[str]
    mounts: Mapping[str, str | os.PathLike[str] | Mount]
    env: Mapping[str, str]
    python_path: Iterable[str | os.PathLike[str]]


PARAMETERS = tuple(AccessOptions.__annotations__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The same, checked, and hashable, so that it can be the key of a pool.

    Args:
        programs: Names to be found on the machine's PATH; ("*",): whatever is installed.
        open_network: The guest may open internet sockets to anywhere.
        hosts: Patterns "name:port" of what it may reach through the proxy; "*.name" is every name below.
        secrets: (host, ((header, value), …)): added on the host's side, never in the box.
        packages: Requirements as pip writes them.
        mounts: (name in the scratch folder, what is there).
        env: "NAME=value".
        python_path: Absolute folders with the user's own modules.
        inodes: (device, number) of each path of the two: what is made anew at a path is something else, for a pool too.
    """

    programs: tuple[str, ...] = ()
    open_network: bool = False
    hosts: tuple[str, ...] = ()
    secrets: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = field(default=(), repr=False)
    packages: tuple[str, ...] = ()
    mounts: tuple[tuple[str, Mount], ...] = ()
    env: tuple[str, ...] = ()
    python_path: tuple[str, ...] = ()
    inodes: tuple[tuple[int, int], ...] = ()

    @property
    def asked(self) -> tuple[str, ...]:
        """Return the names of the parameters that ask for something."""
        values = {"network": self.open_network or self.hosts}
        return tuple(name for name in PARAMETERS if values.get(name) or getattr(self, name, ()))


def parse_access(given: AccessOptions) -> Access:
    """Return what the parameters ask for.

    Raises:
        ConfigurationError: One of them is not what it must be (the caller's fault); says which.
    """
    network = given.get("network", False)
    hosts = () if isinstance(network, bool) else tuple(map(_host, _texts("network", network)))
    mounts = tuple(_mount(name, what) for name, what in given.get("mounts", {}).items())
    python_path = tuple(map(_folder, given.get("python_path", ())))
    return Access(
        programs=_programs(given.get("programs", ())),
        open_network=network is True,
        hosts=tuple(dict.fromkeys(hosts)),
        secrets=_secrets(given.get("secrets", {}), hosts),
        packages=tuple(dict.fromkeys(_texts("packages", given.get("packages", ())))),
        mounts=mounts,
        env=tuple(_variable(name, value) for name, value in given.get("env", {}).items()),
        python_path=python_path,
        inodes=tuple(map(_inode, [*(mount.path for _, mount in mounts if not mount.volume), *python_path])),
    )


def is_system_text(value: object) -> bool:
    """Return whether it is a text that the system can have as a path or a variable: it ends at no NUL, and can be encoded."""
    try:
        return isinstance(value, str) and b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _texts(parameter: str, value: object) -> tuple[str, ...]:
    """Return a text alone, or several, as a tuple."""
    items = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (None,)
    texts = tuple(item.strip() for item in items if isinstance(item, str) and item.isprintable())
    if len(texts) < len(items) or not all(texts):
        raise ConfigurationError(f"{parameter}= wants texts, not {value!r:.200}")
    return texts


def _programs(value: object) -> tuple[str, ...]:
    names = tuple(sorted(set(_texts("programs", value))))
    if "*" in names:
        return ("*",)
    for name in names:
        if not _PROGRAM.fullmatch(name):
            raise ConfigurationError(
                f'programs= wants names like "git" that are on the PATH, or "*", not {name!r}'
            )
    return names


def _host(text: str) -> str:
    """Return "name:port"; without a port it is 443 and 80, said as "name:"."""
    name, colon, port = text.lower().rstrip(".").partition(":")
    is_port = not colon or (re.fullmatch("[0-9]{1,5}", port) and 0 < int(port) < 65536)
    if not is_port or len(name) > 253 or not _HOST.fullmatch(name):
        raise ConfigurationError(
            f'network= wants hosts like "api.github.com", "*.wikipedia.org:443" or "127.0.0.1:8080", not {text!r}; '
            "True opens the whole network"
        )
    return f"{name}:{port}"


def _secrets(
    value: Mapping[str, Mapping[str, str]], hosts: tuple[str, ...]
) -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    found = []
    for host, headers in value.items():
        pattern = _host(host)
        if pattern not in hosts:
            why = "which network= does not: add it there with the same words"
            raise ConfigurationError(f"secrets= names {host!r}, {why}")
        for name, text in headers.items():
            if not _HEADER.fullmatch(name) or not isinstance(text, str) or not text.isprintable():
                raise ConfigurationError(f"secrets= for {host!r}: {name!r} has no text of one line")
        found.append((pattern, tuple(headers.items())))
    return tuple(found)


def _mount(name: str, what: object) -> tuple[str, Mount]:
    if not isinstance(name, str) or not _FOLDER.fullmatch(name):
        raise ConfigurationError(f"mounts= wants a plain name in the scratch folder, not {name!r}")
    mount = Mount(os.fspath(what)) if isinstance(what, (str, os.PathLike)) else what
    if not isinstance(mount, Mount):
        raise ConfigurationError(f"mounts= wants a path or a Mount for {name!r}, not {what!r:.200}")
    if mount.volume:
        return name, replace(mount, writable=mount.writable or mount.volume == "emptyDir")
    path = os.path.realpath(os.path.expanduser(mount.path)) if is_system_text(mount.path) else ""
    if not os.path.exists(path):
        raise ConfigurationError(f"mounts= for {name!r}: there is no {mount.path!r}")
    return name, Mount(path, mount.writable, mount.dangerous)


def _folder(path: object) -> str:
    if not isinstance(path, (str, os.PathLike)) or not is_system_text(os.fspath(path)):
        raise ConfigurationError(f"python_path= wants paths of folders, not {path!r:.200}")
    found = os.path.abspath(os.path.expanduser(path))
    if not os.path.exists(found):
        raise ConfigurationError(f"python_path=: there is no folder {os.fspath(path)!r}")
    return found


def _inode(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _variable(name: str, value: object) -> str:
    if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
        raise ConfigurationError(f"env= wants names of variables, not {name!r}")
    if not is_system_text(value):
        raise ConfigurationError(f"env= wants a text for {name!r}, not {value!r:.200}")
    return f"{name}={value}"
