"""docs/, pages of the root, examples and docstrings -> build/site/docs, which Zensical builds; then: what the built pages lack.

    python scripts/site_pages.py write     makes build/site/docs and build/site/zensical.toml
    python scripts/site_pages.py check     reads build/site/html: every public name has a page with its parameters and errors

What stands in the repository reads well there, too. Only what is made from code (the reference, the programs of the cookbook)
and links that leave docs/ differ on the site.
"""

from __future__ import annotations

import ast
import html
import inspect
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import is_typeddict

import pinjra
from pinjra.core.access import AccessOptions
from pinjra.executors.registry import BUILTIN, executor_class

ROOT = Path(__file__).resolve().parents[1]
BUILD = ROOT / "build" / "site"
DOCS, HTML = BUILD / "docs", BUILD / "html"

# Pages of the repository's root, and where they stand on the site.
OUTSIDE = {
    "SECURITY.md": "security.md",
    "ARCHITECTURE.md": "architecture.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
# Topic -> the packages whose public names belong to it, in the order of the reference.
TOPICS = {
    "Sandboxes": ("pinjra.executors", "pinjra.core"),
    "Agents": ("pinjra.agents",),
    "Tools": ("pinjra.tools",),
    "Models": ("pinjra.models",),
    "Fleet": ("pinjra.fleet",),
}
_LINK = re.compile(
    r"(?<!!)\[(?P<words>[^\]\n]+)\]\((?P<up>(?:\.\./)*)(?P<path>[\w./-]+)(?P<anchor>#[^)]*)?\)"
)


@dataclass(frozen=True, slots=True)
class Name:
    """One public name: what is written to import it, and the thing."""

    module: str
    name: str
    value: object

    @property
    def topic(self) -> str:
        """Return the topic that its home belongs to."""
        home = str(getattr(self.value, "__module__", self.module))
        if not home.startswith("pinjra"):  # a plain value
            home = self.module
        return next(
            topic for topic, rooms in TOPICS.items() if home.startswith(rooms) or self.module in rooms
        )

    @property
    def path(self) -> str:
        """Return the dotted path of its definition."""
        home, inner = getattr(self.value, "__module__", ""), getattr(self.value, "__qualname__", "")
        return f"{home}.{inner}" if home.startswith("pinjra") and inner else f"{self.module}.{self.name}"

    @property
    def summary(self) -> str:
        """Return the first line of its docstring."""
        lines = (inspect.getdoc(self.value) or "").splitlines()
        return lines[0] if lines and not isinstance(self.value, (str, int)) else ""


def public_names() -> list[Name]:
    """Return the names that `pinjra` and its documented packages export; one that several export, once."""
    found: dict[str, Name] = {}
    for module_name in ("pinjra", "pinjra.agents", "pinjra.tools", "pinjra.models", "pinjra.fleet"):
        module = import_module(module_name)
        names = getattr(module, "__all__", None) or [n for n in vars(module) if _is_public(module, n)]
        for name in names:
            value = getattr(module, name)
            home = (
                pinjra._MODULES.get(name, module_name) if not hasattr(value, "__qualname__") else module_name
            )
            found.setdefault(name, Name(home, name, value))
    return sorted(found.values(), key=lambda each: each.name.lower())


def _is_public(module: object, name: str) -> bool:
    value = getattr(module, name)
    return (
        not name.startswith("_")
        and not inspect.ismodule(value)
        and str(getattr(value, "__module__", "")).startswith("pinjra")
    )


def write() -> None:
    """Make the folder that Zensical builds."""
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(ROOT / "docs", DOCS)
    for source, target in OUTSIDE.items():
        shutil.copyfile(ROOT / source, DOCS / target)
    for page in DOCS.rglob("*.md"):
        page.write_text(_with_programs(_rewritten(page)), "utf-8")
    _write_reference()
    settings = (DOCS / "zensical.toml").read_text("utf-8").replace('"reference/index.md"', _reference_nav())
    forgotten = [f'"{page.name}"' for page in sorted(DOCS.glob("*.md")) if f'"{page.name}"' not in settings]
    settings = settings.replace('"protocol.md"', ", ".join(['"protocol.md"', *forgotten]))
    (BUILD / "zensical.toml").write_text(settings, "utf-8")
    (DOCS / "zensical.toml").unlink()


def _rewritten(page: Path) -> str:
    """Return a page whose links lead to pages of the site; of files that are no pages, the words stay."""
    folder = page.parent.relative_to(DOCS)
    depth = "../" * len(folder.parts)
    is_outside = page.name in OUTSIDE.values() and not folder.parts

    def of_site(match: re.Match[str]) -> str:
        words, path, anchor = match["words"], match["path"], match["anchor"] or ""
        leaves = len(match["up"]) // 3 > len(folder.parts)
        if is_outside and path.startswith("docs/"):
            return f"[{words}]({path.removeprefix('docs/')}{anchor})"
        if not (leaves or is_outside):
            return match[0]
        return f"[{words}]({depth}{OUTSIDE[path]}{anchor})" if path in OUTSIDE else words

    return _LINK.sub(of_site, page.read_text("utf-8"))


def _with_programs(text: str) -> str:
    """Return a page with each program behind the line that names it: `<!-- program: examples/x.py -->`."""
    return re.sub(
        r"^<!-- program: (?P<path>examples/[\w/]+\.py) -->$",
        lambda match: f"```python\n{_without_docstring(ROOT / match['path'])}```",
        text,
        flags=re.MULTILINE,
    )


def _without_docstring(program: Path) -> str:
    """Return a program without the words at its head, which the page says."""
    text = program.read_text("utf-8")
    first = ast.parse(text).body[0]
    assert first.end_lineno is not None  # noqa: S101 (a parsed statement has one)
    return "".join(text.splitlines(keepends=True)[first.end_lineno :]).lstrip("\n")


def _write_reference() -> None:
    folder = DOCS / "reference"
    folder.mkdir()
    names = public_names()
    for each in names:
        head = f"---\ntitle: {each.name}\n---\n\n::: {each.path}\n\n"
        words = f"{head}{_further(each)}`from {each.module} import {each.name}`\n"
        (folder / f"{each.name}.md").write_text(words, "utf-8")
    lines = [_REFERENCE_HEAD]
    for topic in TOPICS:
        lines.append(f"\n## {topic}\n\n| name | |\n| --- | --- |")
        lines += [f"| [`{n.name}`]({n.name}.md) | {n.summary} |" for n in names if n.topic == topic]
    (folder / "index.md").write_text("\n".join(lines) + "\n", "utf-8")


def _further(each: Name) -> str:
    """Return a table of what its `**options` takes, with the words of the classes that say what it is."""
    options = _options(each.value)
    if not options:
        return ""
    rows = [f"| `{name}` | `{kind}` | {_words_of(each.value, name)} |" for name, kind in options.items()]
    return "\n".join(["## Further parameters\n", "| name | type | |", "| --- | --- | --- |", *rows, "\n"])


def _options(value: object) -> dict[str, str]:
    """Return the fields of the TypedDict that a signature ends with."""
    made = inspect.unwrap(value.__init__ if inspect.isclass(value) else value)  # type: ignore[misc, arg-type]
    try:
        last = [*inspect.signature(made).parameters.values()][-1]
        fields = made.__globals__[str(last.annotation).removeprefix("Unpack[").rstrip("]")]
    except (TypeError, ValueError, IndexError, KeyError, AttributeError):
        return {}
    if not is_typeddict(fields):
        return {}
    kinds = {
        name: getattr(kind, "__forward_arg__", str(kind)) for name, kind in fields.__annotations__.items()
    }
    return {name: kind.replace("|", "\\|") for name, kind in kinds.items()}


def _words_of(value: object, name: str) -> str:
    """Return what the docstring of the class, or of one that it is made of, says of a parameter."""
    executors = [executor_class(name) for name in BUILTIN]
    for other in [*getattr(value, "__mro__", ()), *(base for cls in executors for base in cls.__mro__)]:
        found = re.search(rf"^ {{4}}{name}: (.+(?:\n {{8}}.+)*)", inspect.getdoc(other) or "", re.MULTILINE)
        if found:
            return " ".join(found[1].split()).replace("|", "\\|")
    return "see [the sandbox](../sandbox.md#what-gets-in)" if name in AccessOptions.__annotations__ else ""


def _reference_nav() -> str:
    """Return the entries of the reference, by topic, as they stand in the settings."""
    names = public_names()
    topics = (
        f'{{ "{topic}" = [{", ".join(f"{chr(34)}reference/{n.name}.md{chr(34)}" for n in names if n.topic == topic)}] }}'
        for topic in TOPICS
    )
    return ", ".join(['"reference/index.md"', *topics])


_REFERENCE_HEAD = """# Reference

Every public name, made from the docstrings. What is not here, and every name that begins with `_`, may change without a word.

**Units are in the names**: `wall_seconds` are seconds on the clock, `cpu_seconds` of processor time, `memory_bytes` bytes
(`512 << 20` is 512 MiB), `money` is in the currency of your `Price`. `None` means "not limited". Errors say whose fault they are:
the guest's are values (`Execution.error`), the others are exceptions below [`PinjraError`](PinjraError.md)."""


def check() -> int:
    """Return 1, and say why, where a public name has no page, or its page lacks a parameter or what it raises."""
    problems = [problem for each in public_names() for problem in _lacks(each)]
    problems += [
        f"{page} loads something from another server" for page in HTML.rglob("*.html") if _loads(page)
    ]
    for problem in problems:
        print(f"scripts/site: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _loads(page: Path) -> bool:
    """Whether a page asks another server for something; links that a reader follows do not count."""
    return bool(re.search(r'<(?:link|script|img)\b[^>]*(?:src|href)="https?://', page.read_text("utf-8")))


def _lacks(each: Name) -> Iterator[str]:
    page = HTML / "reference" / each.name / "index.html"
    if not page.is_file():
        yield f"{each.name} has no page"
        return
    text = html.unescape(re.sub(r"<[^>]+>", " ", page.read_text("utf-8")))
    if not each.summary:
        yield f"{each.name} has no docstring"
    for name in _parameters(each.value):
        if not re.search(rf"\b{name}\b", text):
            yield f"the page of {each.name} does not name its parameter {name}"
    for name in _options(each.value):
        if not re.search(rf"\b{name}\b", text):
            yield f"the page of {each.name} does not name its parameter {name}"
    if "Raises:" in (inspect.getdoc(each.value) or "") and "Raises" not in text:
        yield f"the page of {each.name} does not say what it raises"


def _parameters(value: object) -> list[str]:
    made = value.__init__ if inspect.isclass(value) else value  # type: ignore[misc]
    if not callable(made) or (inspect.isclass(value) and issubclass(value, Enum)):
        return []
    try:
        found = inspect.signature(inspect.unwrap(made)).parameters
    except (TypeError, ValueError):
        return []
    return [name for name in found if name not in ("self", "args", "kwargs") and not name.startswith("_")]


if __name__ == "__main__":
    commands = {"write": write, "check": check}
    sys.exit(commands[sys.argv[1]]())
