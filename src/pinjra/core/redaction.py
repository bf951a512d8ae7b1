"""Text -> text without secrets: shapes of tokens, passwords in URLs, and values of this process's secret variables.

A secret is found as it is, and as JSON, `repr` and URLs write it, nested a few times; also the piece of one that is left where a
text was cut. Whoever cuts a text masks it first (`shortened`): a piece of fewer than eight characters says nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from urllib.parse import unquote

from pinjra.core.safe_text import cut_middle
from pinjra.core.value_text import encodable

MASK = "[secret]"
SHORTEST = 8  # characters; a shorter value would mask ordinary words, a shorter piece of one says nothing
_SHORTEST_LINE = 16  # of a secret of several
_ESCAPES = 16  # backslashes in front of one character: JSON in JSON in a repr in JSON has fifteen
# What stands where a text was cut, of four dots the last three; at its side a line may end, or a quote close.
_MARK = r"…|\.\.\.(?!\.)"
_EDGES = "'\" \n"
# What a shape must be followed by when fewer characters than usual are left of it: the end of a text that was cut.
_CUT = rf"(?=\Z|[{_EDGES}]?(?:{_MARK}))"
# Shapes that providers document for their tokens; long enough that no word of a text is one. (prefixes, characters, at least)
_TOKENS = (
    ("hf_ gsk_ xai- ghp_ gho_ ghu_ ghs_ ghr_ bl_", "[A-Za-z0-9]", 20),
    ("sk-", "[A-Za-z0-9_-]", 20),
    ("sk_live_ sk_test_ rk_live_ rk_test_", "[A-Za-z0-9]", 16),
    ("github_pat_", r"\w", 20),
    ("glpat-", r"[\w-]", 20),
    ("xoxa- xoxb- xoxe- xoxp- xoxr- xoxs-", r"[\w-]", 10),
    ("AKIA ASIA", "[0-9A-Z]", 16),
    ("AIza pypi-", r"[\w-]", 30),
    ("npm_", "[A-Za-z0-9]", 30),
    ("e2b_", "[0-9a-f]", 20),
)
# Where a token may begin: not within a word, but behind an escape, whose last character would be one: of a repr or JSON (\n,
# \x1b, \u0000), of a URL (%3D), of a terminal (ESC[32m).
_BEGIN = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrtbfav])|(?<=%[0-9A-Fa-f]{2})|(?<=\\x[0-9a-f]{2})|(?<=\\u[0-9a-fA-F]{4})|(?<=[\[0-9;]m))"
_PREFIXES = [prefix for prefixes, _, _ in _TOKENS for prefix in prefixes.split()]
_SHAPES = re.compile(
    f"(?=[{''.join({prefix[0] for prefix in _PREFIXES})}]){_BEGIN}(?:"
    + "|".join(f"(?:{'|'.join(p.split())})(?:{c}{{{n},}}|{c}{{4,}}{_CUT})" for p, c, n in _TOKENS)
    + ")"
)
# The whole run of characters is taken, with or without a payload: looked for from each "eyJ" in it, it would be read as often.
_WEB_TOKEN = re.compile(rf"(?=eyJ){_BEGIN}eyJ[\w-]{{8,}}(?P<payload>\.eyJ[\w.-]{{4,}})?")
_PRIVATE_KEY = re.compile(r"-----(?P<side>BEGIN|END) [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_URL_PASSWORD = re.compile(
    r"(?:(?<=://)|(?<=:\\/\\/))(?P<user>[^\s:/@\"'<>]{0,200}:)?(?P<secret>[^\s/\"'<>]+)@"
)
_LONGEST_USER = 15  # characters before "@" that may be a user without a password; a token is longer
_PARAMETER = re.compile(
    r"(?P<name>[?&;#](?:[\w-]{0,40}[_-]|\w{0,40}(?-i:(?<=[a-z])(?=[A-Z])))?(?:token|key|apikey|secret|password|passwd|pwd|sig|signature)=)(?P<secret>[^\s&\"'<>]{6,})",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"(?P<name>\bx-api-key[\"']?\s{0,3}[:=,]\s{0,3}b?[\"']?|"
    r"\b(?:authorization[\"']?\s{0,3}[:=,]\s{0,3}b?[\"']?(?:basic|bearer|token)|bearer)\s{1,3})(?P<secret>[\w.=+/~-]{8,})",
    re.IGNORECASE,
)
_SECRET_NAME = re.compile(
    r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|PWD|CREDENTIAL|(?:^|_)PASS|(?:^|_)PAT)S?(?:_BASE|_\d{1,3})?$"
)
_ENDS_WITH_SECRET_NAME_BUT_IS_A_PATH = ("PWD", "OLDPWD")
_WORDS = 3  # of a line, of which the first may say that the last is a secret
_TRIES = 12  # words that one secret may have
_LONGEST_SECRET = 8192  # characters; a private key is shorter, too
_MOST_MASKED = 1 << 20  # characters; of a longer text the middle, which is not shown, is not looked at
_PLAIN = re.compile(r"[A-Za-z0-9_.-]*")  # characters that no encoding changes


def redact(text: str) -> str:
    """Return `text` with tokens of known shapes, passwords in URLs and values of secret variables masked."""
    return redactor()(text)


def without(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with these secrets masked, however they are escaped."""
    for secret, anchor, pattern in _entries(tuple(secrets)):
        if anchor in text:
            text = text.replace(secret, MASK) if pattern is None else pattern.sub(MASK, text)
    return text


def redactor() -> Callable[[str], str]:
    """Return `redact` for many texts: the environment is looked at once, as it is now."""
    return partial(_redact, _secrets_of(tuple(os.environ.items())))


def _redact(secrets: list[_Entry], text: str) -> str:
    # What a pattern needs is looked for first: most texts are none, and a search is a hundred times as fast as a pattern.
    for secret, anchor, pattern in secrets:
        if anchor in text:
            text = text.replace(secret, MASK) if pattern is None else pattern.sub(MASK, text)
    text = _without_private_keys(text)
    if any(prefix in text for prefix in _PREFIXES):
        text = _SHAPES.sub(MASK, text)
    if "eyJ" in text:
        text = _WEB_TOKEN.sub(lambda found: MASK if found["payload"] else found[0], text)
    if "://" in text or ":\\/\\/" in text:
        text = _URL_PASSWORD.sub(_masked_user, text)
    if "=" in text:
        text = _PARAMETER.sub(rf"\g<name>{MASK}", text)
    lower = text.lower()
    if "bearer" in lower or "author" in lower or "x-api-key" in lower:
        text = _HEADER.sub(rf"\g<name>{MASK}", text)
    return _without_pieces(text, [secret for secret, _, _ in secrets])


def settled(text: str) -> int:
    """Return how much of a text that goes on may be masked and shown: what comes may show the rest to be a secret.

    Its last words wait (`Authorization: Bearer …`), what a secret variable begins with, and a block of PEM, until it ends or is
    longer than any is.
    """
    before = max(0, len(text) - _LONGEST_SECRET)
    text = text[before:]
    at = len(text)
    for _ in range(_WORDS):
        at = _word_before(text, at)
    at = max(at, text.rfind("\n") + 1)
    block = text.rfind("-----BEGIN ")
    if block >= 0 and "-----END " not in text[block:]:
        at = min(at, block)
    secrets = _secrets_of(tuple(os.environ.items()))
    at = min([at, *(len(text) - _begun(text, secret, 1) for secret, _, _ in secrets)])
    whole = _redact(secrets, text)
    for _ in range(_TRIES):
        if _redact(secrets, text[:at]) + _redact(secrets, text[at:]) == whole:
            return before + at
        at = _word_before(text, at)  # one that is there is not cut in two
    return before


class Pieces:
    """Text that comes in pieces, to be shown masked as it comes: of two halves of a secret neither is known for one.

    Args:
        by_line: Show whole lines only.
    """

    def __init__(self, *, by_line: bool = False) -> None:
        self._held = ""
        self._by_line = by_line

    def add(self, text: str) -> str:
        """Take the next piece; return what may be shown, masked."""
        text = self._held + text
        at = settled(text)
        if self._by_line:
            at = text.rfind("\n", 0, at) + 1
        self._held = text[at:]
        return redact(text[:at])

    def rest(self) -> str:
        """Return what was held back: nothing more comes."""
        text, self._held = self._held, ""
        return redact(text)


def _word_before(text: str, at: int) -> int:
    """Return where the word begins that ends before `at`."""
    end = len(text[:at].rstrip())
    return max(text.rfind(blank, 0, end) for blank in " \t\r\n") + 1


def cut(text: str, length: int) -> str:
    """Return head and tail of a text, about `length` characters; masked before it is cut, or half a secret would be left."""
    return cut_middle(redact(encodable(cut_middle(text, max(length, _MOST_MASKED)))), length)


def begun(text: str, length: int, mask: Callable[[str], str] = redact) -> str:
    """Return the first `length` characters of a text, masked before it is cut."""
    return mask(encodable(text[: length + _LONGEST_SECRET]))[:length]


def without_key_lines(items: Iterable[object]) -> list[object]:
    """Return items of a list; of the lines of a private key's file those behind the first are masked."""
    kept: list[object] = []
    inside = 0  # characters of it that may follow
    for item in items:
        marks = _PRIVATE_KEY.findall(item) if type(item) is str and "PRIVATE KEY" in item else []
        kept.append(MASK if inside > 0 and type(item) is str else item)
        if marks:
            inside = _LONGEST_SECRET if marks[-1] == "BEGIN" else 0
        inside -= len(item) if type(item) is str else 0
    return kept


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters of `text` and how many there were; masked before it is cut."""
    safe = redact(text)
    return safe if len(safe) <= length else f"{safe[:length]} … ({len(safe)} characters)"


# A secret value, its longest part that no encoding changes, and a pattern where encodings do change it.
_Entry = tuple[str, str, re.Pattern[str] | None]


@lru_cache(maxsize=4)
def _secrets_of(environment: tuple[tuple[str, str], ...]) -> list[_Entry]:
    """Return the secret values among variables."""
    values: set[str] = set()
    for name, value in environment:
        upper = name.upper()
        if _SECRET_NAME.search(upper) and upper not in _ENDS_WITH_SECRET_NAME_BUT_IS_A_PATH:
            # of a file, with its line's end; and what has several lines is shown line by line
            values |= {
                value,
                value.strip(),
                *(line for line in value.split("\n") if len(line) >= _SHORTEST_LINE),
            }
        for found in _URL_PASSWORD.finditer(value) if "://" in value else ():
            if found["user"]:
                values |= {found["secret"], unquote(found["secret"])}
    return _entries(tuple(value for value in values if len(value) >= SHORTEST))


@lru_cache(maxsize=64)
def _entries(values: tuple[str, ...]) -> list[_Entry]:
    made = [
        (value, max(_PLAIN.findall(value), key=len), None if _PLAIN.fullmatch(value) else _encoded(value))
        for value in values
    ]
    return sorted(made, key=lambda entry: len(entry[0]), reverse=True)  # a secret may hold another one


def _encoded(secret: str) -> re.Pattern[str]:
    """Return a pattern of a secret as JSON, repr, ascii and URLs write it."""
    # Backslashes that meet are one part: parts that could share them out would be tried in every way.
    parts = re.findall(r"\\+|[^\\]", secret)
    return re.compile("".join(map(_encoded_part, parts)), re.IGNORECASE)


def _encoded_part(char: str) -> str:
    """Return a pattern of one character, or of some backslashes."""
    if char[0] == "\\":
        count = len(char)
        return rf"(?:\\{{{count},{count * _ESCAPES}}}|(?:%5c){{{count}}})"
    if _PLAIN.fullmatch(char):
        return f"(?-i:{re.escape(char)})"
    code = ord(char)
    slashes = rf"\\{{0,{_ESCAPES}}}"
    forms = [f"(?-i:{re.escape(char)})", rf"u{code:04x}", rf"x{code:02x}", rf"U{code:08x}"]
    if code > 0xFFFF:  # JSON writes two halves
        high, low = 0xD800 + (code - 0x10000 >> 10), 0xDC00 + (code - 0x10000 & 0x3FF)
        forms.append(rf"u{high:04x}\\{{1,{_ESCAPES}}}u{low:04x}")
    if char in "\n\t\r\b\f":
        forms.append({"\n": "n", "\t": "t", "\r": "r", "\b": "b", "\f": "f"}[char])
    raw = char.encode("utf-8", "surrogatepass")
    percent = "".join(f"%{byte:02x}" for byte in raw) + (r"|\+" if char == " " else "")
    halves = rf"\\{{1,{_ESCAPES}}}".join(f"x{byte:02x}" for byte in raw)  # as repr writes bytes
    return rf"(?:{slashes}(?:{'|'.join([*forms, halves])})|{percent})"


def _without_private_keys(text: str) -> str:
    """Return `text` without PEM blocks of private keys; one that was cut ends with the text."""
    if "PRIVATE KEY" not in text:
        return text
    pieces, at, inside = [], 0, False
    for mark in _PRIVATE_KEY.finditer(text):
        if mark["side"] == "BEGIN" and not inside:
            pieces += [text[at : mark.start()], MASK]
            inside = True
        elif mark["side"] == "END" and inside:
            at, inside = mark.end(), False
    return "".join(pieces) + ("" if inside else text[at:])


def _masked_user(match: re.Match[str]) -> str:
    if match["user"]:
        return f"{match['user']}{MASK}@"
    return match[0] if len(match["secret"]) <= _LONGEST_USER else f"{MASK}@"


def _without_pieces(text: str, secrets: list[str]) -> str:
    """Return `text` without the piece of a secret that is left at its ends or at marks of what was cut out."""
    if not secrets:
        return text
    pieces = re.split(f"({_MARK})", text) if "…" in text or "..." in text else [text]
    if len(pieces) > 400:  # dots everywhere: only the ends are looked at, so that this stays cheap
        pieces = [text]
    last = len(pieces) - 1
    for at in range(0, last + 1, 2):
        piece = _trimmed(pieces[at], secrets)
        start = int(at > 0 and piece[:1] in _EDGES)
        end = len(piece) - int(at < last and piece[-1:] in _EDGES)
        if start or end < len(piece):
            piece = piece[:start] + _trimmed(piece[start:end], secrets) + piece[max(start, end) :]
        pieces[at] = piece
    return "".join(pieces)


def _trimmed(piece: str, secrets: list[str]) -> str:
    for secret in secrets:
        # SECURITY: most ends hold no piece of it: told at C speed, or a long key is tried at each of many marks in every size.
        if secret[:SHORTEST] not in piece[-len(secret) :] and secret[-SHORTEST:] not in piece[: len(secret)]:
            continue
        sizes = _sizes(piece, secret, SHORTEST)
        head = _begun(piece, secret, SHORTEST)
        piece = piece[: len(piece) - head] + (MASK if head else "")
        tail = next((size for size in sizes if piece.startswith(secret[-size:])), 0)
        piece = (MASK if tail else "") + piece[tail:]
    return piece


def _sizes(text: str, secret: str, least: int) -> range:
    """Return how much of a secret may stand at an end of `text`, the most first."""
    return range(min(len(secret) - 1, len(text)), least - 1, -1)


def _begun(text: str, secret: str, least: int) -> int:
    """Return with how many characters of a secret `text` ends, 0 for fewer than `least`."""
    return next((size for size in _sizes(text, secret, least) if text.endswith(secret[:size])), 0)
