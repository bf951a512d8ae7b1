"""Options that say where code runs and what gets into its box (`--wall`, `--program`, …) -> parameters of executors."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Container, Iterable
from string import Template
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pinjra.cli.options import listed, names

if TYPE_CHECKING:
    from pinjra.core.limits import Limits

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option("--executor", metavar="NAME", help="jail, local, docker, …; the default of this system unless given."),
    listed("--imports", metavar="A,B", help="Modules that code may import besides the default list."),
    click.option("--wall", "wall_seconds", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS",
                 help="Longest time of one step."),
    click.option("--memory", "memory_mib", type=click.IntRange(min=1), metavar="MIB", help="Memory of the guest."),
    *(
        click.option(option, name, multiple=True, metavar=metavar, help=words)
        for option, name, metavar, words in (
            ("--program", "programs", "NAME", 'A program that code may start; "*" for all.'),
            ("--allow-host", "hosts", "HOST[:PORT]", "A host that code may reach; *.NAME for all below."),
            ("--secret", "secrets", "HOST=HEADER: VALUE", "A header added outside the box; $NAME is a variable."),
            ("--package", "packages", "NAME==VERSION", "A package for code, from wheels."),
            ("--mount", "mounts", "NAME=PATH[:rw]", "A folder that code sees, read-only without :rw."),
            ("--env", "env", "NAME=VALUE", "A variable of the environment."),
            ("--python-path", "python_path", "DIR", "A folder with modules of your own; code can read all of it."),
        )
    ),
    click.option("--no-guard", is_flag=True, help="Plain CPython, where there is a wall."),
)  # fmt: skip


# What messages call a parameter -> the option that gives it.
_HERE = {
    "programs=": "--program",
    "network=": "--allow-host",
    "secrets=": "--secret",
    "packages=": "--package",
    "mounts=": "--mount",
    "env=": "--env",
    "python_path=": "--python-path",
    "files=": "--file",
    "authorized_imports": "--imports",
    "is not authorised": "--imports",
    "memory_bytes": "--memory",
    "wall_seconds": "--wall",
    "language=": "--language",
}


def here(message: str, known: Container[str] = frozenset(_HERE.values())) -> str:
    """Return what a message's parameters are called on the command line, as an addition to it; "" for none.

    Args:
        known: The options that the command has.
    """
    options = dict.fromkeys(
        option
        for words, option in _HERE.items()
        if words in message and option not in message and option in known
    )
    return f" (here: {', '.join(options)})" if options else ""


def access_options(command: F) -> F:
    """Add the options; the command gets `executor`, `imports` as a list, and the rest as `access`, parameters of an executor."""

    @functools.wraps(command)
    def with_access(
        *args: Any,
        imports: str,
        wall_seconds: float | None,
        memory_mib: int | None,
        programs: tuple[str, ...],
        hosts: tuple[str, ...],
        secrets: tuple[str, ...],
        packages: tuple[str, ...],
        mounts: tuple[str, ...],
        env: tuple[str, ...],
        python_path: tuple[str, ...],
        no_guard: bool,
        **options: Any,
    ) -> Any:
        access: dict[str, object] = {
            "limits": _limits(wall_seconds, memory_mib),
            "programs": programs,
            "network": hosts,
            "secrets": _secrets(secrets),
            "packages": packages,
            "mounts": {name: _mount(path) for name, path in _pairs("--mount", "NAME=PATH", mounts)},
            "env": dict(_pairs("--env", "NAME=VALUE", env)),
            "python_path": python_path,
        }
        given = {name: value for name, value in access.items() if value}
        if no_guard:
            given["guard"] = False
        return command(*args, imports=names(imports), access=given, **options)

    for option in reversed(_OPTIONS):
        option(with_access)
    return with_access  # type: ignore[return-value]  # the same command with more options


def _limits(wall_seconds: float | None, memory_mib: int | None) -> Limits | None:
    """Return the limits that the options ask for; None where they ask for none."""
    from pinjra.core.limits import Limits

    wanted = {"wall_seconds": wall_seconds, "memory_bytes": memory_mib and memory_mib << 20}
    given: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
    return Limits(**given) if given else None


def _pairs(option: str, form: str, texts: Iterable[str]) -> list[tuple[str, str]]:
    found = [text.partition("=") for text in texts]
    for name, equals, _ in found:
        if not name or not equals:
            shown = "" if option == "--secret" else f", not {name!r}"
            raise click.UsageError(f"{option} wants {form}{shown}")
    return [(name, value) for name, _, value in found]


def _secrets(texts: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return host -> header -> value; what a variable holds is on no command line, which others of this machine can list."""
    found: dict[str, dict[str, str]] = {}
    for host, header in _pairs("--secret", "HOST=HEADER: VALUE", texts):
        name, colon, value = header.partition(":")
        if not colon:
            raise click.UsageError(f"--secret for {host} wants HOST=HEADER: VALUE")
        try:
            found.setdefault(host, {})[name.strip()] = Template(value.strip()).substitute(os.environ)
        except KeyError as error:
            raise click.UsageError(f"--secret for {host}: there is no variable {error.args[0]}") from None
        except ValueError:
            raise click.UsageError(f"--secret for {host}: write $$ for a dollar sign") from None
    return found


def _mount(text: str) -> object:
    from pinjra.core.access import Mount

    path, is_writable = (text[: -len(":rw")], True) if text.endswith(":rw") else (text, False)
    return Mount(path, writable=is_writable)
