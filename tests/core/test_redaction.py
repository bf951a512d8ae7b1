"""Secrets are masked however a text came to hold them: encoded, cut, in a URL, as a key."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pinjra.agents.approval import AuditLog
from pinjra.core.json_data import json_text, plain
from pinjra.core.redaction import MASK, redact, settled, shortened

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
