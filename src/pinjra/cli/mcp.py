"""`pinjra mcp`: serves sandboxed Python to any MCP client."""

from __future__ import annotations

import os
from typing import Any

import click

from pinjra.cli.options import executor_options, limits_of, names

__all__ = ["mcp"]


@click.command()
@executor_options
@click.option(
    "--http", metavar="HOST:PORT", help="Streamable HTTP here instead of standard input and output."
)
@click.option(
    "--allow-host", multiple=True, metavar="NAME:PORT", help="Host header to accept besides loopback's."
)
@click.option("--max-sessions", type=click.IntRange(min=1), default=16, show_default=True)
def mcp(
    executor: str | None,
    imports: str,
    wall_seconds: float | None,
    memory_mib: int | None,
    http: str | None,
    allow_host: tuple[str, ...],
    max_sessions: int,
) -> None:
    """Serve `run_python` (stateful sessions, files, limits, images) over the Model Context Protocol.

    HTTP clients must send the token of the environment variable PINJRA_MCP_TOKEN; only on loopback may there be none.
    """
    from pinjra.executors.registry import default_executor
    from pinjra.server.mcp import serve

    options: dict[str, Any] = {}
    if (limits := limits_of(wall_seconds, memory_mib)) is not None:
        options["limits"] = limits
    if http is not None:
        options["host"], options["port"] = _address(http)
    serve(
        "stdio" if http is None else "http",
        executor=executor or default_executor(),
        authorized_imports=names(imports),
        token=os.environ.get("PINJRA_MCP_TOKEN")
        or None,  # not an option: other users can read a command line
        allow_hosts=allow_host,
        max_sessions=max_sessions,
        **options,
    )


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise click.UsageError(f"--http must be HOST:PORT, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)
