"""The page on familiar names speaks of every one, and what it says holds."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

import pinjra

from .familiar import installed_names, pinned_names

PAGE = Path(__file__).parents[2] / "docs" / "names.md"
ROWS = re.findall(r"^\| (`.+?) \| (.+) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
WORDS = ("works", "renamed to `", "left out because ")
SAID = {name: right for left, right in ROWS for name in re.findall(r"`([^`]+)`", left)}
# What every model behind an SDK takes besides its own parameters; `ApiModel` takes them out of the options.
COMMON = {"client", "retry", "requests_per_minute", "custom_role_conversions", "flatten_messages_as_text"}
_FORM = re.compile(r"(?P<path>[\w.]+)(?:\((?P<parameter>\w+)=\))?")


def test_the_page_speaks_of_every_name_once() -> None:
    listed = [name for left, _ in ROWS for name in re.findall(r"`([^`]+)`", left)]
    assert sorted(listed) == pinned_names()


def test_the_pinned_names_are_those_of_the_library() -> None:
    names = installed_names()
    if names is None:
        pytest.skip("the library is not installed in this version; the pinned list stands for it")
    assert names == pinned_names()


def test_every_row_says_one_of_three_things() -> None:
    assert [right for _, right in ROWS if not right.startswith(WORDS)] == []


@pytest.mark.parametrize("name", [name for name, right in SAID.items() if right.startswith("works")])
def test_a_name_that_works_is_there(name: str) -> None:
    match = _FORM.fullmatch(name)
    assert match is not None
    path = match["path"]
    found = thing(f"pinjra.{path}")
    if match["parameter"]:
        taken = parameters(found)
        assert match["parameter"] in taken | (COMMON if "options" in taken else set())
    elif "." not in path:
        assert path in pinjra.__all__


@pytest.mark.parametrize("name", [name for name, right in SAID.items() if right.startswith("renamed to")])
def test_what_a_name_is_called_here_is_there(name: str) -> None:
    targets = re.findall(r"`(\w[\w.]*)`", SAID[name])
    assert targets
    for target in targets:
        if target not in ("run", "pinjra"):
            thing(target if target.startswith("pinjra.") else f"pinjra.{target}")


@pytest.mark.parametrize("name", [name for name, right in SAID.items() if right.startswith("left out")])
def test_a_name_that_is_left_out_is_not_there(name: str) -> None:
    match = _FORM.fullmatch(name)
    assert match is not None
    if match["parameter"]:
        assert match["parameter"] not in parameters(thing(f"pinjra.{match['path']}"))
        return
    with pytest.raises(AttributeError):
        thing(f"pinjra.{match['path']}")


def thing(path: str) -> object:
    """Return what a dotted path names: module, object, method or dataclass field."""
    found: object = pinjra
    for number, part in enumerate(parts := path.split("."), 1):
        if number == 1:
            continue
        if inspect.ismodule(found) and not hasattr(found, part):
            try:
                found = importlib.import_module(".".join(parts[:number]))
            except ModuleNotFoundError:
                raise AttributeError(path) from None
        elif inspect.isclass(found) and part in getattr(found, "__annotations__", {}):
            found = part
        else:
            found = getattr(found, part)
    return found


def parameters(owner: object) -> set[str]:
    """Return the parameters of a function, or of a class and the classes above that it hands the rest to."""
    if not inspect.isclass(owner):
        return set(inspect.signature(owner).parameters)  # type: ignore[arg-type]
    found: set[str] = set()
    for cls in owner.__mro__[:-1]:
        if "__init__" in vars(cls):
            found |= set(inspect.signature(cls.__init__).parameters)
    return found
