"""The command `pinjra`: words of a shell -> the library, and exit statuses back.

Nothing heavy is imported before a command is chosen, so that `pinjra --help` is quick.

| exit status | meaning |
| --- | --- |
| 0 | done |
| 1 | the guest failed (its exception, a refused operation), or the run ended without an answer |
| 2 | bad input: an unknown name, a missing file, key or package |
| 3 | a limit was reached |
| 4 | the host, a provider or a model failed |
| 130 | interrupted |
"""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

import click

from pinjra.core.nearest import nearest

GUEST_FAILED, WRONG_INPUT, LIMIT_REACHED, FAILED, INTERRUPTED = 1, 2, 3, 4, 130

# Name -> where the command is, and its line in the help.
_COMMANDS = {
    "run": ("pinjra.cli.run:run", "Let an agent work on a task."),
    "exec": ("pinjra.cli.execute:execute", "Run a program in an executor."),
    "shell": ("pinjra.cli.shell:shell", "Type into a session."),
    "doctor": (
        "pinjra.cli.doctor:doctor",
        "Say what this machine supports, and what to install for the rest.",
    ),
    "models": ("pinjra.cli.models:models", "List and fetch embedded models."),
    "mcp": ("pinjra.cli.mcp:mcp", "Serve sandboxed Python to MCP clients."),
    "score": (
        "pinjra.cli.score:score",
        "Judge programs on problems: HumanEval, MBPP, standard input and output.",
    ),
    "serve": ("pinjra.cli.serve:serve", "Serve sandboxed sessions over HTTP."),
    "ui": ("pinjra.cli.serve:ui", "Watch and steer agents in the browser."),
    "replay": ("pinjra.cli.run:replay", "Show a saved run again."),
}


class _LazyGroup(click.Group):
    """A group whose commands are imported when they are named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] == "help":  # as git and pip have it
            args = [*args[1:], "--help"]
            if args == ["--help"]:
                print(ctx.get_help())
                ctx.exit()
        if args[0] not in _COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}; {nearest(args[0], _COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, words) for name, (_, words) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="pinjra", message="%(prog)s %(version)s")
def cli() -> None:
    """Run the Python that AI agents write, without trusting it."""


def main() -> None:
    """Run the command line and leave with its exit status."""
    # The kernel has no default for the first process of a container: it would not stop when asked.
    if os.getpid() == 1:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(128 + signal.SIGTERM))
    _make_writable()
    status = _run(sys.argv[1:])
    sys.exit(_flushed(status))


def _make_writable() -> None:
    """Let every text be written: to closed streams nowhere, to those of few characters with the others spelled out."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 (for as long as the process lives)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _flushed(status: int) -> int:
    """Return the exit status when everything is written; a full disk is told and not left to the interpreter's end."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        sys.stdout = None
        return (
            status
            if isinstance(error, BrokenPipeError)
            else _told(f"the output cannot be written: {error}", FAILED)
        )
    return status


def _run(arguments: list[str]) -> int:
    """Return the exit status; every expected failure is one clear line on stderr."""
    from pinjra.core.errors import ConfigurationError, PinjraError

    try:
        status = cli.main(arguments, prog_name="pinjra", standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        print(error.format_message())
        return 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "pinjra"
        return _told(f"{error.format_message()} (see {path} --help)", WRONG_INPUT)
    except click.ClickException as error:
        return _told(error.format_message(), WRONG_INPUT)
    except (click.Abort, KeyboardInterrupt):
        return _told("interrupted", INTERRUPTED)
    except ConfigurationError as error:
        return _told(str(error), WRONG_INPUT)
    except PinjraError as error:
        return _told(str(error), FAILED)
    except BrokenPipeError:  # the reader of our output has gone: nobody is left to tell
        sys.stdout = None
        return GUEST_FAILED
    except OSError as error:
        sys.stdout = None
        return _told(f"input or output failed: {error}", FAILED)
    return status if isinstance(status, int) else 0


def _told(message: str, status: int) -> int:
    from pinjra.cli.access_options import here
    from pinjra.ui.clean import clean

    print(f"pinjra: {' '.join(clean(message + here(message, _options())).split())}", file=sys.stderr)
    return status


def _options() -> set[str]:
    """Return the options of the command that was given."""
    name = next((word for word in sys.argv[1:] if word in _COMMANDS), "")
    command = cli.get_command(click.Context(cli), name)
    return {option for each in command.params for option in each.opts} if command is not None else set()
