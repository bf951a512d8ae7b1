"""The page's one library is what npm gives for its pinned version, byte for byte."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def test_the_vendored_library_is_what_npm_gives():
    if shutil.which("npm") is None or shutil.which("openssl") is None:
        pytest.skip("it is fetched by npm and checked by openssl, which are not here")
    done = subprocess.run(
        [ROOT / "scripts" / "build-page", "--check"], capture_output=True, text=True, timeout=120
    )
    if "npm error" in done.stderr:
        pytest.skip(f"npm cannot fetch it: {done.stderr[-200:]}")
    assert done.stdout == "the page's library is what npm gives\n", done.stderr
