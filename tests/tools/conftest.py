"""The loopback web server as a fixture."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest


def load(name: str) -> ModuleType:
    """Return a helper file of this folder as a module (tests are not a package)."""
    full = f"pinjra_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def web() -> ModuleType:
    return load("web")


@pytest.fixture
def site(web: ModuleType) -> Iterator[object]:
    with web.serve() as running:
        yield running
