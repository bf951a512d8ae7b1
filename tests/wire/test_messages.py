"""Messages <-> JSON fields, strictly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinjra.core.errors import ProtocolViolation
from pinjra.wire.frames import FrameReader
from pinjra.wire.messages import (
    FROM_GUEST,
    FROM_SUPERVISOR,
    TO_GUEST,
    TO_SUPERVISOR,
    Assembler,
    Message,
    from_fields,
    pack,
)

ALL = {**TO_SUPERVISOR, **FROM_SUPERVISOR, **TO_GUEST, **FROM_GUEST}
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
TREE = st.recursive(
    st.one_of(st.none(), st.booleans(), WHOLE, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=5,
)
BY_TYPE: Mapping[str, st.SearchStrategy[object]] = {
    "int": WHOLE,
    "float": NUMBER,
    "str": st.text(),
    "str | None": st.none() | st.text(),
    "bool": st.booleans(),
    "Value": TREE,
    "tuple[str, ...]": st.lists(st.text()).map(tuple),
    "dict[str, int]": st.dictionaries(st.text(), WHOLE),
    "dict[str, int] | None": st.none() | st.dictionaries(st.text(), WHOLE),
    "dict[str, int | float | None]": st.dictionaries(st.text(), st.one_of(WHOLE, NUMBER, st.none())),
    "dict[str, dict[str, str | bool]]": st.dictionaries(
        st.text(), st.dictionaries(st.text(), st.one_of(st.text(), st.booleans()))
    ),
    "float | None": st.one_of(NUMBER, st.none()),
    "int | None": st.one_of(WHOLE, st.none()),
    "dict[str, str | int | bool | None] | None": st.one_of(
        st.none(), st.dictionaries(st.text(), st.one_of(st.text(), WHOLE, st.booleans(), st.none()))
    ),
}


def messages(cls: type[Message]) -> st.SearchStrategy[Message]:
    parts = {f.name: BY_TYPE[str(f.type)] for f in fields(cls) if f.name != "blobs"}
    return st.builds(cls, **parts, blobs=st.lists(st.binary(max_size=300), max_size=3).map(tuple))


any_message = st.sampled_from(sorted(ALL)).flatmap(lambda name: messages(ALL[name]))


@given(any_message, st.booleans())
def test_every_message_comes_back_with_its_blobs(message: Message, raw: bool) -> None:
    data = b"".join(b'["g",' + rest + bytes(body) for rest, body in pack(message, raw=raw))
    assembler = Assembler(ALL)
    found = [assembler.add(frame) for frame in FrameReader(numbered=False, raw=True).feed(data)]
    assert found[-1] == message
    assert found[:-1] == [None] * (len(found) - 1)


def test_fields_longer_than_a_line_travel_beside_it() -> None:
    message = ALL["Execute"](run=1, code="x = 'é'\n" * 400_000)  # type: ignore[call-arg]
    frames = [rest for rest, _ in pack(message, raw=False)]
    assert max(map(len, frames)) < 1 << 20
    assembler = Assembler(ALL)
    reader = FrameReader(numbered=False, raw=True)
    found = [assembler.add(f) for f in reader.feed(b"".join(b'["g",' + rest for rest in frames))]
    assert found[-1] == message


@pytest.mark.parametrize(
    ("kind", "tree", "why"),
    [
        ("Nothing", {}, "unknown message"),
        ("Execute", {"run": 1}, "missing 1 required keyword-only argument: 'code'"),
        ("Execute", {"run": 1, "code": "", "extra": 1}, "unknown field"),
        ("Execute", {"run": True, "code": ""}, "wrong value"),
        ("Execute", {"run": 1.0, "code": ""}, "wrong value"),
        ("Execute", {"run": 1 << 63, "code": ""}, "wrong value"),
        ("Execute", {"run": 1, "code": 1}, "wrong value"),
        ("Execute", {"run": 1, "code": "", "blobs": []}, "unknown field"),
        ("Execute", [1, ""], "not an object"),
        ("Finished", {"run": 1, "cpu_seconds": float("nan")}, "wrong value"),
        ("Finished", {"run": 1, "notes": "abc"}, "wrong value"),
        ("Finished", {"run": 1, "notes": [1]}, "wrong value"),
        ("Finished", {"run": 1, "error": {"type": []}}, "wrong value"),
        ("Finished", {"run": 1, "is_final": 1}, "wrong value"),
        ("Interrupt", {"grace_seconds": True}, "wrong value"),
    ],
)
def test_fields_that_do_not_fit_are_refused(kind: str, tree: object, why: str) -> None:
    with pytest.raises(ProtocolViolation, match=why):
        from_fields(kind, tree, (), ALL)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (['"+",1,"",1]'], "out of order"),
        (['"+",0,"AAAA",0]'], "out of order"),
        (['"+",0,"AAAA",1]', '"+",0,"AAAA",1]'], "out of order"),
        (['"+",0,"A",1]'], "base64"),
        (['"+",0,"****",1]'], "not a blob frame"),
        (['"Ack",{},1]'], "a kind and its fields"),
        (['"Ack"]'], "a kind and its fields"),
        (['"Ack",null]'], "without fields"),
        (["1,{}]"], "a kind and its fields"),
        (['"Ack",{}'], "not JSON"),
    ],
)
def test_frames_that_make_no_message_are_refused(lines: list[str], why: str) -> None:
    assembler = Assembler(ALL)
    with pytest.raises(ProtocolViolation, match=why):
        for frame in FrameReader(numbered=False, raw=True).feed(
            "".join(f'["g",{line}\n' for line in lines).encode()
        ):
            assembler.add(frame)


def test_a_message_beyond_its_bytes_is_refused_while_it_comes() -> None:
    assembler = Assembler(ALL, 600_000)
    frames = list(
        FrameReader(numbered=False, raw=True).feed(
            b"".join(
                b'["g",' + rest + bytes(body)
                for rest, body in pack(ALL["Ack"](blobs=(bytes(700_000),)), raw=True)
            )
        )
    )
    assert [assembler.add(frame) for frame in frames[:2]] == [None, None]
    with pytest.raises(ProtocolViolation, match="more than 600000 bytes"):
        assembler.add(frames[2])
