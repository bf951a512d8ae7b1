"""`pinjra serve`: one machine's sessions for many clients, over HTTP."""

from __future__ import annotations

import sys

import click

from pinjra.cli.options import names

__all__ = ["serve"]


@click.command()
@click.option(
    "--config",
    multiple=True,
    metavar="FILE",
    help="Settings as TOML; may be repeated, a later file goes before an earlier one, and the options below before them all.",
)
@click.option(
    "--host", metavar="ADDRESS", help="127.0.0.1 unless given; another one needs a tenant with a token."
)
@click.option("--port", type=click.IntRange(0, 65535), help="8700 unless given.")
@click.option("--executor", metavar="NAME", help="Where sessions run: jail unless given.")
@click.option("--sessions", type=click.IntRange(min=1), help="Open at one time, all tenants together.")
@click.option(
    "--idle",
    "idle_seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="A session that nobody used for so long is closed.",
)
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME",
    help="A model for clients of OpenAI's API; may be repeated.",
)
@click.option("--trace", is_flag=True, help="Send OpenTelemetry's spans, as its environment variables say.")
@click.option("--warm", default="", metavar="A,B", help="Modules that the warm jail of /run_code has loaded.")
def serve(
    config: tuple[str, ...],
    host: str | None,
    port: int | None,
    executor: str | None,
    sessions: int | None,
    idle_seconds: float | None,
    models: tuple[str, ...],
    trace: bool,
    warm: str,
) -> None:  # fmt: skip
    """Serve sandboxed sessions over HTTP: the native API below /v1, SandboxFusion's, E2B's, and OpenAI's
    chat completions for models.

    On loopback anybody of this machine may use it. With tenants in the settings, clients send their token as
    "Authorization: Bearer …".
    """
    from pinjra.core.errors import MissingDependency

    try:
        from pinjra.server.http.app import serve as run
        from pinjra.server.http.settings import load_settings
    except ImportError as error:
        raise MissingDependency(error.name or "the service", "pip install 'pinjra[serve]'") from error
    options = {
        "host": host,
        "port": port,
        "executor": executor,
        "sessions": sessions,
        "idle_seconds": idle_seconds,
        "models": {name: name for name in models} or None,
        "traces": trace or None,
        "warm_imports": tuple(names(warm)) or None,
    }
    run(load_settings(config, options), lambda address: print(f"Pinjra is at {address}", file=sys.stderr))
