"""A host for the tests, in a process of its own: opens a session, sends snippets, prints what came of each as JSON.

python driver.py '{"uid": null, "without": [], "snippets": {"name": "code"}}'
"""

from __future__ import annotations

import json
import os
import select
import socket
import sys
import tempfile
from pathlib import Path

from pinjra.jail.confine import Spec
from pinjra.jail.spawn.client import Config, JailProcess, Zygote, zygote_for

HERE = str(Path(__file__).resolve().parent)
SPEC = Spec(memory_bytes=256 << 20, disk_bytes=16 << 20, processes=24)


def open_zygote(without: list[str] | tuple[str, ...] = (), **options: object) -> Zygote:
    return zygote_for(
        Config(serve="evaluator:serve", python_path=(HERE,), without=tuple(without), **options)  # type: ignore[arg-type]
    )


def ask(session: JailProcess, code: str) -> dict[str, object]:
    session.stream.sendall(json.dumps(code).encode() + b"\n")
    answer = b""
    while not answer.endswith(b"\n"):
        data = session.stream.recv(65536)
        if not data:
            return {"value": None, "error": "the session died", "errno": 0, "signal": -1}
        answer += data
    outcome: dict[str, object] = json.loads(answer)
    return outcome


class Canaries:
    """Things of the host that a guest must not reach."""

    def __init__(self, folder: Path) -> None:
        self.listeners: dict[str, socket.socket] = {}
        folder.chmod(0o755)
        self.secret = folder / "secret"
        self.secret.write_text("s3cret")
        self.secret.chmod(0o644)
        self.victim = folder / "victim"
        self.victim.write_text("as it was")
        self.victim.chmod(0o666)
        (folder / "open").mkdir()
        (folder / "open").chmod(0o777)
        self.folder = folder
        self.tcp = self._listen("tcp", socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0))
        self.udp = self._listen("udp", socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0))
        self._listen("unix stream", socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream.sock"))
        self._listen("unix datagram", socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "datagram.sock"))
        self._listen("abstract", socket.AF_UNIX, socket.SOCK_STREAM, f"\0pinjra-test-{os.getpid()}")
        os.environ["CANARY"] = "s3cret-of-the-environment"

    def _listen(self, name: str, family: int, kind: int, address: object) -> int:
        server = socket.socket(family, kind)
        server.bind(address)  # type: ignore[arg-type]
        if kind == socket.SOCK_STREAM:
            server.listen()
        if family == socket.AF_UNIX and not str(address).startswith("\0"):
            os.chmod(str(address), 0o777)
        self.listeners[name] = server
        return int(server.getsockname()[1]) if family == socket.AF_INET else 0

    def touched(self) -> list[str]:
        """Return which listeners a guest has spoken to: what it sent, or its connection, waits there."""
        return [name for name, server in self.listeners.items() if select.select([server], [], [], 0)[0]]

    def names(self) -> dict[str, str]:
        return {
            "@FOLDER@": str(self.folder),
            "@HOST@": str(os.getpid()),
            "@TCP@": str(self.tcp),
            "@UDP@": str(self.udp),
        }


def main() -> None:
    order = json.loads(sys.argv[1])
    if order["uid"] is not None:
        os.setgroups([])
        os.setresgid(order["uid"], order["uid"], order["uid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    with tempfile.TemporaryDirectory() as folder:
        canaries = Canaries(Path(folder))
        zygote = open_zygote(order["without"])
        session = zygote.take(SPEC)
        outcomes = {}
        for name, code in order["snippets"].items():
            for placeholder, value in canaries.names().items():
                code = code.replace(placeholder, value)
            outcomes[name] = ask(session, code)
        how = session.end()
        changed = [
            path.name
            for path in canaries.folder.rglob("*")
            if path.name not in ("secret", "victim", "open", "stream.sock", "datagram.sock")
        ]
        if canaries.victim.read_text() != "as it was" or canaries.victim.stat().st_mode & 0o777 != 0o666:
            changed.append("victim")
        report = {
            "outcomes": outcomes,
            "applied": zygote.applied,
            "missing": zygote.missing,
            "touched": canaries.touched(),
            "changed": changed,
            "end": how,
        }
        print(json.dumps(report))


if __name__ == "__main__":
    main()
