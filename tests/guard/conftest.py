from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def own_builtins() -> Iterator[None]:
    """What guest code replaces in the builtins of this process, as a program's test does, is put back."""
    kept = dict(vars(builtins))
    yield
    vars(builtins).update(kept)


@pytest.fixture
def process_kept() -> Iterator[None]:
    """Put back what an interpreter takes when this process is said to be its own."""
    kept = sys.modules["__main__"], sys.modules["builtins"], importlib.import_module
    yield
    sys.modules["__main__"], sys.modules["builtins"], importlib.import_module = kept  # type: ignore[assignment]
