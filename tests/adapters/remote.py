"""Adapters of executors that need a daemon or a server, for the attack harness. The environment says where these are.

PINJRA_TEST_IMAGE: an image with the packages that the attacks import. DOCKER_HOST, E2B_API_URL, E2B_SANDBOX_URL, E2B_API_KEY: as
docker and E2B take them. Hand all of them to the harness's hosts with --pass-env.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from harness import Adapter, limits_of


def make_docker(imports: list[str], tools: dict[str, Callable[..., Any]], limits: dict[str, Any]) -> Adapter:
    """Return a session in a container."""
    from pinjra.executors.containers.docker import DockerExecutor

    image = os.environ.get("PINJRA_TEST_IMAGE")
    return Adapter(DockerExecutor(imports, image=image, limits=limits_of(limits)), tools, raises=False)


def make_docker_unguarded(
    imports: list[str], tools: dict[str, Callable[..., Any]], limits: dict[str, Any]
) -> Adapter:
    """Return a session in a container with plain CPython: the container alone must hold."""
    from pinjra.executors.containers.docker import DockerExecutor

    image = os.environ.get("PINJRA_TEST_IMAGE")
    executor = DockerExecutor(imports, image=image, limits=limits_of(limits), guard=False)
    return Adapter(executor, tools, raises=False)


def make_e2b(imports: list[str], tools: dict[str, Callable[..., Any]], limits: dict[str, Any]) -> Adapter:
    """Return a session in a sandbox of E2B, or of its stand-in: there nothing is installed."""
    from pinjra.executors.remote.e2b import E2BExecutor

    is_standin = "127.0.0.1" in os.environ.get("E2B_API_URL", "")
    executor = E2BExecutor(imports, install=not is_standin, limits=limits_of(limits))
    return Adapter(executor, tools, raises=False)
