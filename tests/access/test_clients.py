"""Ordinary programs run unchanged in the jail: each file of tests/clients says in its first line what it needs.

What is not installed here is fetched where PINJRA_FETCH=1 says so. docs/clients.md has the table.
"""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from pinjra import Limits, sandbox
from pinjra.executors.jail import JailExecutor
from pinjra.executors.remote.packages import modules_of

from .test_packages import make_wheel

CLIENTS = sorted((Path(__file__).parents[1] / "clients").glob("*.py"))
TABLE = Path(__file__).parents[2] / "docs" / "clients.md"
LIMITS = Limits(wall_seconds=120, cpu_seconds=120, memory_bytes=3 << 30, disk_bytes=512 << 20, processes=64)

pytestmark = pytest.mark.skipif(bool(JailExecutor.diagnose()), reason="no jail on this machine")


@dataclass(frozen=True)
class Needs:
    """What a program's first line asks for."""

    packages: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()
    network: bool = False

    @classmethod
    def of(cls, program: str) -> Needs:
        words = program.splitlines()[0].removeprefix("# needs:").split()
        named = dict(word.split("=") for word in words if "=" in word)
        lists = {name: tuple(value.split(",")) for name, value in named.items()}
        return cls(lists.get("packages", ()), lists.get("programs", ()), "network" in words)


class Site(BaseHTTPRequestHandler):
    """Pages, an index with one package, and a repository of git's."""

    protocol_version = "HTTP/1.1"
    folder: Path

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/redirect":
            return self.say(b"", 302, Location="/json")
        if path == "/json":
            return self.say(json.dumps({"path": self.path}).encode())
        if path == "/large":
            return self.say(b"x" * 300_000)
        if path == "/page":
            return self.say(b"<ul><li><a href='/a'>a</a><li><a href='/b'>b</a></ul>", kind="text/html")
        if path == "/simple/tinyone/":
            return self.say(
                b"<a href='/tinyone-1.0-py3-none-any.whl'>tinyone-1.0-py3-none-any.whl</a>", kind="text/html"
            )
        file = self.folder / path.lstrip("/")
        return self.say(file.read_bytes(), kind="text/plain") if file.is_file() else self.say(b"", 404)

    def do_POST(self) -> None:
        self.say(self.rfile.read(int(self.headers["content-length"])))

    def say(self, body: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Give the port of a site on loopback."""
    Site.folder = tmp_path_factory.mktemp("site")
    make_wheel(Site.folder, "tinyone", {"tinyone.py": "answer = 42\n"})
    _make_repository(Site.folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def _make_repository(folder: Path) -> None:
    """Make a repository that plain files of HTTP are enough for, where there is git."""
    lines = (
        "git init -q work && cd work && echo from afar > a.txt && git add . && "
        "git -c user.name=a -c user.email=a@b commit -qm First && cd .. && "
        "git clone -q --bare work repo.git && git -C repo.git update-server-info"
    )
    subprocess.run(["sh", "-c", lines], cwd=folder, check=False, capture_output=True)


@pytest.mark.parametrize("path", CLIENTS, ids=lambda path: path.stem)
def test_an_ordinary_program_runs_unchanged(path: Path, site: int) -> None:
    program = path.read_text()
    needs = Needs.of(program)
    missing = [name for name in needs.packages if not _is_installed(name)]
    if missing and not os.environ.get("PINJRA_FETCH"):
        pytest.skip(f"{', '.join(missing)} is not installed here; PINJRA_FETCH=1 fetches it")
    absent = [
        name for name in needs.programs if subprocess.run(["which", name], capture_output=True).returncode
    ]
    if absent:
        pytest.skip(f"{', '.join(absent)} is not installed here")
    options: dict[str, object] = {
        "packages": missing,
        "programs": needs.programs,
        "network": [f"127.0.0.1:{site}"] if needs.network else (),
        "env": {"URL": f"http://127.0.0.1:{site}"},
    }
    with sandbox("jail", authorized_imports=modules_of(needs.packages), limits=LIMITS, **options) as box:
        done = box.run(program)
    assert done.error is None, f"{done.error}\n{done.stderr}"


def _is_installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def test_the_table_in_the_documentation_has_each_program() -> None:
    rows = [
        line.split("|")[1].strip(" `") for line in TABLE.read_text().splitlines() if line.startswith("| `")
    ]
    assert rows == [path.stem for path in CLIENTS]
