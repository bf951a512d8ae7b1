"""Code is found in whatever models really write, and in nothing else."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pinjra.agents import ActionStep, Timing
from pinjra.agents.errors import AgentParsingError
from pinjra.agents.extract import Action, extract_code
from pinjra.agents.memory.observation import as_data as data_for_prompt
from pinjra.agents.resuming import _bound_names
from pinjra.core.redaction import redact
from pinjra.models.base import Completion
from pinjra.models.text_calls import with_text_calls
from pinjra.tools.schema import ToolSchema

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
    "prompts of a notebook": (
        "```python\nIn [1]: for i in range(2):\n   ...:     x = i\n   ...:\nOut[1]: 5\nIn [2]: final_answer(x)\n```",
        "for i in range(2):\n    x = i\n\nfinal_answer(x)",
    ),
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


F = "```"
WRITTEN = {
    "what it thought is not run": (
        f"<think>try {F}python\nfinal_answer('wrong')\n{F}</think>\n{F}python\nfinal_answer('right')\n{F}",
        "final_answer('right')",
    ),
    "what it thought, the opening tag in the prompt": (
        f"hm\n{F}python\nfinal_answer('wrong')\n{F}\n</think>\n{F}python\nfinal_answer('right')\n{F}",
        "final_answer('right')",
    ),
    "a thought with a fence that is not closed": (
        f"hm\n{F}python\nfinal_answer('wrong')\n</think>\n{F}python\nfinal_answer('right')\n{F}",
        "final_answer('right')",
    ),
    "thinking in square brackets": (f"[THINK]{F}py\nno\n{F}[/THINK]{F}py\nyes()\n{F}", "yes()"),
    "thinking tags in its strings": (
        f"{F}py\nx = 'a</think>b'\ny = '<think>'\n{F}",
        "x = 'a</think>b'\ny = '<think>'",
    ),
    "a fence in a docstring": (
        f'{F}python\ndef f():\n    """\n    {F}\n    x\n    {F}\n    """\nfinal_answer(1)\n{F}',
        f'def f():\n    """\n    {F}\n    x\n    {F}\n    """\nfinal_answer(1)',
    ),
    "a string that never ends": (f"{F}python\nx = '''abc\n{F}\n{F}python\ny = 1\n{F}", "x = '''abc\n\ny = 1"),
    "apostrophes in comments": (f"{F}py\nx = 1  # don't\n{F}\nIt's done", "x = 1  # don't"),
    "data in an unlabelled fence": (
        f"The file:\n{F}\na,b\n1,2\n{F}\n{F}python\nfinal_answer(3)\n{F}",
        "final_answer(3)",
    ),
    "data and code, both unlabelled": (
        f"The file:\n{F}\na,b\n1,2\n{F}\nSo:\n{F}\nfinal_answer(3)\n{F}",
        "final_answer(3)",
    ),
    "a byte order mark": (f"\ufeff{F}python\n\ufeffx = 1\n{F}", "x = 1"),
    "prompts": (
        f"{F}python\n>>> x = 1\n>>> for i in [x]:\n...     print(i)\n1\n{F}",
        "x = 1\nfor i in [x]:\n    print(i)",
    ),
    "an end tag glued to the fence": (f"{F}python\nx = 1\n{F}<end_code>", "x = 1"),
    "a fence glued to the code": (f"{F}python\nfinal_answer(1){F}", "final_answer(1)"),
    "a fence that opens inside a line": (f"Here it is: {F}python\nx = 1\n{F}", "x = 1"),
    "a fence that another opens": (f"{F}python\nx = 1\n{F}python\ny = 2\n{F}", "x = 1\n\ny = 2"),
    "tags in the code's own strings": (
        "<code>\nh = '</code>'\nfinal_answer(h)\n</code>",
        "h = '</code>'\nfinal_answer(h)",
    ),
    "a fence in JSON": ('{"thought": "t", "code": "```python\\nx = 1\\n```"}', "x = 1"),
    "a remainder, which is no magic": (f"{F}py\nx = (5\n%d\n)\n{F}", "x = (5\n%d\n)"),
}


@pytest.mark.parametrize(("text", "code"), WRITTEN.values(), ids=WRITTEN.keys())
def test_code_is_read_as_models_write_it(text: str, code: str) -> None:
    assert extract_code(text).code == code


def test_an_answer_that_is_all_thinking_has_no_code() -> None:
    with pytest.raises(AgentParsingError, match="No code was found"):
        extract_code(f"<think>{F}python\nfinal_answer('wrong')\n{F}")


@pytest.mark.parametrize("line", ["!pip install pandas", "%matplotlib inline", "%%time", "! ls"])
def test_a_notebooks_command_is_told_so(line: str) -> None:
    with pytest.raises(AgentParsingError, match="a command of notebooks, not Python") as caught:
        extract_code(f"{F}python\nx = 1\n{line}\n{F}")
    assert repr(line) in str(caught.value)


def test_a_text_that_no_model_writes_is_told_its_length() -> None:
    with pytest.raises(AgentParsingError, match=r"400,000 characters, more than the 300,000"):
        extract_code("x = 1\n" * 66_666 + "xxxx")


PIECES = [
    '~~~~~~a\n', '```', '```\n', '``` ', '~~~\n', '<think>', '</think>', '<code>', "'''", '"', '\\', '#',
    '\n', ' ', '{', '{"a":', '{"code": "', '[', 'a, ', 'x = 1\n', '<tool_call>', '```python\n',
    "'''\n```python\n", '"""\n```\n', '(\n', 'if a', '=', '[THINK]', '<code ', '-----BEGIN PRIVATE KEY-----',
    '://a:b', '< ', '<observation', 'x:', 'def ', '_eyJ', '?token=', '@', '...',
]  # fmt: skip


def extract_structured(text: str) -> Action:
    return extract_code(text, structured=True)


def read_calls(text: str) -> object:
    return with_text_calls(Completion(text=text), [ToolSchema(name="a", description="", parameters={})])


def as_data(text: str) -> object:
    return data_for_prompt(text, 10_000)


def bound_names(code: str) -> object:
    return _bound_names(
        [ActionStep(step_number=1, timing=Timing(start_time=0, end_time=0), code_action=code)]
    )


def seconds_for(work: Callable[[str], object], text: str) -> float:
    """Return the least of three times, of this thread only."""
    best = float("inf")
    for _ in range(3):
        begun = time.thread_time()
        with contextlib.suppress(AgentParsingError):
            work(text)
        best = min(best, time.thread_time() - begun)
    return best


@pytest.mark.parametrize(
    "work",
    [extract_code, extract_structured, read_calls, redact, as_data, bound_names],
    ids=lambda f: f.__name__,
)
@pytest.mark.parametrize("prefix", ["", "```python\n", "<tool_call>a", "<"])
def test_reading_a_text_takes_time_in_proportion_to_its_length(
    work: Callable[[str], object], prefix: str
) -> None:
    # Quadratic work would take 256 times as long for 16 times the text; the bound leaves room for a busy machine.
    slow = {}
    for piece in [*PIECES, *("".join(random.sample(PIECES, 3)) for _ in range(20))]:
        short, long = (prefix + piece * (size // len(piece)) for size in (1_000, 16_000))
        ratio = seconds_for(work, long) / max(seconds_for(work, short), 1e-4)
        if ratio > 100:
            slow[piece] = ratio
    assert slow == {}


def test_all_end_tags_that_are_glued_to_code_are_taken_off():
    assert (
        extract_code("<code>\nx = 1 " + "``` </code>\n" * 1000 + "</code>", ("<code>", "</code>")).code
        == "x = 1"
    )
    assert extract_code("<code>\nx = 1" + "```" * 90_000 + "\n</code>", ("<code>", "</code>")).code == "x = 1"
