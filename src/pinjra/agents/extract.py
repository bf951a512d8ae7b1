"""Model text -> the code to run and the thought before it.

Models write code in many wrappers. The wrappers are tried from the most to the least explicit: the agent's own tags,
`<code>` tags, fences of any label, an unclosed fence, JSON, and at last text that looks like nothing but code. The text is
never parsed as Python here: the worker does that, in the box.
"""

from __future__ import annotations

import json
import re
import textwrap
from dataclasses import dataclass

from pinjra.agents.errors import AgentParsingError

__all__ = ["Action", "extract_code", "extract_structured"]

MARKDOWN_TAGS = ("```python", "```")

# A fence may be indented (lists) and longer than three marks; the closing one has at least as many marks.
_FENCE = re.compile(
    r"^(?P<indent>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*(?P<label>[\w+#.-]*)[^\n`]*\n(?P<body>.*?)^[ \t]*(?P=marks)[`~]*[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
_INLINE_FENCE = re.compile(r"```(?:python|py)?[ \t]+(?P<body>[^\n`]+?)[ \t]*```")
_OPEN_FENCE = re.compile(
    r"^[ \t]*(?:`{3,}|~{3,})[ \t]*(?P<label>[\w+#.-]*)[^\n`]*\n(?P<body>.*)\Z", re.DOTALL | re.MULTILINE
)
_CODE_TAG = re.compile(r"<code(?:\s[^>]*)?>(?P<body>.*?)(?:</code>|\Z)", re.DOTALL)
# Blocks under these labels show something; they are not to be run unless there is nothing else.
_NOT_CODE = frozenset(
    {
        "json",
        "text",
        "txt",
        "output",
        "console",
        "bash",
        "sh",
        "shell",
        "html",
        "xml",
        "yaml",
        "markdown",
        "md",
    }
)
# A line that only code begins with; used for text without any wrapper.
_CODE_LINE = re.compile(
    r"^(?:import \w|from [\w.]+ import |def \w+\(|class \w+|for .+:|while .+:|if .+:|with .+:|try:|async def |@\w|"
    r"[A-Za-z_][\w.]*(?:\[[^\]]*\])?(?:\s*,\s*[A-Za-z_]\w*)*\s*(?:[-+*/%]|//|\*\*)?=(?!=)|[A-Za-z_][\w.]*\(|#|await |return )"
)
_MISSING = """No code was found in your answer. Write your thought, then the code between {open} and {close}, like this:
{open}
answer = 1 + 1
final_answer(answer)
{close}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a model wants to do next: `code` to run, and the `thought` that it wrote before."""

    thought: str
    code: str


def extract_code(text: str, tags: tuple[str, str] = MARKDOWN_TAGS) -> Action:
    """Return the code of a model's text; several blocks are joined in their order.

    Args:
        tags: The agent's own opening and closing tag, tried first.

    Raises:
        AgentParsingError: There is no code; the message tells the model what to write.
    """
    text = text.replace("\r\n", "\n")
    for find in (_own_tags, _code_tags, _fences, _inline_fences, _open_fence, _json_object, _bare):
        found = find(text, tags)
        if found is not None and found.code.strip():
            code = textwrap.dedent(found.code.strip("\n")).rstrip()
            return Action(thought=found.thought.strip(), code=code)
    raise AgentParsingError(_MISSING.format(open=tags[0], close=tags[1]))


def extract_structured(text: str, tags: tuple[str, str] = MARKDOWN_TAGS) -> Action:
    """Return the action of a JSON object {"thought", "code"}; whatever `extract_code` takes is taken too.

    Raises:
        AgentParsingError: There is neither.
    """
    found = _json_object(text, tags)
    if found is None:
        return extract_code(text, tags)
    code = found.code
    wrapped = _CODE_TAG.search(code) or _FENCE.search(code)
    return Action(thought=found.thought.strip(), code=wrapped["body"].strip("\n") if wrapped else code)


def _own_tags(text: str, tags: tuple[str, str]) -> Action | None:
    if tags == MARKDOWN_TAGS or tags == ("<code>", "</code>"):
        return None  # the general finders are more tolerant
    pattern = re.compile(re.escape(tags[0]) + r"(?P<body>.*?)(?:" + re.escape(tags[1]) + r"|\Z)", re.DOTALL)
    return _joined(text, list(pattern.finditer(text)))


def _code_tags(text: str, tags: tuple[str, str]) -> Action | None:
    action = _joined(text, list(_CODE_TAG.finditer(text)))
    if action is None:
        return None
    inner = list(_FENCE.finditer(action.code))  # a fence inside the tags: models do write both
    return Action(thought=action.thought, code="\n\n".join(_dedented(m) for m in inner)) if inner else action


def _fences(text: str, tags: tuple[str, str]) -> Action | None:
    matches = list(_FENCE.finditer(text))
    code = [m for m in matches if m["label"].lower() not in _NOT_CODE]
    if not code:
        return _json_in(matches) or _open_fence_after(text, matches)
    tail = _open_after(text, matches[-1].end())
    bodies = [_dedented(m) for m in code] + ([tail["body"]] if tail else [])
    return Action(thought=text[: code[0].start()], code="\n\n".join(bodies))


def _dedented(match: re.Match[str]) -> str:
    """Return a fence's body without the indentation that the fence itself has."""
    indent = match.groupdict().get("indent") or ""
    body = match["body"]
    if not indent:
        return body.strip("\n")
    return "\n".join(line.removeprefix(indent) for line in body.strip("\n").split("\n"))


def _json_in(matches: list[re.Match[str]]) -> Action | None:
    """Return the action of a fenced JSON object, or None."""
    for match in matches:
        if match["label"].lower() == "json" and (found := _json_object(match["body"], MARKDOWN_TAGS)):
            return found
    return None


def _open_fence_after(text: str, matches: list[re.Match[str]]) -> Action | None:
    """Return the unclosed fence behind closed ones that hold no code, or None."""
    tail = _open_after(text, matches[-1].end()) if matches else None
    return Action(thought=text[: tail.start()], code=tail["body"]) if tail else None


def _open_after(text: str, position: int) -> re.Match[str] | None:
    """Return an unclosed fence of code behind `position`, or None."""
    tail = _OPEN_FENCE.search(text, position)
    return None if tail is None or tail["label"].lower() in _NOT_CODE else tail


def _inline_fences(text: str, tags: tuple[str, str]) -> Action | None:
    return _joined(text, list(_INLINE_FENCE.finditer(text)))


def _open_fence(text: str, tags: tuple[str, str]) -> Action | None:
    match = _OPEN_FENCE.search(text)
    if match is None:
        return None
    return Action(thought=text[: match.start()], code=re.sub(r"\n?`{1,3}\s*\Z", "", match["body"]))


def _json_object(text: str, tags: tuple[str, str]) -> Action | None:
    """Return the action of the first JSON object with a "code" field, or None."""
    start = text.find("{")
    if start < 0 or '"code"' not in text:
        return None
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, start)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        return None
    thought = value.get("thought") or value.get("thoughts") or text[:start]
    return Action(thought=str(thought), code=value["code"])


def _bare(text: str, tags: tuple[str, str]) -> Action | None:
    """Return text that is nothing but code, or prose followed by a blank line and code, or None."""
    body = re.sub(r"\n?`{3,}\s*\Z", "", text.strip("\n"))  # only the closing fence was written
    if _looks_like_code(body):
        return Action(thought="", code=body)
    for gap in re.finditer(r"\n[ \t]*\n", body):
        if _looks_like_code(body[gap.end() :]):
            return Action(thought=body[: gap.start()], code=body[gap.end() :])
    return None


def _looks_like_code(text: str) -> bool:
    """Return whether every line that starts at the margin can begin a statement, and one surely does."""
    lines = [line for line in text.split("\n") if line.strip()]
    margin = [line for line in lines if not line[0].isspace() and line[0] not in ")]}"]
    follows = re.compile(r"^(?:else:|elif .+:|except.*:|finally:|print\(|pass$|[A-Za-z_]\w*$|\"\"\"|''')")
    return (
        bool(margin)
        and all(_CODE_LINE.match(line) or follows.match(line) for line in margin)
        and any(_CODE_LINE.match(line) and not line.startswith("#") for line in margin)
    )


def _joined(text: str, matches: list[re.Match[str]]) -> Action | None:
    if not matches:
        return None
    return Action(
        thought=text[: matches[0].start()], code="\n\n".join(m["body"].strip("\n") for m in matches)
    )
