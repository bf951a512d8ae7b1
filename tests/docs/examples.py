"""A page of the documentation -> its examples, each run statement by statement, and what each printed beside what it says.

What a `print(...)` line says it prints stands in the comment behind it, and is compared. A block that cannot run here
has `<!-- not run: REASON -->` on the line before it.
"""

from __future__ import annotations

import ast
import io
import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>[^\n]+) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_SAID = re.compile(r"^\s*print\(.*\)\s+# (.+)$")


@dataclass(frozen=True)
class Block:
    """One fenced block; `line` is that of its first line in the page."""

    kind: str
    text: str
    line: int
    reason: str = ""


def blocks(page: Path) -> list[Block]:
    """Return the labelled fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    return [
        Block(m["kind"], m["text"], text.count("\n", 0, m.start("text")) + 1, m["reason"] or "")
        for m in _BLOCK.finditer(text)
    ]


def run_block(page: Path, block: Block, namespace: dict[str, Any]) -> None:
    """Run a block of Python in the page's namespace; its line numbers in errors are those of the page."""
    lines = block.text.splitlines()
    for statement in ast.parse(block.text).body:
        source = lines[statement.lineno - 1 : statement.end_lineno]
        ast.increment_lineno(statement, block.line - 1)
        out = io.StringIO()
        with redirect_stdout(out):
            exec(compile(ast.Module([statement], []), str(page), "exec"), namespace)
        said = [match[1].strip() for line in source if (match := _SAID.match(line))]
        printed = out.getvalue().splitlines()
        if len(printed) > len(said) == 1:  # more than a line: the comment tells what it is
            continue
        if said:
            assert printed == said, f"{page.name}:{statement.lineno} prints {printed}, and says {said}"
