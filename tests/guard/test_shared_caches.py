"""Caches and settings of the process that guest code reaches: the host finds its own answers there, after a run and in a tool."""

from __future__ import annotations

import datetime
import decimal
import fractions
import random
import re
import struct
import typing
import zoneinfo

import pytest

from pinjra.core.limits import Limits
from pinjra.executors.local import LocalPythonExecutor

_EVIL = """
import datetime, fractions, re, struct, typing, zoneinfo
class Text(str):
    def __hash__(self): return hash(self.like)
    def __eq__(self, other): return True
class Number(int):
    def __hash__(self): return hash(self.like)
    def __eq__(self, other): return True
class Other:
    def __hash__(self): return self.like
    def __eq__(self, other): return True
    def __call__(self): pass
def evil(made, like):
    made.like = like
    return made
def attempt(f):
    try: f()
    except Exception: pass
"""
# How the guest leaves a key behind, what the host asks then, and the right answer.
_KEYS = {
    "struct": (
        "struct.unpack(evil(Text('>H'), '<H'), bytes(2))",
        lambda: struct.unpack("<H", b"\1\0"),
        (1,),
    ),
    "strptime": (
        "datetime.datetime.strptime('01 02', evil(Text('%y %m'), '%m %y'))",
        lambda: datetime.datetime.strptime("01 02", "%m %y").month,
        1,
    ),
    "Literal": (
        "typing.Literal[evil(Other(), hash(5))]",
        lambda: typing.Literal[5].__args__,  # type: ignore[attr-defined]
        (5,),
    ),
    "List": (
        "typing.List[evil(Other(), hash(int))]",
        lambda: typing.get_args(typing.List[int]),  # noqa: UP006
        (int,),
    ),
    "zone": (
        "zoneinfo.ZoneInfo(evil(Text('Europe/Rome'), 'Asia/Tokyo'))",
        lambda: str(zoneinfo.ZoneInfo("Asia/Tokyo")),
        "Asia/Tokyo",
    ),
    "flags": (
        "re.compile('abcd', evil(Number(2), 0)); re.compile('abcd', evil(Other(), 0))",
        lambda: re.compile("abcd").flags & re.I,
        0,
    ),
    "flag members": (
        "re.RegexFlag(evil(Number(99), 90)); re.I | evil(Number(99), 90)",
        lambda: (re.X | re.U | re.M | re.DOTALL | re.RegexFlag(90)).value,
        90 | 64 | 32 | 8 | 16,
    ),
    "templates": (
        "re.sub('(q)', evil(Text(r'\\\\1y'), r'\\1z'), 'q')",
        lambda: re.sub("(q)", r"\1z", "q"),
        "qz",
    ),
    "fractions": (
        "hash(fractions.Fraction(evil(Number(7), 7919), 5))",
        lambda: hash(fractions.Fraction(7919, 5)) == hash(fractions.Fraction(7919 * 3, 15)),
        True,
    ),
}


@pytest.mark.parametrize("name", _KEYS)
def test_a_key_that_a_guest_leaves_in_a_cache_gives_the_host_no_answer(name: str) -> None:
    source, ask, answer = _KEYS[name]
    lines = "".join(f"attempt(lambda: {part})\n" for part in source.split("; "))
    heard: list[object] = []
    with LocalPythonExecutor() as box:
        box.send_tools({"ask": lambda: heard.append(ask())})
        assert box.run(_EVIL + lines + "ask()\n1").error is None
        assert box.run(_EVIL + lines + "1").value == 1
        assert ask() == answer
    assert heard == [answer]


def test_a_tool_computes_with_the_decimal_context_of_the_host() -> None:
    with LocalPythonExecutor() as box:
        box.send_tools({"third": lambda: str(decimal.Decimal(1) / 3)})
        done = box.run(
            "import decimal\ndecimal.getcontext().prec = 2\n[third(), str(decimal.Decimal(1) / 3)]"
        )
        assert done.value == [str(decimal.Decimal(1) / 3), "0.33"]


async def _third() -> str:
    return str(decimal.Decimal(1) / 3)


def test_a_tool_that_waits_computes_with_the_decimal_context_of_the_host() -> None:
    with LocalPythonExecutor(limits=Limits(wall_seconds=30)) as box:
        box.send_tools({"third": _third})
        done = box.run("import decimal\ndecimal.getcontext().prec = 2\nawait third()")
        assert done.value == str(decimal.Decimal(1) / 3)


def test_drawing_from_a_distribution_leaves_the_generator_of_the_host_alone() -> None:
    before = random.getstate()
    with LocalPythonExecutor() as box:
        assert box.run("import statistics\nlen(statistics.NormalDist().samples(3))").value == 3
    assert random.getstate() == before


@pytest.mark.parametrize(
    "code", ["catch_warnings(record=True)", "catch_warnings(action='error')", "simplefilter('error')"]
)
def test_a_program_that_wants_to_know_of_warnings_is_told_that_it_cannot(code: str) -> None:
    with LocalPythonExecutor(["warnings"]) as box:
        error = box.run(f"import warnings\nwarnings.{code}").error
        assert error is not None
        assert "warnings cannot be recorded or raised here" in error.message
        assert box.run("with warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n7").value == 7
