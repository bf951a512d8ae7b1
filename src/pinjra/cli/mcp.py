"""`pinjra mcp`: serves sandboxed Python to any MCP client."""

from __future__ import annotations

from typing import Any

import click

from pinjra.cli.access_options import access_options
from pinjra.cli.options import given_file_option


@click.command()
@access_options
@given_file_option
@click.option(
    "--http",
    metavar="[HOST:]PORT",
    help="Streamable HTTP at this address instead of standard input and output.",
)
@click.option(
    "--sessions", type=click.IntRange(min=1), default=16, show_default=True, help="Sessions open at one time."
)
@click.option(
    "--idle",
    "idle_seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=1800.0,
    metavar="SECONDS",
    show_default=True,
    help="A session that nobody used for so long is closed.",
)
def mcp(
    executor: str | None,
    imports: list[str],
    http: str | None,
    sessions: int,
    idle_seconds: float,
    files: tuple[str, ...],
    access: dict[str, Any],
) -> None:
    """Serve `run_python` (stateful sessions, files, limits, images) over the Model Context Protocol.

    Over HTTP, clients must send the token in PINJRA_MCP_TOKEN, if it is set, as "Authorization: Bearer …"; it must be
    set where other machines can reach the address.
    """
    import os

    from pinjra.server.mcp import serve

    options: dict[str, Any] = {"authorized_imports": imports, "max_sessions": sessions}
    options["idle_seconds"] = idle_seconds
    if limits := access.pop("limits", None):
        options["limits"] = limits
    options["executor_kwargs"] = {**access, "files": files} if files else access
    if executor is not None:
        options["executor"] = executor
    if http is None:
        serve("stdio", **options)
    else:
        host, port = _address(http)
        serve("http", host=host, port=port, token=os.environ.get("PINJRA_MCP_TOKEN") or None, **options)


def _address(text: str) -> tuple[str, int]:
    """Return host and port of "8000", "127.0.0.1:8000" or "[::1]:8000"."""
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.BadParameter(f"{text!r} is no [HOST:]PORT", param_hint="'--http'")
    return host.strip("[]") or "127.0.0.1", int(port)
