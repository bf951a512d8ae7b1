from __future__ import annotations

import types

import pytest
from tests.guard.support import Session

from pinjra.core.execution import ErrorKind
from pinjra.guard.errors import RefusedAttribute
from pinjra.guard.policy import Kind, check_attribute, is_attribute_allowed, kind_of


@pytest.mark.parametrize("kind", [types.FrameType, types.TracebackType, types.CodeType, types.GeneratorType])
def test_no_name_that_shows_an_internal_object_is_public(kind: type) -> None:
    shown = {"tb_lineno", "tb_next", "tb_lasti", "gi_running", "gi_suspended"}
    leading = [name for name in dir(kind) if "_" in name and name[:1] != "_" and name not in shown]
    assert leading
    assert [name for name in leading if kind_of(name) is not Kind.DENIED] == []


@pytest.mark.parametrize("name", ["__globals__", "__code__", "__closure__", "__builtins__", "$x", "tb_frame"])
def test_a_denied_name_is_denied_however_it_is_spelt(name: str) -> None:
    assert kind_of(name) is Kind.DENIED
    with pytest.raises(RefusedAttribute):
        check_attribute(name)


def test_an_unlisted_dunder_is_private() -> None:
    assert kind_of("__something_new__") is Kind.PRIVATE
    assert not is_attribute_allowed("__something_new__")


def test_a_subclass_of_str_is_no_attribute_name() -> None:
    class Name(str):
        pass

    with pytest.raises(RefusedAttribute):
        check_attribute(Name("real"))


def test_private_attributes_work_on_the_guests_own_objects() -> None:
    source = """
class A:
    def __init__(self): self._x = 1; self.__y = 2
    def f(self): return self._x + self.__y
A().f() + A()._x"""
    assert Session().value(source) == 4


def test_private_attributes_of_host_objects_are_refused() -> None:
    error = Session().error("import random\nrandom.Random()._randbelow(3)")
    assert error.kind is ErrorKind.REFUSED
    assert "private" in error.message


@pytest.mark.parametrize(
    "source",
    [
        "2 ** 10**9",
        "7 * 10**9 * [0]",
        "'a' * 10**12",
        "1 << 10**12",
        "'%999999999999d' % 1",
        "f'{1:{10**12}}'",
        "bytes(10**12)",
    ],
)
def test_a_bomb_is_refused_before_it_runs(source: str) -> None:
    assert Session().error(source).type in ("RefusedOperation", "MemoryError")


@pytest.mark.parametrize(
    "source", ["2 ** 1000 * 3", "[0] * 1000", "1 << 64", "'%5d' % 1", "f'{1:>{10}}'", "10.0 ** 300 * 2"]
)
def test_ordinary_arithmetic_is_pythons(source: str) -> None:
    assert Session().value(source) == eval(source)
