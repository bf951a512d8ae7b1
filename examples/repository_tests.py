"""A repository that nobody has read: cloned from a server, and its tests run, in a box that reaches that server alone.

    python examples/repository_tests.py

Needs git on this machine. The server of this example is one of this machine; for a real one write network=["github.com"].
"""

import functools
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pinjra import Limits, sandbox

CODE = "def double(n):\n    return 2 * n\n"
TESTS = """import unittest

from numbers_of_ours import double


class Doubling(unittest.TestCase):
    def test_numbers(self):
        self.assertEqual(double(21), 42)

    def test_texts(self):
        self.assertEqual(double("ab"), "ab")


if __name__ == "__main__":
    unittest.main()
"""


def main() -> None:
    """Clone, test, and say what came of it."""
    with tempfile.TemporaryDirectory() as folder, served(repository(Path(folder))) as port:
        address = f"127.0.0.1:{port}"
        limits = Limits(wall_seconds=60, processes=16)
        with sandbox("jail", programs=["git", "bash"], network=[address], limits=limits) as box:
            cloned = box.exec(["git", "clone", "--quiet", f"http://{address}/repository.git", "work"])
            print("cloned:", cloned.status == 0 or cloned.stderr)
            tested = box.exec(["bash", "-c", "cd work && python3 -m unittest 2>&1 | tail -4"])
            print(tested.stdout.strip())
            elsewhere = box.exec(["git", "clone", "--quiet", "http://127.0.0.1:9/other.git"])
            print("another server:", "cloned" if elsewhere.status == 0 else "not reached")


def repository(folder: Path) -> Path:
    """Make a bare repository that any web server can serve; return the folder that it is in."""
    work, bare = folder / "made", folder / "served"
    work.mkdir()
    bare.mkdir()
    (work / "numbers_of_ours.py").write_text(CODE)
    (work / "test_numbers.py").write_text(TESTS)
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    for command in (
        ["init", "--quiet"],
        ["add", "."],
        [*author, "commit", "--quiet", "-m", "Double"],
        ["clone", "--quiet", "--bare", str(work), str(bare / "repository.git")],
        ["-C", str(bare / "repository.git"), "update-server-info"],
    ):
        subprocess.run(
            ["git", *command], cwd=work, check=True, env={**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
        )
    return bare


@contextmanager
def served(folder: Path) -> Iterator[int]:
    """Serve a folder on a port of this machine."""
    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """A web server that writes nothing to the terminal."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Write nothing."""


if __name__ == "__main__":
    main()
