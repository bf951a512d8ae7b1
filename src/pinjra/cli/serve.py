"""`pinjra serve` and `pinjra ui`: the service over HTTP, for many clients, or for one user of this machine in the browser."""

from __future__ import annotations

import sys
import webbrowser
from typing import Any

import click

from pinjra.cli.options import chosen_model, listed, names
from pinjra.core.errors import MissingDependency

_PORT = click.IntRange(0, 65535)
_SECONDS = click.FloatRange(min=0, min_open=True)
_INSTALL = "pip install 'pinjra[serve]'"


@click.command()
@click.option(
    "--config",
    multiple=True,
    metavar="FILE",
    help="Settings as TOML; may be repeated, a later file goes before an "
    "earlier one, and the options below before them all.",
)
@click.option(
    "--host", metavar="ADDRESS", help="127.0.0.1 unless given; another one needs a tenant with a token."
)
@click.option("--port", type=_PORT, help="8700 unless given.")
@click.option("--executor", metavar="NAME", help="Where sessions run: jail unless given.")
@click.option("--sessions", type=click.IntRange(min=1), help="Open at one time, all tenants together.")
@click.option(
    "--idle",
    "idle_seconds",
    type=_SECONDS,
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
@listed("--warm", metavar="A,B", help="Modules that the warm jail of /run_code has loaded.")
def serve(config: tuple[str, ...], models: tuple[str, ...], trace: bool, warm: str, **options: Any) -> None:  # fmt: skip
    """Serve sandboxed sessions over HTTP: the native API below /v1, SandboxFusion's, E2B's, and OpenAI's
    chat completions for models.

    On loopback anybody of this machine may use it. With tenants in the settings, clients send their token as
    "Authorization: Bearer …".
    """
    try:
        from pinjra.server.http.app import serve as run
        from pinjra.server.http.settings import load_settings
    except ImportError as error:
        raise MissingDependency(error.name or "the service", _INSTALL) from error
    options |= {
        "models": {name: name for name in models} or None,
        "traces": trace or None,
        "warm_imports": tuple(names(warm)) or None,
    }
    run(load_settings(config, options), lambda address: print(f"Pinjra is at {address}", file=sys.stderr))


@click.command()
@click.option("--model", metavar="NAME", help="Of the agent: as `pinjra run --model`.")
@click.option("--executor", metavar="NAME", help="Where code runs; the default of this system unless given.")
@listed("--imports", metavar="A,B", help="Modules that its code may import, too.")
@listed("--tools", metavar="A,B", help="Of visit_webpage, web_search, wikipedia.")
@click.option("--max-steps", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--config", metavar="FILE", help="Agents of a TOML file, as of `pinjra serve`.")
@click.option("--port", type=_PORT, default=0, help="A free one unless given.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def ui(
    model: str | None, imports: str, tools: str, max_steps: int, config: str | None, no_browser: bool, **options: Any
) -> None:  # fmt: skip
    """Watch and steer agents, and work in sessions, in the browser. The address holds a token: it is yours alone."""
    try:
        from pinjra.server.http.app import serve as run
        from pinjra.server.http.settings import settings_for_one
    except ImportError as error:
        raise MissingDependency(error.name or "the service", _INSTALL) from error
    agent: dict[str, Any] | None = None
    if model is not None or config is None:
        given = {"tools": tuple(names(tools)), "authorized_imports": tuple(names(imports))}
        agent = {"model": chosen_model(model), "max_steps": max_steps, **given}
    settings = settings_for_one(config, agent, **options)

    def tell(address: str) -> None:
        page = f"{address}/#token={settings.tenants['you'].token}"
        print(f"Pinjra is at {page}", flush=True)
        if not no_browser:
            webbrowser.open(page)

    run(settings, tell)
