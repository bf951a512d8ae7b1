"""Model text -> the code to run and the thought before it.

Models write code in many wrappers. A reader goes once over the text and notes its blocks: the agent's own tags, `<code>` tags,
fences. Inside a block it follows Python's strings and comments, so that a fence in a docstring ends nothing; outside it skips
what stands in thinking tags. Then the most explicit blocks are taken: own tags, `<code>` tags, fences (those labelled as Python
before others), JSON, and at last text that looks like nothing but code. The text is never parsed as Python here: the worker
does that, in the box.

Rule for whoever edits: every character is looked at a bounded number of times. No pattern may search on from each of many
places: that is how a text of 32 kB cost eleven seconds.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from pinjra.core.json_data import encodable
from pinjra.models.errors import CompletionInvalid
from pinjra.models.text_calls import THINKING_TAGS, json_objects

MARKDOWN_TAGS = ("```python", "```")
_CODE_TAGS = ("<code>", "</code>")

_LONGEST = 300_000  # characters of an answer: more than the longest output of any model, unless it is looping
_LONGEST_LINE = 2_000  # characters of a line that are looked at to tell code from prose
_BODY = rf"(?P<think></(?:{THINKING_TAGS})>|\[/THINK\])|(?P<skip>\\[\s\S]|\#)|(?P<quote>'''|\"\"\"|['\"])"
_IN_CODE = re.compile(_BODY + r"|(?P<depth>[\[\](){}])|(?P<end>\n)")
_IN_FENCE = re.compile(
    r"^[ \t]*(?P<marks>`{3,}|~{3,})(?=(?P<rest>[^\n]*))|" + _BODY + r"|(?P<ticks>`{3,})|(?P<line>\n)",
    re.MULTILINE | re.IGNORECASE,
)
_LABEL = re.compile(r"[\w+#.-]*")
_PYTHON = frozenset({"python", "py", "python3", "ipython", "tool_code", "pycon"})
# Blocks under these labels show something; they are not to be run.
_NOT_CODE = frozenset((
    "json", "text", "txt", "plaintext", "output", "console", "bash", "sh", "shell", "zsh", "powershell", "html",
    "xml", "yaml", "yml", "toml", "ini", "markdown", "md", "csv", "tsv", "sql", "diff", "log", "css", "js",
    "javascript", "typescript", "c", "cpp", "java", "go", "rust",
))  # fmt: skip
_GLUED = ("<end_code>", "</code>", "</end_code>", "<end_action>", "<|im_end|>", "</s>", "```")
_INVISIBLE = "\ufeff\u200b\u2060"  # byte order marks and what has no width, in front of code
# A line that only code begins with; used for text without any wrapper.
_CODE_LINE = re.compile(
    r"(?:import \w|from [\w.]+ import |def \w+\(|class \w+|for .+:|while .+:|if .+:|with .+:|try:|async def |@\w|"
    r"[A-Za-z_][\w.]*(?:\[[^\]]*\])?(?:\s*,\s*[A-Za-z_]\w*)*\s*(?:[-+*/%]|//|\*\*)?=(?!=)|[A-Za-z_][\w.]*\(|#|await |return )"
)
_FOLLOWING_LINE = re.compile(r"(?:else:|elif .+:|except.*:|finally:|print\(|pass$|[A-Za-z_]\w*$|\"\"\"|''')")
_NOTEBOOK_LINE = re.compile(r"(?:!\s?[A-Za-z]|%%?[A-Za-z])[^\n]{0,80}")
_KEPT_CALL = re.compile(r"(?P<name>[A-Za-z_]\w*)[ \t]*=[ \t]*(?:await[ \t]+)?(?P<called>[A-Za-z_]\w*)\(")
_MISSING = """No code was found in your answer. Write your thought, then the code between {open} and {close}, like this:
{open}
answer = 1 + 1
final_answer(answer)
{close}"""
_NOTEBOOK = (
    "this line is a command of notebooks, not Python: {line!r}. Nothing was run. Packages cannot be installed from code: use "
    "what is there, and leave such lines out."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a model wants to do next: `code` to run, and the `thought` that it wrote before."""

    thought: str
    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A piece of a text between marks. `kind` is "own", "code", "fence" or "inline"; `start` is where its mark stands."""

    kind: str
    start: int
    body: str
    label: str = ""


def action(text: str, tags: tuple[str, str] = MARKDOWN_TAGS) -> Action:
    """Return the code of a model's text; several blocks are joined in their order.

    Args:
        tags: The agent's own opening and closing tag, tried first.

    Raises:
        CompletionInvalid: There is no code, too much text, or a notebook's command; the message tells the model what to do.
    """
    reader = _Reader(_bounded(text), tags)
    found = (reader.starts_with_json and _json_action(reader)) or _chosen(reader)
    found = found or _json_action(reader) or _bare(reader.said())
    code = _cleaned(found.code) if found else ""
    if found is None or not code:
        raise CompletionInvalid(_MISSING.format(open=tags[0], close=tags[1]))
    _refuse_notebook_lines(code)
    return Action(thought=found.thought.strip(), code=code)


def structured_action(text: str, tags: tuple[str, str] = MARKDOWN_TAGS) -> Action:
    """Return the action of a JSON object {"thought", "code"}; whatever `action` takes is taken too.

    Raises:
        CompletionInvalid: There is neither.
    """
    found = _json_action(_Reader(_bounded(text), tags))
    if found is None or not found.code.strip():
        return action(text, tags)
    code = _cleaned(found.code)
    _refuse_notebook_lines(code)
    return Action(thought=found.thought.strip(), code=code)


def _bounded(text: str) -> str:
    if len(text) > _LONGEST:
        raise CompletionInvalid(
            f"your answer has {len(text):,} characters, more than the {_LONGEST:,} that are read: write less"
        )
    return encodable(text).replace("\r\n", "\n").replace("\r", "\n").lstrip(_INVISIBLE)


class _Reader:
    """Goes once over a text and notes its blocks and its thinking."""

    def __init__(self, text: str, tags: tuple[str, str]) -> None:
        self.text = text
        self.blocks: list[_Block] = []
        self._thinking: list[tuple[int, int]] = []
        self._tags = tags
        self._follows_strings = True  # until a string turns out never to end
        self._line_end = -1
        outside = _outside(tags[0] if tags not in (MARKDOWN_TAGS, _CODE_TAGS) else "")
        at = 0
        while (mark := outside.search(text, at)) is not None:
            at = getattr(self, f"_{mark.lastgroup}")(mark)

    @property
    def starts_with_json(self) -> bool:
        """Whether the answer is an object and not a text with code in it."""
        return self.text.lstrip()[:1] == "{"

    def said(self, end: int | None = None) -> str:
        """Return the text up to `end` without what was thought."""
        end = len(self.text) if end is None else end
        pieces, at = [], 0
        for begin, until in self._thinking:
            if begin < end:
                pieces.append(self.text[at:begin])
                at = until
        pieces.append(self.text[at:end])
        return "".join(pieces)

    # ------------------------------------------------------------ marks outside of blocks; each returns where to go on

    def _think(self, mark: re.Match[str]) -> int:
        closing = re.compile(re.escape(f"{mark[0][0]}/{mark[0][1:]}"), re.IGNORECASE)
        found = closing.search(self.text, mark.end())
        end = found.end() if found else len(self.text)
        self._thinking.append((mark.start(), end))
        return end

    def _thought(self, mark: re.Match[str]) -> int:
        """A closing tag alone: its opening one stood in the prompt, and everything before was thought."""
        self.blocks.clear()
        self._thinking = [(0, mark.end())]
        return mark.end()

    def _own(self, mark: re.Match[str]) -> int:
        return self._tagged(mark, "own", self._tags[1])

    def _code(self, mark: re.Match[str]) -> int:
        return self._tagged(mark, "code", "</code>")

    def _tagged(self, mark: re.Match[str], kind: str, closing: str) -> int:
        end, after = self._body_end(mark.end(), _in_tags(closing), 0, "")
        self.blocks.append(
            _Block(kind=kind, start=mark.start(), body=self.text[mark.end() : end].strip("\n"))
        )
        return after

    def _fence(self, mark: re.Match[str]) -> int:
        """A run of marks: at a line's start it opens a block; inside a line, code on this line or an opening at its end."""
        line_end = self._end_of_line(mark.end())
        again = self.text.find("```", mark.end(), line_end)
        if again >= 0:
            return self._inline(mark, again)
        info = self.text[mark.end() : line_end].strip()
        label = _LABEL.match(info)
        assert label is not None  # noqa: S101 (it matches the empty text)
        is_at_line_start = mark["indent"] is not None
        if not is_at_line_start and label[0] != info:
            return mark.end()  # quoted in a sentence
        word = label[0].lower()
        begin = min(line_end + 1, len(self.text))
        marks = mark[0].strip()
        end, after = self._body_end(begin, _IN_FENCE, len(marks), marks[0], is_code=word not in _NOT_CODE)
        body = _without_indent(self.text[begin:end].strip("\n"), mark["indent"] or "")
        self.blocks.append(_Block(kind="fence", start=mark.start(), body=body, label=word))
        return after

    def _inline(self, mark: re.Match[str], end: int) -> int:
        label, blank, body = self.text[mark.end() : end].partition(" ")
        if blank and label.lower() in ("", *_PYTHON):
            self.blocks.append(_Block(kind="inline", start=mark.start(), body=body.strip()))
        return end + 3

    def _end_of_line(self, at: int) -> int:
        if at > self._line_end:  # looked up once a line, however many marks it has
            self._line_end = _line_end(self.text, at)
        return self._line_end

    # ------------------------------------------------------------ bodies

    def _body_end(
        self, at: int, pattern: re.Pattern[str], length: int, char: str, *, is_code: bool = True
    ) -> tuple[int, int]:
        """Return where a body ends and where to go on behind its closing mark.

        Args:
            length, char: Of a fence's opening marks; 0 and "" for a body between tags.
            is_code: Follow strings and comments; an end inside one counts only where there is no other.
        """
        quote = ""
        inside: tuple[int, int] | None = None  # the first end that stood inside a string
        follows = is_code and self._follows_strings
        while (token := pattern.search(self.text, at)) is not None:
            at = token.end()
            kind = token.lastgroup
            if kind in ("marks", "rest", "ticks", "close"):
                ending = _ending(token, length, char)
                if ending is not None and not quote:
                    return ending
                inside = inside or ending
            elif kind == "line":
                quote = quote if len(quote) == 3 else ""
            elif kind == "quote" and follows:
                quote = token[0] if not quote else "" if token[0] == quote else quote
                if len(quote) == 1 and token[0] != quote and token[0].startswith(quote):
                    quote = ""  # ''' inside '…' closes it, opens and closes another
            elif kind == "skip" and token[0] == "#":
                at = self._end_of_line(at) if follows and not quote else at
            elif kind == "skip" and not follows:
                at = token.start() + 1
            elif kind == "think" and not quote:
                return token.start(), token.start()  # thinking that held a block without an end
        if inside is not None:
            self._line_end = -1  # it goes back
            self._follows_strings = False  # so that at most one body is read twice
            return inside
        return len(self.text), len(self.text)


def _ending(token: re.Match[str], length: int, char: str) -> tuple[int, int] | None:
    """Return where the body ends and where to go on, if this token ends it; None otherwise."""
    if not length:
        return (token.start(), token.end()) if token.lastgroup == "close" else None
    marks = token["marks"] or token["ticks"]
    if marks[0] != char or len(marks) < length or (char == "~" and token["ticks"]):
        return None
    if token["ticks"]:
        return token.start(), token.end()
    rest = token["rest"].strip()
    if rest and _LABEL.fullmatch(rest):
        return token.start(), token.start()  # the next fence opens: the closing marks were forgotten
    if char == "~" and rest:
        return None
    return token.start(), token.end()


@cache
def _outside(own: str) -> re.Pattern[str]:
    """Return what marks something in a text outside of blocks."""
    first = rf"(?P<own>{re.escape(own)})|" if own else ""
    return re.compile(
        first + rf"(?P<think><(?:{THINKING_TAGS})>|\[THINK\])|(?P<thought></(?:{THINKING_TAGS})>|\[/THINK\])"
        r"|(?P<code><code(?:\s[^<>\n]{0,200})?>)|(?P<fence>^(?P<indent>[ \t]*)(?:`{3,}|~{3,})|`{3,})",
        re.MULTILINE | re.IGNORECASE,
    )


@cache
def _in_tags(closing: str) -> re.Pattern[str]:
    return re.compile(rf"(?P<close>{re.escape(closing)})|{_BODY}|(?P<line>\n)", re.IGNORECASE)


def _line_end(text: str, at: int) -> int:
    found = text.find("\n", at)
    return len(text) if found < 0 else found


def _without_indent(body: str, indent: str) -> str:
    """Return a fence's body without the indentation that the fence itself has."""
    return "\n".join(line.removeprefix(indent) for line in body.split("\n")) if indent else body


# ---------------------------------------------------------------- which blocks are the code


def _chosen(reader: _Reader) -> Action | None:
    """Return the most explicit blocks of a text, joined; None where it has none that holds code."""
    blocks = [block for block in reader.blocks if block.body.strip()]
    fences = [block for block in blocks if block.kind == "fence"]
    for some in (
        [block for block in blocks if block.kind == "own"],
        [block for block in blocks if block.kind == "code"],
        [block for block in fences if block.label in _PYTHON],
        _likely([block for block in fences if block.label not in _NOT_CODE]),
    ):
        if some:
            return _joined(reader, some)
    for block in fences:
        if block.label == "json" and (found := _json_action(_Reader(block.body, MARKDOWN_TAGS))):
            return found
    inline = [block for block in blocks if block.kind == "inline"]
    return _joined(reader, inline) if inline else None


def _likely(blocks: Sequence[_Block]) -> Sequence[_Block]:
    """Return those of several unlabelled blocks that look like code, where some do: the others show data."""
    if len(blocks) < 2:
        return blocks
    return [block for block in blocks if _looks_like_code(block.body)] or blocks


def _joined(reader: _Reader, blocks: Sequence[_Block]) -> Action:
    bodies = [_unwrapped(block.body) if block.kind in ("own", "code") else block.body for block in blocks]
    return Action(thought=reader.said(blocks[0].start), code="\n\n".join(bodies))


def _unwrapped(code: str) -> str:
    """Return code without a fence that was written inside the tags or the JSON: models do write both."""
    if not code.lstrip().startswith(("```", "~~~")):
        return code
    fences = [block.body for block in _Reader(code, MARKDOWN_TAGS).blocks if block.kind == "fence"]
    return "\n\n".join(fences) or code


def _json_action(reader: _Reader) -> Action | None:
    """Return the action of the first JSON object with a "code" field, or None."""
    text = reader.said()
    if '"code"' not in text:
        return None
    for value in json_objects(text):
        if isinstance(value.get("code"), str):
            thought = value.get("thought") or value.get("thoughts") or text[: text.find("{")]
            return Action(thought=str(thought), code=_unwrapped(str(value["code"])))
    return None


def _bare(text: str) -> Action | None:
    """Return text that is nothing but code, or prose followed by a blank line and code, or None."""
    body = text.strip("\n").rstrip().removesuffix("```").rstrip()  # only the closing fence was written
    lines = body.split("\n")
    first = _code_begins(lines)
    if first is None:
        return None
    return Action(thought="\n".join(lines[:first]), code="\n".join(lines[first:]))


def _code_begins(lines: Sequence[str]) -> int | None:
    """Return the first line from which on, behind a blank line or at the start, everything looks like code; or None."""
    best, sure = None, False
    for number in range(len(lines) - 1, -1, -1):
        line = lines[number][:_LONGEST_LINE]
        if line.strip() and not line[0].isspace() and line[0] not in ")]}":
            starts = _CODE_LINE.match(line) is not None
            if not starts and not _FOLLOWING_LINE.match(line):
                return best
            sure = sure or (starts and line[0] != "#")
        if sure and line.strip() and (number == 0 or not lines[number - 1].strip()):
            best = number
    return best


def _looks_like_code(text: str) -> bool:
    """Return whether every line that starts at the margin can begin a statement, and one surely does."""
    lines = text.strip("\n").split("\n")
    return _code_begins(lines) == 0


# ---------------------------------------------------------------- what is left of the wrapping


def _cleaned(code: str) -> str:
    """Return code without byte order marks, end tags glued to it, indentation of the whole, and prompts of a shell."""
    code = code.strip("\n").lstrip(_INVISIBLE).rstrip()
    end = len(code)
    while code.endswith(_GLUED, 0, end):
        end -= max(len(tag) for tag in _GLUED if code.endswith(tag, 0, end))
        while code[end - 1 : end].isspace():
            end -= 1
    code = textwrap.dedent(code[:end].strip("\n")).rstrip()
    return _without_prompts(code) if _PROMPT.match(code) else code


def _without_prompts(code: str) -> str:
    """Return what was typed at the prompts of an interactive session, without what it answered."""
    prompts = [(line, _PROMPT.match(line)) for line in code.split("\n")]
    return "\n".join(line[prompt.end() :] for line, prompt in prompts if prompt)


_PROMPT = re.compile(r"(?:>>>|\.\.\.|In \[\d{1,9}\]:| {1,20}\.\.\.:)(?: |$)")


def _refuse_notebook_lines(code: str) -> None:
    """Raise for `!pip …` and `%magic`, which only notebooks understand.

    Raises:
        CompletionInvalid: Names the line.
    """
    if "!" not in code and "%" not in code:
        return
    for start in _statement_lines(code):
        found = _NOTEBOOK_LINE.match(code, start)
        if found:
            raise CompletionInvalid(_NOTEBOOK.format(line=found[0]))


def _statement_lines(code: str) -> Iterator[int]:
    """Yield where lines begin that are in no string and in no brackets."""
    yield 0
    quote, depth, at = "", 0, 0
    while (token := _IN_CODE.search(code, at)) is not None:
        at = token.end()
        if token[0] == "#":
            at = at if quote else _line_end(code, at)
        elif token["quote"]:
            quote = token[0] if not quote else "" if token[0] == quote else quote
        elif token["depth"] and not quote:
            depth += 1 if token[0] in "([{" else -1
        elif token["end"]:
            quote = quote if len(quote) == 3 else ""
            if not quote and depth <= 0:
                yield at


def shown_call(code: str, tools: Container[str]) -> str:
    """Return what to add to code whose last statement keeps a tool's result, so that its value is shown; else ""."""
    last = 0
    for start in _statement_lines(code):
        last = start if code[start : start + 1].strip(" \t\n)]}") else last
    found = _KEPT_CALL.match(code, last)
    return f"\n{found['name']}" if found and found["called"] in tools else ""
