"""What gets into a box, by options of the command line."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from pinjra.core.access import PARAMETERS
from pinjra.executors.jail import JailExecutor

from .test_commands import pinjra


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Give an address on loopback, and the list of keys that its clients have sent."""
    seen: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["X-Key"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"127.0.0.1:{listening.server_port}", seen
        listening.shutdown()
        thread.join()


@pytest.mark.skipif(bool(JailExecutor.diagnose()), reason="no jail on this machine")
def test_a_secret_is_added_outside_the_box(server: tuple[str, list[str]]) -> None:
    address, seen = server
    code = (
        f"import os, urllib.request\nurllib.request.urlopen('http://{address}/').close()\n'KEY' in os.environ"
    )
    options = ("--allow-host", address, "--secret", f"{address}=X-Key: token $KEY", "--imports", "os,urllib")
    done = pinjra("exec", "-c", code, "--executor", "jail", *options, env={"KEY": "s3cret"})
    assert (done.stdout, done.stderr) == ("False\n", "")
    assert seen == ["token s3cret"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("h=A: $NO_SUCH_NAME", "there is no variable NO_SUCH_NAME"),
        ("h=s3cret", "wants HOST=HEADER: VALUE"),
        ("s3cret", "--secret wants HOST=HEADER: VALUE"),
        ("h=A: s3cret", "network= does not"),
        ("h=A: s3cret$", "write $$"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_and_not_repeated(given: str, words: str) -> None:
    done = pinjra("exec", "-c", "1", "--executor", "jail", "--secret", given)
    assert done.returncode == 2
    assert words in done.stderr
    assert "s3cret" not in done.stderr


OPTIONS = {
    "programs": "--program", "network": "--allow-host", "secrets": "--secret", "packages": "--package", "mounts": "--mount",
    "env": "--env", "python_path": "--python-path", "files": "--file", "guard": "--no-guard", "limits": "--wall",
}  # fmt: skip


@pytest.mark.parametrize("command", ["exec", "run", "shell", "mcp"])
def test_every_parameter_of_a_box_is_an_option(command: str) -> None:
    assert {*PARAMETERS, "files", "guard", "limits"} == OPTIONS.keys()
    said = pinjra(command, "--help").stdout
    assert [
        option for option in OPTIONS.values() if f"{option} " not in said and f"{option}\n" not in said
    ] == []


def test_options_that_take_lists_may_be_repeated() -> None:
    pytest.importorskip("numpy")
    pytest.importorskip("PIL")
    code = "import numpy, PIL, sqlite3\n1"
    options = ("--executor", "local", "--imports", "numpy, PIL", "--imports", "sqlite3")
    done = pinjra("exec", "-c", code, *options)
    assert (done.stdout, done.stderr) == ("1\n", "")
