"""Docstring text (Google form) -> description, and one text for each argument."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Returns?|Yields?|Raises|Examples?|Notes?|Attributes|Warnings?|See Also):\s*$"
)
_ARGUMENT = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:\s*(.*)$")
_CHOICES = re.compile(r"\s*\(\s*choices\s*:\s*(\[.*\])\s*\)\s*$", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Docstring:
    """What a docstring says.

    Args:
        description: Everything before the first section, paragraphs kept.
        arguments: Parameter name → its text, on one line.
        choices: Parameter name → the JSON list of an ending `(choices: [...])`.
    """

    description: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    choices: dict[str, list[object]] = field(default_factory=dict)


def parse_docstring(text: str | None) -> Docstring:
    """Return what a docstring in Google form says; an empty record for None."""
    sections = _sections(inspect.cleandoc(text or "").splitlines())
    arguments: dict[str, str] = {}
    for title in ("Args", "Arguments", "Parameters", "Params"):
        arguments.update(_arguments(sections.get(title, [])))
    choices = {}
    for name, said in list(arguments.items()):
        found = _choices(said)
        if found is not None:
            choices[name] = found
            arguments[name] = _CHOICES.sub("", said).strip()
    return Docstring(description="\n".join(sections[""]).strip(), arguments=arguments, choices=choices)


def _sections(lines: list[str]) -> dict[str, list[str]]:
    """Return section title → its lines; "" is what comes before the first title."""
    sections: dict[str, list[str]] = {"": []}
    current = sections[""]
    for line in lines:
        title = _SECTION.match(line)
        if title:
            current = sections.setdefault(title[1], [])
        else:
            current.append(line)
    return sections


def _arguments(lines: list[str]) -> dict[str, str]:
    """Return argument → text; deeper indented lines go on with the argument above them."""
    block = inspect.cleandoc("\n" + "\n".join(lines)).splitlines()
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in block:
        start = _ARGUMENT.match(line)
        if start:
            current = found.setdefault(start[1], [])
            current.append(start[2].strip())
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(parts).strip() for name, parts in found.items()}


def _choices(said: str) -> list[object] | None:
    import json

    match = _CHOICES.search(said)
    if match is None:
        return None
    try:
        values = json.loads(match[1])
    except ValueError:
        return None
    return values if isinstance(values, list) else None
