"""Every example of README and the documentation runs; every command that they name exists."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest

from pinjra.cli import cli
from pinjra.core.errors import ExecutorUnavailable
from pinjra.executors.registry import create_executor

from .conftest import Prepare
from .examples import Block, blocks, run_block

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "hi").glob("*.md")),
]


def _title(page: Path) -> str:
    return page.relative_to(ROOT).as_posix().removeprefix("docs/")


PYTHON = [page for page in PAGES if any(block.kind == "python" for block in blocks(page))]
# Inline code that names the command with what follows it: `pinjra mcp --http 8765`.
_INLINE = re.compile(r"`((?:pinjra|scripts/|pip install )[^`\n]*)`")


@pytest.mark.parametrize("page", PYTHON, ids=_title)
def test_every_example_of_a_page_runs_and_prints_what_it_says(
    page: Path, prepare: dict[str, Prepare], request: pytest.FixtureRequest
) -> None:
    examples = [block for block in blocks(page) if block.kind == "python" and not block.reason]
    if any("jail" in block.text.lower() for block in examples):
        _needs_jail()
    namespace: dict[str, Any] = {"__name__": "examples"}
    if page.name in prepare:
        namespace |= prepare[page.name]()
    try:
        for block in examples:
            run_block(page, _on_loopback(block, request), namespace)
    finally:
        for made in namespace.values():
            if isinstance(made, _closable()):
                made.close()
            elif isinstance(made, Path) and made.parent == Path(tempfile.gettempdir()):
                shutil.rmtree(made)


def test_the_first_program_answers_from_the_page(
    prepare: dict[str, Prepare], request: pytest.FixtureRequest
) -> None:
    _needs_jail()
    first = next(block for block in blocks(ROOT / "README.md") if "CodeAgent(" in block.text)
    namespace = prepare["README.md"]()
    run_block(ROOT / "README.md", first, namespace)
    with namespace["agent"] as agent:
        assert agent.memory.steps[-1].action_output == "**Fido**."


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    lines = [line for block in blocks(page) if block.kind == "bash" for line in block.text.splitlines()]
    for line in [*lines, *_INLINE.findall(page.read_text("utf-8"))]:
        words = shlex.split(line, comments=True)
        if words:
            assert _problem(words) == "", f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_every_block_of_json_is_json_and_its_command_exists(page: Path) -> None:
    for block in blocks(page):
        if block.kind == "json":
            for server in json.loads(block.text)["mcpServers"].values():
                assert _problem([server["command"], *server["args"]]) == ""


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_every_block_of_toml_is_settings_that_the_service_takes(page: Path) -> None:
    for block in blocks(page):
        if block.kind == "toml":
            from pinjra.server.http.settings import ServeSettings

            ServeSettings.model_validate(tomllib.loads(block.text))


@pytest.mark.parametrize("page", PAGES, ids=_title)
def test_every_block_is_of_a_kind_that_is_tested(page: Path) -> None:
    assert {block.kind for block in blocks(page)} <= {"python", "bash", "json", "toml"}


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text("utf-8")):
            file = page.parent / target if target else page
            assert file.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in _anchors(file), f"{page.name}: {target}#{anchor}"


def test_every_file_that_the_architecture_says_to_read_is_there() -> None:
    rows = re.findall(
        r"^\| `(\w+)/` \|.*\| ([^|]+) \|$", (ROOT / "ARCHITECTURE.md").read_text("utf-8"), re.MULTILINE
    )
    assert len(rows) > 5
    for room, files in rows:
        for name in re.findall(r"`([\w/]+(?:\.py|/))`", files):
            assert (ROOT / "src" / "pinjra" / room / name).exists(), f"{room}/{name}"


def _anchors(page: Path) -> set[str]:
    """Return what its headings are called in links."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _on_loopback(block: Block, request: pytest.FixtureRequest) -> Block:
    if "127.0.0.1:8000" not in block.text:
        return block
    text = block.text.replace("127.0.0.1:8000", f"127.0.0.1:{request.getfixturevalue('port')}")
    return Block(block.kind, text, block.line)


def _needs_jail() -> None:
    try:
        create_executor("jail").close()
    except ExecutorUnavailable as error:
        pytest.skip(f"jail cannot run here: {error}")


def _closable() -> tuple[type, ...]:
    from pinjra.agents import Agent
    from pinjra.executors.base import PythonExecutor

    return (Agent, PythonExecutor)


def _problem(words: list[str]) -> str:
    """Return what is wrong with a command line; "" for nothing. Words in capitals stand for something."""
    if words[0].startswith("scripts/"):
        return "" if (ROOT / words[0]).is_file() else f"there is no {words[0]}"
    if words[:2] == ["pip", "install"]:
        extras = re.findall(r"\[([\w-]+)\]", " ".join(words[2:]))
        known = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
            "optional-dependencies"
        ]
        return "".join(f"there is no extra {extra!r}" for extra in extras if extra not in known)
    if words[0] != "pinjra" or not words[1:]:
        return ""
    command: click.Command | None = cli
    context = click.Context(cli)
    rest = words[1:]
    while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
        command = command.get_command(context, rest.pop(0))
    if command is None:
        return f"there is no command {' '.join(words)!r}"
    options = {name for parameter in command.params for name in parameter.opts} | {"--help", "--version"}
    own = itertools.takewhile(lambda word: word != "--", rest)  # behind it are words of a program
    return "".join(f"no option {word}" for word in own if word.startswith("--") and word not in options)
