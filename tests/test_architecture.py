"""The shape of the house: no import cycle, one class a name, the standard library only in the box, no effects of importing."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pinjra"
PROVEN = ("core", "guard", "wire", "jail", "worker")  # what a wall rests on
STANDARD_ONLY = (*PROVEN, "snippets")
# Carried as values; imported only where they are already wanted.
OPTIONAL = {"numpy", "pandas", "PIL", "matplotlib"}

# Public classes of one name in several files: an event, and a piece of an answer, both named in the manual.
KNOWN_TWICE = {"ModelDelta"}


@functools.cache
def modules() -> dict[str, ast.Module]:
    """Each module's dotted name and its tree."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text())
    return found


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def rooms(*names: str) -> dict[str, ast.Module]:
    return {module: tree for module, tree in modules().items() if room_of(module) in names}


def imports_of(tree: ast.Module) -> set[str]:
    """Every name that is imported anywhere: at the top, in functions, for types only."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import of {node.module}"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(tree: ast.Module) -> set[str]:
    """The modules of pinjra among them; `from package import name` is the package where `name` is no module."""
    known = modules()
    return {name if name in known else name.rpartition(".")[0] for name in imports_of(tree)} & known.keys()


@functools.cache
def graph() -> dict[str, set[str]]:
    return {module: imported_modules(tree) - {module} for module, tree in modules().items()}


def reached_from(start: str) -> set[str]:
    found: set[str] = set()
    todo = [*graph()[start]]
    while todo:
        module = todo.pop()
        if module not in found:
            found.add(module)
            todo += graph()[module]
    return found


def test_no_import_is_a_cycle():
    """Imports in functions and for types count: who reads a file follows them all."""
    assert [module for module in graph() if module in reached_from(module)] == []


def test_no_two_public_classes_have_one_name():
    places: dict[str, list[str]] = {}
    for module, tree in modules().items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(module)
    assert {n: found for n, found in places.items() if len(found) > 1 and n not in KNOWN_TWICE} == {}


def test_no_room_that_has_come_under_its_budget_is_over_it_again():
    done = subprocess.run([sys.executable, ROOT / "scripts" / "lines"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("room", STANDARD_ONLY)
def test_the_box_and_what_guards_it_use_the_standard_library_only(room):
    allowed = sys.stdlib_module_names | {"pinjra"} | (OPTIONAL if room != "jail" else set())
    for module, tree in rooms(room).items():
        assert {name.partition(".")[0] for name in imports_of(tree)} <= allowed, module


@pytest.mark.parametrize("room", PROVEN)
def test_nobody_says_any_where_types_are_the_proof(room):
    for module, tree in rooms(room).items():
        assert "Any" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}, module


def test_what_runs_in_the_box_parses_on_python_3_10():
    for room in STANDARD_ONLY:
        for path in (SOURCE / room).rglob("*.py"):
            ast.parse(path.read_text(), feature_version=(3, 10))


def fresh(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    ).stdout


def test_importing_pinjra_loads_no_sdk_and_starts_nothing():
    heavy = "numpy pandas PIL matplotlib torch openai anthropic litellm huggingface_hub httpx rich click docker e2b mcp"
    out = fresh(
        "import sys, threading, os\n"
        "before = set(os.environ.items())\n"
        "import pinjra\n"
        f"print([m for m in {heavy.split()!r} if m in sys.modules])\n"
        "print(threading.active_count(), before == set(os.environ.items()))"
    )
    assert out == "[]\n1 True\n"


def test_every_public_name_can_be_had():
    out = fresh(
        "import pinjra\n"
        "from pinjra.core.errors import MissingDependency\n"
        "for name in pinjra.__all__:\n"
        "    try: getattr(pinjra, name)\n"
        "    except MissingDependency: pass\n"
        "print('ok')"
    )
    assert out == "ok\n"


def test_the_worker_of_one_process_imports_nothing_that_wasi_lacks():
    missing = (
        "resource",
        "pwd",
        "grp",
        "termios",
        "_ctypes",
        "_multiprocessing",
        "_posixshmem",
    )
    program = f"import sys\nfor name in {missing!r}: sys.modules[name] = None\nimport pinjra.worker.interpreter.single_process"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
