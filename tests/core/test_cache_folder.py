"""The user's folders, of a user whom no list of users names: a container's `--user 4242`."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pinjra.access.layers import layer_for
from pinjra.core.errors import ConfigurationError
from pinjra.executors.wasm.cache import cache_folder, own
from pinjra.models.weights import pull

NOBODY_KNOWS = """
import os
os.setgroups([]); os.setresgid(4242, 4242, 4242); os.setresuid(4242, 4242, 4242)
from pinjra.cli.doctor import _weights
from pinjra.core.cache_folder import cache_folder
print(set(_weights().values()))
os.environ["HOME"] = "/root"  # closed to it
print({text[:8] for text in _weights().values()})
del os.environ["HOME"]
os.environ["XDG_CACHE_HOME"] = "/somewhere"
print(cache_folder())
del os.environ["XDG_CACHE_HOME"]
cache_folder()
"""


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become another")
def test_a_user_without_a_home_is_told_what_to_set() -> None:
    done = subprocess.run(
        [sys.executable, "-c", NOBODY_KNOWS], capture_output=True, text=True, timeout=120, env={}
    )
    known = "this user has no home folder that is known here: set HOME"
    assert done.stdout == f"{{'{known}'}}\n{{'not here'}}\n/somewhere/pinjra\n"
    assert done.stderr.endswith(f"ConfigurationError: {known}\n")


@pytest.mark.parametrize(
    "use",
    [lambda: layer_for(["six"]), lambda: own(cache_folder()), lambda: pull("qwen2.5-coder-0.5b", sources=[])],
    ids=["packages", "wasm", "weights"],
)
def test_a_folder_that_cannot_be_made_is_named(use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PINJRA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", os.devnull)
    with pytest.raises(
        ConfigurationError, match=f"{os.devnull}/pinjra/.* cannot be made .* set HOME, or XDG"
    ):
        use()
