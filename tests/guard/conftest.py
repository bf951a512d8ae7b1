from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator

import pytest


@pytest.fixture
def process_kept() -> Iterator[None]:
    """Put back what an interpreter takes when this process is said to be its own."""
    kept = sys.modules["__main__"], sys.modules["builtins"], importlib.import_module
    yield
    sys.modules["__main__"], sys.modules["builtins"], importlib.import_module = kept  # type: ignore[assignment]
