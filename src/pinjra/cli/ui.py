"""`pinjra ui`: agents and sessions in the browser, for one user of this machine."""

from __future__ import annotations

import webbrowser
from typing import Any

import click

from pinjra.cli.options import chosen_model, names

__all__ = ["ui"]


@click.command()
@click.option("--model", metavar="NAME", help="Of the agent: as `pinjra run --model`.")
@click.option("--executor", metavar="NAME", help="Where code runs; the default of this system unless given.")
@click.option("--imports", default="", metavar="A,B", help="Modules that its code may import, too.")
@click.option("--tools", default="", metavar="A,B", help="Of visit_webpage, web_search, wikipedia.")
@click.option("--max-steps", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--config", metavar="FILE", help="Agents of a TOML file, as of `pinjra serve`.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="A free one unless given.")
@click.option("--no-browser", is_flag=True, help="Only print the address.")
def ui(
    model: str | None,
    executor: str | None,
    imports: str,
    tools: str,
    max_steps: int,
    config: str | None,
    port: int,
    no_browser: bool,
) -> None:
    """Watch and steer agents, and work in sessions, in the browser. The address holds a token: it is yours alone."""
    from pinjra.core.errors import MissingDependency

    try:
        from pinjra.server.http.app import serve
        from pinjra.server.http.for_one import settings_for_one
    except ImportError as error:
        raise MissingDependency(error.name or "the service", "pip install 'pinjra[serve]'") from error
    agent: dict[str, Any] | None = None
    if model is not None or config is None:
        agent = {
            "model": chosen_model(model),
            "tools": tuple(names(tools)),
            "authorized_imports": tuple(names(imports)),
            "max_steps": max_steps,
        }
    settings = settings_for_one(config, agent, port=port, executor=executor)

    def tell(address: str) -> None:
        page = f"{address}/#token={settings.tenants['you'].token}"
        print(f"Pinjra is at {page}", flush=True)
        if not no_browser:
            webbrowser.open(page)

    serve(settings, tell)
