"""Patterns of hosts and what a name resolves to -> the one address to connect to, or the reason why not. No state."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from pinjra.core.addresses import why_refused

DEFAULT_PORTS = (443, 80)  # of a pattern that names no port
_OWN_NETWORK = ("loopback", "private", "benchmarking")  # kinds of addresses that the user can have meant

Resolve = Callable[[str, int], Sequence[str]]
"""Name and port -> addresses as text."""


class Refused(Exception):
    """The guest asked for what `network=` does not allow; the text says so."""


def look_up(name: str, port: int) -> list[str]:
    """Return the addresses of a name, as this machine resolves it.

    Raises:
        OSError: It cannot be resolved.
    """
    found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


@dataclass(frozen=True)
class Pattern:
    """One entry of `network=`.

    Args:
        name: Lower case; "*.name" is every name below it.
        port: None: the default ones.
    """

    name: str
    port: int | None

    def has_name(self, name: str) -> bool:
        """Return whether it speaks of `name`."""
        if self.name.startswith("*."):
            return name.endswith(self.name[1:])
        return name == self.name

    @property
    def ports(self) -> tuple[int, ...]:
        """Return the ports that it speaks of."""
        return (self.port,) if self.port else DEFAULT_PORTS

    def allows(self, name: str, port: int) -> bool:
        """Return whether it allows a connection."""
        return self.has_name(name) and port in self.ports

    @property
    def may_be_private(self) -> bool:
        """Return whether an address inside of somebody's network will do: the user wrote one host and its port."""
        return self.port is not None and not self.name.startswith("*.")


class Rules:
    """All entries of one box.

    Args:
        patterns: "name:port", "name:" as `core.access` writes them.
    """

    def __init__(self, patterns: Iterable[str], resolve: Resolve = look_up) -> None:
        self._patterns = [Pattern(name, int(port) if port else None) for name, _, port in
                          (pattern.partition(":") for pattern in patterns)]  # fmt: skip
        self._resolve = resolve

    @property
    def ports(self) -> tuple[int, ...]:
        """Return all ports that some host may be reached at."""
        return tuple(sorted({port for each in self._patterns for port in each.ports}))

    @property
    def addresses(self) -> tuple[str, ...]:
        """Return the names that are addresses of themselves."""
        return tuple(each.name for each in self._patterns if is_address(each.name))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names that are written out."""
        exact = (each.name for each in self._patterns if not each.name.startswith("*."))
        return tuple(dict.fromkeys(name for name in exact if not is_address(name)))

    def knows(self, name: str) -> bool:
        """Return whether some entry speaks of `name`, whatever the port."""
        return any(each.has_name(name) for each in self._patterns)

    def check(self, name: str, port: int) -> None:
        """Raise `Refused` where a connection to this host is not allowed."""
        if not any(each.allows(name, port) for each in self._patterns):
            raise Refused(f"{name}:{port} is not allowed: add it to network=")

    def resolve(self, name: str, port: int) -> list[str]:
        """Return the addresses to try, each one checked; they are connected to as they are, never resolved again.

        Raises:
            Refused: It is not allowed, or no address of it is one of the internet.
            OSError: The name cannot be resolved.
        """
        self.check(name, port)
        if is_address(name):  # an address that the user wrote
            return [name]
        found = list(self._resolve(name, port))
        is_private_right = any(each.may_be_private for each in self._patterns if each.allows(name, port))
        # SECURITY: whoever owns a name chooses its address, and anew each time (DNS rebinding)
        kept = [one for one in found if _may_be_reached(one, is_private_right=is_private_right)]
        if not kept:
            raise Refused(
                f"{name}:{port} leads to {', '.join(found[:3]) or 'nothing'}, which is not of the internet; "
                f'for a host of your own network write its port too: network=["{name}:{port}"]'
            )
        return kept


def is_address(name: str) -> bool:
    """Return whether a name is an address of IPv4."""
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def _may_be_reached(address: str, *, is_private_right: bool) -> bool:
    # SECURITY: link-local, for one, is where clouds keep the credentials of a machine
    kind = why_refused(address)
    return not kind or (is_private_right and kind in _OWN_NETWORK)
