"""Code is found in whatever models really write, and in nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinjra.agents.errors import AgentParsingError
from pinjra.agents.extract import extract_code, extract_structured

CASES = {
    "a python fence": ("Thought.\n```python\nx = 1\n```", "x = 1"),
    "a py fence": ("```py\nx = 1\n```", "x = 1"),
    "a fence without a label": ("```\nx = 1\n```", "x = 1"),
    "a fence with an unknown label": ("```tool_code\nx = 1\n```", "x = 1"),
    "a fence with attributes": ("```python title=run\nx = 1\n```", "x = 1"),
    "a python3 fence": ("```python3\nx = 1\n```", "x = 1"),
    "a tilde fence": ("~~~python\nx = 1\n~~~", "x = 1"),
    "a longer fence around a shorter one": ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''"),
    "windows line ends": ("```python\r\nx = 1\r\ny = 2\r\n```", "x = 1\ny = 2"),
    "several blocks": ("A\n```python\nx = 1\n```\nB\n```python\ny = 2\n```", "x = 1\n\ny = 2"),
    "text after": ("```python\nx = 1\n```\nThis sets x.", "x = 1"),
    "an unclosed fence": ("Thought\n```python\nx = 1\ny = 2", "x = 1\ny = 2"),
    "a closed and an unclosed fence": ("```python\nx = 1\n```\n```python\ny = 2", "x = 1\n\ny = 2"),
    "code tags": ("Thought\n<code>\nx = 1\n</code>", "x = 1"),
    "an unclosed code tag": ("Thought <code>x = 1", "x = 1"),
    "a fence in code tags": ("<code>\n```python\nx = 1\n```\n</code>", "x = 1"),
    "several code tags": ("<code>x = 1</code> then <code>y = 2</code>", "x = 1\n\ny = 2"),
    "bare code": ("x = 1\nfinal_answer(x)", "x = 1\nfinal_answer(x)"),
    "bare code with blocks": (
        "for i in range(3):\n    print(i)\n\nfinal_answer(i)",
        "for i in range(3):\n    print(i)\n\nfinal_answer(i)",
    ),
    "prose, then bare code": ("I compute it.\n\nx = 1\nfinal_answer(x)", "x = 1\nfinal_answer(x)"),
    "bare code and a closing fence": ("x = 1\nfinal_answer(x)\n```", "x = 1\nfinal_answer(x)"),
    "an indented fence": ("- do:\n  ```python\n  if x:\n      y = 1\n  ```", "if x:\n    y = 1"),
    "a fence on one line": ("```python final_answer(3)```", "final_answer(3)"),
    "an output block beside the code": ("```python\nx = 1\n```\n```output\n1\n```", "x = 1"),
    "JSON": ('{"thought": "t", "code": "x = 1\\ny = 2"}', "x = 1\ny = 2"),
    "fenced JSON": ('```json\n{"thought": "t", "code": "x = 1"}\n```', "x = 1"),
    "an output block that is not closed": ("```python\nx = 1\n```\n```output\n1", "x = 1"),
    "indentation of the first line": ("```python\n    x = 1\n```", "x = 1"),
}


@pytest.mark.parametrize(("text", "code"), CASES.values(), ids=CASES.keys())
def test_code_is_found_in(text: str, code: str) -> None:
    assert extract_code(text).code == code


def test_the_thought_is_the_text_before_the_code() -> None:
    assert extract_code("First I add.\n```python\nx = 1\n```\nDone").thought == "First I add."


def test_own_tags_are_tried_first() -> None:
    found = extract_code("```python\nno\n``` <<<x = 1>>>", ("<<<", ">>>"))
    assert found.code == "x = 1"


@pytest.mark.parametrize(
    "text", ["", "I cannot do that.", "The answer is 42.", "```python\n```", "Hello, world", "{}"]
)
def test_text_without_code_gives_one_message_that_shows_what_to_write(text: str) -> None:
    with pytest.raises(AgentParsingError) as caught:
        extract_code(text)
    assert str(caught.value).startswith("No code was found in your answer.")
    assert "```python\nanswer = 1 + 1\nfinal_answer(answer)\n```" in str(caught.value)


def test_the_message_names_the_agents_own_tags() -> None:
    with pytest.raises(AgentParsingError, match="between <go> and </go>"):
        extract_code("nothing", ("<go>", "</go>"))


def test_structured_output_gives_thought_and_code() -> None:
    found = extract_structured('{"thought": "add", "code": "x = 1"}')
    assert (found.thought, found.code) == ("add", "x = 1")


def test_structured_output_with_a_fence_inside_loses_the_fence() -> None:
    assert extract_structured('{"thought": "t", "code": "```python\\nx = 1\\n```"}').code == "x = 1"


def test_structured_output_falls_back_to_fences() -> None:
    assert extract_structured("```python\nx = 1\n```").code == "x = 1"


@settings(deadline=None)  # the machine's load is not the code's
@given(st.text(max_size=300))
def test_any_text_gives_code_or_the_one_error(text: str) -> None:
    try:
        assert extract_code(text).code.strip()
    except AgentParsingError:
        pass


@settings(deadline=None)  # the machine's load is not the code's
@given(st.lists(st.sampled_from(["x = 1", "print(x)", "for i in y:\n    pass", "# note", ""]), min_size=1))
def test_a_fence_gives_back_the_code_inside_it(lines: list[str]) -> None:
    code = "\n".join(lines).strip("\n").rstrip()
    if code.strip():
        assert extract_code(f"Thought.\n```python\n{code}\n```").code == code
