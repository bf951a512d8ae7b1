"""What is asked for and what an executor has -> nothing, or an error that names one that has it."""

from __future__ import annotations

from collections.abc import Collection

from pinjra.core.access import Access
from pinjra.core.errors import ConfigurationError

__all__ = ["check_can", "open_network"]

_ELSEWHERE = 'executor_type="jail" (Linux) has it'


def check_can(executor: str, has: Collection[str], access: Access) -> None:
    """Return when the class of that name has all that is asked for.

    Raises:
        ConfigurationError: It has not (the caller's fault).
    """
    for name in access.asked:
        if name not in has:
            raise ConfigurationError(f"{executor} has no {name}=; {_ELSEWHERE}")


def open_network(executor: str, network: object) -> bool:
    """Return whether a backend that knows all or nothing is to open its network.

    Raises:
        ConfigurationError: Single hosts were named (the caller's fault).
    """
    if not isinstance(network, bool):
        raise ConfigurationError(
            f"{executor} knows network=True or False only, not single hosts ({network!r:.200}); {_ELSEWHERE}"
        )
    return network
