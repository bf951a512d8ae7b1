"""Patterns and addresses -> where a connection may go; questions for names -> answers."""

from __future__ import annotations

import socket
import struct

import pytest

from pinjra.access.network.names import Names, asked
from pinjra.access.network.rules import Refused, Rules

PUBLIC = "93.184.215.14"


def rules(*patterns: str, leads_to: str = PUBLIC) -> Rules:
    return Rules(patterns, lambda _name, _port: [leads_to])


@pytest.mark.parametrize(
    ("pattern", "name", "port", "is_allowed"),
    [
        ("a.example:", "a.example", 443, True),
        ("a.example:", "a.example", 80, True),
        ("a.example:", "a.example", 8080, False),
        ("a.example:", "b.a.example", 443, False),
        ("a.example:", "a.example.evil", 443, False),
        ("a.example:", "xa.example", 443, False),
        ("*.a.example:", "b.a.example", 443, True),
        ("*.a.example:", "c.b.a.example", 443, True),
        ("*.a.example:", "a.example", 443, False),
        ("*.a.example:", "xa.example", 443, False),
        ("a.example:22", "a.example", 22, True),
        ("a.example:22", "a.example", 443, False),
    ],
)
def test_a_pattern_is_a_name_and_its_ports(pattern: str, name: str, port: int, is_allowed: bool) -> None:
    if is_allowed:
        assert rules(pattern).resolve(name, port) == [PUBLIC]
    else:
        with pytest.raises(Refused, match=f"{name}:{port} is not allowed: add it to network="):
            rules(pattern).resolve(name, port)


INSIDE = ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "::1", "fd00::1", "100.64.0.1"]
NEVER = [
    "169.254.169.254",
    "fe80::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "255.255.255.255",
    "not an address",
    "168.63.129.16",
    "100.100.100.200",
    "fec0::1",
    "3fff::1",
    "64:ff9b:1::a00:1",
]
HIDDEN = ["::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1"]


@pytest.mark.parametrize("address", [*INSIDE, *NEVER, *HIDDEN])
@pytest.mark.parametrize("pattern", ["a.example:", "*.example:443"])
def test_a_name_that_leads_inside_is_refused(pattern: str, address: str) -> None:
    with pytest.raises(Refused, match="not of the internet"):
        rules(pattern, leads_to=address).resolve("a.example", 443)


@pytest.mark.parametrize("address", INSIDE[:6])
def test_a_host_with_its_port_may_be_inside(address: str) -> None:
    assert rules("a.example:443", leads_to=address).resolve("a.example", 443) == [address]


@pytest.mark.parametrize("address", [*NEVER, "::ffff:169.254.169.254"])
def test_what_clouds_keep_keys_at_is_refused_to_every_name(address: str) -> None:
    with pytest.raises(Refused):
        rules("a.example:80", leads_to=address).resolve("a.example", 80)


def test_an_address_is_asked_of_nobody() -> None:
    def ask(_name: str, _port: int) -> list[str]:
        raise AssertionError("it was asked")

    assert Rules(["127.0.0.1:8080"], ask).resolve("127.0.0.1", 8080) == ["127.0.0.1"]


def test_a_name_is_asked_anew_for_each_connection_and_each_answer_is_judged() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], [PUBLIC, "127.0.0.1"]])
    found = Rules(["a.example:"], lambda _name, _port: next(answers))
    assert found.resolve("a.example", 443) == [PUBLIC]
    with pytest.raises(Refused):
        found.resolve("a.example", 443)
    assert found.resolve("a.example", 443) == [PUBLIC]


def question(name: str, kind: int = 1) -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def test_an_allowed_name_has_an_address_of_the_box_and_keeps_it() -> None:
    names = Names()
    reply = names.answer(question("A.example"), asked(question("A.example")), is_allowed=True)
    address = socket.inet_ntoa(reply[-4:])
    assert address.startswith("127.64.")
    assert names.name_of(address) == "a.example"
    assert names.address_of("a.example") == address
    assert names.address_of("b.example") != address


def test_other_names_do_not_exist_and_other_kinds_are_empty() -> None:
    names = Names()
    assert names.answer(question("b.example"), "b.example", is_allowed=False)[3] & 15 == 3
    empty = names.answer(question("a.example", kind=28), "a.example", is_allowed=True)
    assert (empty[3] & 15, struct.unpack("!H", empty[6:8])[0]) == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 12,
        question("a.example")[:-3],
        question("a.example")[:14],
        question("a.example").replace(b"\x01a", b"\xc0a"),
        b"\0" * 2 + b"\x80" + question("a.example")[3:],
        question("a" * 60 + ".x") + b"\0" * 600,
        question("a.example")[:4] + b"\0\2" + question("a.example")[6:],
        question("ü.example".encode().decode("latin-1")),
    ],
)
def test_what_is_no_question_has_no_answer(data: bytes) -> None:
    assert asked(data) is None


def test_names_have_an_end() -> None:
    names = Names()
    found = [names.address_of(f"n{number}.example") for number in range(5000)]
    assert len(set(found)) == 4097
    assert found[-1] is None
