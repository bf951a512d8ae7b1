"""The examples of docs/tools.md run as written (with the real port of a server on loopback)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tools.md"


def test_every_example_of_the_page_on_tools_runs(
    site: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path(__file__).parent)
    namespace: dict[str, Any] = {"__name__": "examples"}
    examples = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    for example in examples:
        exec(example.replace("8000", str(site.port)), namespace)
    said = capsys.readouterr().out
    for line in (
        "lincoln/1\n",
        "def lookup(key: str, depth: int = 1) -> str:\n",
        "16\n<Register register(person: str, year: int | None)>\n",
        "(['a/1', 'b/1'], 16)\n",
        "register(person: str, year: int | None): argument 'person' must be a string, not 5 (int)\n",
        "His preferred pet was a **dog**",
        "\n5\n",
    ):
        assert line in said
    assert len(examples) == 6
