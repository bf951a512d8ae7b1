"""The shape of the house: standard-library-only folders, no effects of importing, Python 3.10 in the box."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "pinjra"
STANDARD_ONLY = ("core", "guard", "wire", "jail", "worker")


def sources() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def imports_of(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names.add(node.module or "")
    return names


@pytest.mark.parametrize("folder", STANDARD_ONLY)
def test_the_box_and_what_guards_it_use_the_standard_library_only(folder):
    optional = {
        "numpy",
        "pandas",
        "PIL",
        "matplotlib",
    }  # carried as values, imported only where they are already wanted
    for path in (SOURCE / folder).rglob("*.py"):
        for name in imports_of(path):
            top = name.partition(".")[0]
            assert (
                top in sys.stdlib_module_names or top == "pinjra" or (folder != "jail" and top in optional)
            ), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("folder", STANDARD_ONLY)
def test_nobody_says_any_where_types_are_the_proof(folder):
    for path in (SOURCE / folder).rglob("*.py"):
        used = {n.id for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Name)}
        assert "Any" not in used, path.relative_to(ROOT)


@pytest.mark.parametrize("folder", STANDARD_ONLY)
def test_what_runs_in_the_box_parses_on_python_3_10(folder):
    for path in (SOURCE / folder).rglob("*.py"):
        ast.parse(path.read_text(), feature_version=(3, 10))


def fresh(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
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
