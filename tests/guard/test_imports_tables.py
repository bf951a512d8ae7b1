"""The reviewed tables, looked at as a whole: nothing in them leads further than it should."""

from __future__ import annotations

import builtins
import types

import pytest

from pinjra.core.limits import Limits
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.modules import METHOD_NAMES, PUBLIC, SUBMODULES
from pinjra.guard.policy import Policy
from pinjra.guard.replacements.science import METHODS

GATES = [
    getattr(builtins, name)
    for name in ("eval", "exec", "compile", "open", "__import__", "input", "breakpoint")
]
MUTABLE = (list, dict, set, bytearray)
# Class attributes that guest code can read, change, and thereby change for the host: reviewed, harmless.
HARMLESS = {"__annotations__", "__type_params__"}


def modules() -> list[str]:
    inner = [
        f"{parent}.{name}" for parent in DEFAULT_AUTHORIZED for name in sorted(SUBMODULES.get(parent, ()))
    ]
    return [*DEFAULT_AUTHORIZED, *(name for name in inner if name in PUBLIC)]


def given(name: str) -> dict[str, object]:
    interpreter = Interpreter(Policy((*DEFAULT_AUTHORIZED,)), limits=Limits(), write=lambda s, t: None)
    outcome = interpreter.run(f"import {name} as m\n{{n: getattr(m, n) for n in dir(m) if n[:1] != '_'}}")
    assert outcome.error is None, outcome.error
    assert isinstance(outcome.value, dict)
    return outcome.value


@pytest.mark.parametrize("name", [n for n in modules() if n != "string.templatelib"])
def test_a_module_gives_no_module_and_no_gate(name: str) -> None:
    values = given(name)
    assert set(values) <= set(PUBLIC[name].split()) | set(SUBMODULES.get(name, ()))
    for item, value in values.items():
        assert not isinstance(value, types.ModuleType), item
        assert not any(value is gate for gate in GATES), item


@pytest.mark.parametrize("name", [n for n in modules() if n != "string.templatelib"])
def test_nothing_a_module_gives_is_a_container_that_the_host_shares(name: str) -> None:
    real = vars(__import__(name, fromlist=["x"]))
    for item, value in given(name).items():
        if isinstance(value, MUTABLE):
            assert value is not real[item], item
        if not isinstance(value, type):
            continue
        for base in value.__mro__:
            for attribute, held in vars(base).items():
                if attribute.startswith("_") or attribute in HARMLESS:
                    continue
                assert not isinstance(held, MUTABLE) or base.__module__ == value.__module__, (item, attribute)
                shared = getattr(real.get(value.__name__), attribute, None)
                assert not isinstance(held, MUTABLE) or held is not shared, (item, attribute)


@pytest.mark.parametrize("name", [n for n in modules() if n != "string.templatelib"])
def test_no_stand_in_carries_what_it_stands_for(name: str) -> None:
    for item, value in given(name).items():
        real = vars(__import__(name, fromlist=["x"])).get(item)
        if value is not real and isinstance(value, types.FunctionType):
            assert not hasattr(value, "__wrapped__"), item


def test_every_guarded_method_name_has_its_guard() -> None:
    assert set(METHODS) == METHOD_NAMES
