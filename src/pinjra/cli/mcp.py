"""`pinjra mcp`: serves sandboxed Python to any MCP client."""

from __future__ import annotations

from typing import Any

import click

from pinjra.cli.options import executor_options, limits_of, names

__all__ = ["mcp"]


@click.command()
@executor_options
@click.option(
    "--http",
    metavar="HOST:PORT",
    help="Streamable HTTP at this address instead of standard input and output.",
)
def mcp(
    executor: str | None, imports: str, wall_seconds: float | None, memory_mib: int | None, http: str | None
) -> None:
    """Serve `run_python` (stateful sessions, files, limits, images) over the Model Context Protocol."""
    from pinjra.server.mcp import serve

    limits = limits_of(wall_seconds, memory_mib)
    options: dict[str, Any] = {} if limits is None else {"limits": limits}
    serve(executor_type=executor, authorized_imports=names(imports), executor_kwargs=options, http=http)
