"""Secrets are masked however a text came to hold them: encoded, cut, in a URL, as a key."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from urllib.parse import quote, quote_plus

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pinjra.agents.approval import AuditLog
from pinjra.core.json_data import json_text, plain
from pinjra.core.redaction import MASK, Pieces, begun, cut, redact, settled, shortened
from pinjra.core.values import Opaque

INNER: list[Callable[[str], str]] = [
    str,
    quote,
    quote_plus,
    lambda text: quote(text, safe=""),
    lambda text: repr(text.encode()),
]
OUTER: list[Callable[[str], str]] = [
    json.dumps,
    lambda text: json.dumps(text, ensure_ascii=False),
    repr,
    ascii,
    lambda text: repr([text]),
]


@contextmanager
def environment(**values: str) -> Iterator[None]:
    os.environ.update(values)
    try:
        yield
    finally:
        for name in values:
            del os.environ[name]


def secrets() -> st.SearchStrategy[str]:
    return st.text(
        st.characters(blacklist_categories=["Cs", "Cn"], blacklist_characters="\0"), min_size=8, max_size=40
    )


@example("000000\\0", lambda text: repr(text.encode()), [json.dumps] * 3, "")
@given(secrets(), st.sampled_from(INNER), st.lists(st.sampled_from(OUTER), max_size=3), st.text(max_size=5))
def test_a_secret_variable_is_masked_however_it_is_written(secret, inner, outer, around):
    written = inner(secret)
    for encode in outer:
        written = encode(written)
    core = written.strip("'\"[]b\\")
    assume(len(core) >= 8 and secret not in around)
    with environment(PINJRA_TEST_TOKEN=secret):
        seen = redact(f"{around}<{written}>{around}")
    assert MASK in seen
    assert core not in seen


@given(
    secrets(),
    st.integers(8, 39),
    st.sampled_from(["…", "...", "", "\n… (9 characters cut) …\n", "'...", " … "]),
)
@example("0000000.0", 8, "...")
@example('0000000"0', 8, "…")
def test_the_piece_of_a_secret_that_a_cut_leaves_is_masked(secret, kept, dots):
    assume(kept < len(secret) and "…" not in secret and "..." not in secret)
    # is it of the piece, or of the dots?
    assume(not secret.startswith(".") and not secret[-kept:].startswith("."))
    with environment(PINJRA_TEST_PASSWORD=secret):
        assert secret[:kept] not in redact(f"x = {secret[:kept]}{dots}")
        assert secret[-kept:] not in redact(f"{dots}{secret[-kept:]} = x")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("postgres://u:hunter2hunter2@db/x", f"postgres://u:{MASK}@db/x"),
        ("redis://:s3cret@cache:6379/0", f"redis://:{MASK}@cache:6379/0"),
        ("https://ghs_16C7e42F292c6912E7710c838347Ae178B4a@github.com/a", f"https://{MASK}@github.com/a"),
        ("ssh://git@github.com/a", "ssh://git@github.com/a"),
        ("http://localhost:8080/a@b", "http://localhost:8080/a@b"),
        ("https://x.org/?q=1&access_token=abcdef123", f"https://x.org/?q=1&access_token={MASK}"),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {MASK}"),
        ("{'Authorization': 'Bearer abcdefgh'}", f"{{'Authorization': 'Bearer {MASK}'}}"),
        ("token sk-abcdefghijklmnopqrstuvwx.", f"token {MASK}."),
        ("sk-abcdefgh", MASK),
        ("sk-abcdefgh is a word", "sk-abcdefgh is a word"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nx", f"{MASK}\nx"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", MASK),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQ\n-----END PGP PRIVATE KEY BLOCK-----\nx", f"{MASK}\nx"),
        ("x-eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdef_-1 y", f"x-{MASK} y"),
        ("a cut eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOi…", f"a cut {MASK}…"),
        ("'a cut hf_abcdefgh'...", f"'a cut {MASK}'..."),
        ("a cut hf_abcdefgh\n… (9 characters cut) …\n", f"a cut {MASK}\n… (9 characters cut) …\n"),
        ("eyJhbGciOiJIUzI1NiJ9 is no token", "eyJhbGciOiJIUzI1NiJ9 is no token"),
        (f"https://oauth2:{'q' * 900}@git.example/a", f"https://oauth2:{MASK}@git.example/a"),
        ("a basic understanding of the authorization", "a basic understanding of the authorization"),
    ],
)
def test_shapes_of_secrets_are_masked_and_ordinary_words_are_not(text, seen):
    assert redact(text) == seen


def test_a_password_inside_a_variable_is_a_secret_too():
    with environment(DATABASE_URL="mysql://root:correct%20horse@db/x"):
        assert redact("it is 'correct horse', written correct%20horse") == f"it is '{MASK}', written {MASK}"


def test_a_text_is_masked_before_it_is_cut():
    with environment(PINJRA_TEST_KEY="0123456789abcdef-key"):
        assert shortened("x" * 15 + "0123456789abcdef-key", 20) == "x" * 15 + f"{MASK[:5]} … (23 characters)"


class Odd:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def test_keys_values_and_descriptions_are_masked():
    token = "hf_abcdefghijklmnopqrstuvwxyz"
    assert plain({token: [token, Odd(f"<{token}>")]}) == {MASK: [MASK, {"type": "Odd", "repr": f"<{MASK}>"}]}


def test_what_is_too_large_to_be_audited_whole_is_cut_and_masked():
    secret = "0123456789abcdef-token"
    with environment(SOME_TOKEN=secret):
        for value in (
            [secret] * 300_000,
            {secret: ["x"] * 300_000},
            *(["x" * (3975 - more), secret * 9000] for more in range(0, 20, 3)),
        ):
            stream = io.StringIO()
            AuditLog(stream, longest=1000 if type(value) is dict else 5000).write(
                "tool_call", arguments=value
            )
            said = json.loads(stream.getvalue())["arguments"]
            assert ("0123456789" in said, "…" in said, len(said) < 6000) == (False, True, True)


def test_a_secret_where_a_description_is_cut_is_masked():
    with environment(SOME_TOKEN="0123456789abcdef-token"):
        seen = plain(Odd("x" * 1985 + "0123456789abcdef-token"))
    assert "0123456789" not in str(seen)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary()
    | st.sampled_from([1, -1]).map(lambda sign: sign * 10**5000),
    lambda inner: st.lists(inner)
    | st.dictionaries(st.text(st.characters()), inner)
    | st.tuples(inner, inner),
)


@given(JSON)
def test_any_value_becomes_json_that_a_strict_reader_takes(value):
    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    text = json_text(value)
    assert text.isascii()
    json.loads(text, parse_constant=refuse)
    text.encode("utf-8")
    json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8")  # no half characters in it either


def test_numbers_that_json_has_no_word_for_are_named():
    assert json_text([float("nan"), float("inf"), -float("inf")]) == '["NaN", "Infinity", "-Infinity"]'
    assert json.loads(json_text(10**5000))["repr"].startswith("0x")


KEY = "-----BEGIN RSA PRIVATE KEY-----\n" + "MIIEowIBAAKCAQEAx\n" * 20 + "-----END RSA PRIVATE KEY-----\n"


@given(
    st.sampled_from(
        [
            "glorious-passphrase of four words",
            "Qx7vBn2Lp9Kd",
            "sk-proj-0123456789abcdefghij",
            KEY,
            "ghp_" + "a1B2" * 9,
        ]
    ),
    st.sampled_from(["", "Authorization: Bearer ", 'curl -H "authorization: token ', "https://me:", "x = '"]),
    st.lists(st.integers(1, 9), min_size=1),
)
def test_of_a_text_that_comes_in_pieces_no_piece_of_a_secret_is_shown(secret, before, sizes):
    text = f"first line\nand then some {before}{secret}@host and more words behind it\nlast line"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOME_TOKEN", "glorious-passphrase of four words")
        patch.setenv("OTHER_KEY", "Qx7vBn2Lp9Kd")
        shown, waits, at = "", "", 0
        for size in cycle(sizes):
            if at >= len(text):
                break
            waits, at = waits + text[at : at + size], at + size
            shown, waits = shown + redact(waits[: settled(waits)]), waits[settled(waits) :]
        shown += redact(waits)
        assert shown == redact(text)
    assert secret[:12] not in shown and secret[-12:] not in shown
    assert shown.startswith("first line\nand then some ") and shown.endswith("last line")


def test_what_waits_is_short_and_a_line_does_not():
    assert settled("one\ntwo\n") == 8
    assert settled("the quick brown fox jumps") == len("the quick ")
    assert settled("x" * 100_000) > 90_000
    assert settled("") == 0


TOKEN = "sk-abcdefghijklmnopqrstuvwxyz0123"


@pytest.mark.parametrize(
    "text",
    [
        repr("key:\n" + TOKEN),
        json.dumps("key\t" + TOKEN),
        json.dumps("\x00" + TOKEN),
        repr(b"\x1b" + TOKEN.encode()),
        f"\x1b[32m{TOKEN}\x1b[0m",
        repr(f"\x1b[1;32m{TOKEN}\x1b[0m"),
        f"q%3D{TOKEN}",
        quote(f"a {TOKEN}"),
        repr("a\neyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abc-def"),
    ],
)
def test_a_token_behind_an_escape_is_one(text):
    seen = redact(text)
    assert MASK in seen
    assert TOKEN[3:] not in seen
    assert "eyJ" not in seen


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        (r"https:\/\/u:hunter3hunter3@db", rf"https:\/\/u:{MASK}@db"),
        ("https://x/cb#access_token=0123456789abcdef", f"https://x/cb#access_token={MASK}"),
        ("https://x/?accessToken=0123456789abcdef&a=1", f"https://x/?accessToken={MASK}&a=1"),
        ("GET /cb?token=0123456789abcdef HTTP/1.1", f"GET /cb?token={MASK} HTTP/1.1"),
        ("x-api-key: 0123456789abcdef", f"x-api-key: {MASK}"),
        ("(b'authorization', b'Basic dXNlcjpwYXNz')", f"(b'authorization', b'Basic {MASK}')"),
        ("['Authorization', 'Bearer dXNlcjpwYXNz']", f"['Authorization', 'Bearer {MASK}']"),
        ("GET /?monkey=bananas1 and ?page=2", "GET /?monkey=bananas1 and ?page=2"),
        ("task-abcdefghijklmnopqrstuvwxyz0123", "task-abcdefghijklmnopqrstuvwxyz0123"),
    ],
)
def test_secrets_of_requests_are_masked_where_no_address_is_written_out(text, seen):
    assert redact(text) == seen


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("K8S_TOKEN", "abcdef0123456789zz\n", "the token is abcdef0123456789zz."),
        ("DB_PASS", "correct-horse", "with correct-horse in it"),
        ("SECRET_KEY_BASE", "correct-horse", "with correct-horse in it"),
        ("API_KEYS", "correct-horse", "with correct-horse in it"),
        ("API_KEY_2", "correct-horse", "with correct-horse in it"),
        ("DEPLOY_KEY", "first-line-of-a-secret\nsecond-line-of-a-secret", "at second-line-of-a-secret"),
    ],
)
def test_a_variable_is_a_secret_as_it_is_set_and_as_it_is_shown(name, value, text):
    with environment(**{name: value}):
        seen = redact(text)
    assert MASK in seen
    assert not any(line in seen for line in value.split())


def test_a_variable_of_another_name_is_none():
    with environment(COMPASS="correct-horse", KEYBOARD="correct-horse", MAX_TOKENS_PER_STEP="correct-horse"):
        assert redact("a correct-horse") == "a correct-horse"


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\nBKcwggSjAgEAAoIBAQ\n-----END PRIVATE KEY-----"
URL = "postgres://other:correcthorse9battery@db/x"


@pytest.mark.parametrize("secret", [TOKEN, PEM, URL])
def test_wherever_a_text_is_cut_no_piece_of_a_secret_is_left(secret):
    """Of a token without its beginning, a password without its "@", lines of a key, nobody can tell what they are."""
    lost = [secret[at : at + 9] for at in range(3, len(secret) - 9) if secret[at : at + 9].isalnum()]
    for before in range(250, 300 + len(secret), 3):
        text = "#" * before + " " + secret + " " + "#" * 1000
        for seen in (cut(text, 450), begun(text, 300), cut(text + secret + "#" * 100, 450)):
            assert not any(piece in seen for piece in lost), seen


def test_lines_of_a_key_in_a_list_are_masked():
    lines = plain([1, "a", *PEM.split("\n"), "b"])
    assert lines == [1, "a", MASK, MASK, MASK, MASK, "b"]
    assert plain(["a -----BEGIN PRIVATE KEY----- b", "c" * 10_000, "d"])[2] == "d"


def test_two_keys_that_are_secrets_stay_two_and_a_name_of_a_class_may_be_one():
    assert plain({TOKEN: 1, TOKEN[:-1] + "x": 2, "a": 3}) == {MASK: 1, f"{MASK} 2": 2, "a": 3}
    assert plain(Opaque(TOKEN, "x", 0)) == {"type": MASK, "repr": "x"}


def test_descriptions_of_many_values_cost_no_more_than_a_few():
    arrays = plain([np.arange(1000) * (1 + 1j) for _ in range(300)])
    assert "…" in arrays[0]["repr"]
    assert "too large to be shown" in arrays[-1]["repr"]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=40), st.sampled_from([TOKEN, PEM, URL]), st.booleans()
)
def test_text_in_pieces_is_masked_as_the_whole_is(sizes, secret, by_line):
    text, at, shown, pieces = f"first line\nthen {secret} and\nmore", 0, [], Pieces(by_line=by_line)
    for size in cycle(sizes):
        shown.append(pieces.add(text[at : at + size]))
        at += size
        if at >= len(text):
            break
    assert "".join([*shown, pieces.rest()]) == redact(text)
    assert not by_line or all(piece.endswith("\n") for piece in shown if piece)
