"""A host that runs hostile programs in the jail, without the guard, next to canaries; prints what came of each as JSON.

python escape_host.py '{"uid": null, "without": [], "programs": ["…/jail_x.py"]}'
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pinjra.core.access import Mount
from pinjra.core.errors import PinjraError
from pinjra.core.execution import Execution
from pinjra.core.limits import Limits
from pinjra.executors.jail import JailExecutor
from processes import descendants

LIMITS = Limits(
    wall_seconds=1.5,
    cpu_seconds=10,
    memory_bytes=192 << 20,
    disk_bytes=8 << 20,
    processes=16,
    value_bytes=1 << 20,
)
HANG_SECONDS = 60.0  # what is over the wall limit by so much was not ended by it
FREE_BYTES = 64 << 20
# While the session lives: without a tmpfs 256 descriptors may hold removed files of the quota's size.
HELD_BYTES = 4 << 30


class Canaries:
    """Things of the host that a guest must not reach."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.secret = secrets.token_hex(12)
        self.env_name = "CANARY_" + secrets.token_hex(4).upper()
        os.environ[self.env_name] = self.secret
        for name in ("vault", "scratch"):
            (folder / name).mkdir()
        folder.chmod(0o777)
        (folder / "scratch").chmod(0o777)
        self.vault = folder / "vault" / "secret.txt"
        self.vault.write_text(self.secret)
        self.vault.chmod(0o666)
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.boxes: dict[str, socket.socket] = {}
        for address in (str(folder / "scratch" / "host.sock"), f"\0host-{self.env_name}"):
            self.boxes[address] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            self.boxes[address].bind(address)
        (folder / "scratch" / "host.sock").chmod(0o777)
        self.bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.before = self._state()

    def _reached(self) -> list[str]:
        """Return the addresses that were spoken to since the last look: who came before us stands before us in the queue."""
        found = []
        with socket.create_connection(self.server.getsockname()) as own:
            while True:
                peer, address = self.server.accept()
                peer.close()
                if address == own.getsockname():
                    break
                found.append("the port")
        for address, box in self.boxes.items():
            with contextlib.suppress(BlockingIOError):
                box.recv(9)
                found.append(address)
        return found

    def fill_in(self, code: str) -> str:
        names = {
            "SECRET_FILE": self.vault,
            "PWN_FILE": self.folder / "pwned.txt",
            "SCRATCH_DIR": self.folder / "scratch",
            "PORT": self.port,
            "ENV_NAME": self.env_name,
        }
        return re.sub(r"\{\{(\w+)\}\}", lambda match: str(names[match[1]]), code)

    def _state(self) -> dict[str, object]:
        """Return what the host looks like: its files with their contents, modes and times, and its processes."""
        files = {}
        for path in sorted(self.folder.rglob("*")):
            found = path.lstat()
            files[str(path)] = [found.st_mode, found.st_uid, found.st_mtime_ns, found.st_nlink]
        device = os.stat("/dev/null")
        return {
            "files": files,
            "text": self.vault.read_text(),
            "device": [device.st_mode, device.st_uid],
            "bystander": self.bystander.poll(),
        }

    def changes(self, said: str) -> list[str]:
        """Return what a program has touched, and what it has said that it must not know."""
        now = self._state()
        changed = [name for name, value in self.before.items() if now[name] != value]
        changed += [f"reached {name}" for name in self._reached()]
        self.before = now
        return changed + ([f"knows {self.secret}"] if self.secret in said else [])


class Folders:
    """A folder of the user's to read, with a link that leads out of it, and one to write; the same ones for all attacks."""

    def __init__(self, canaries: Canaries) -> None:
        self._folder = Path(tempfile.mkdtemp())
        self._folder.chmod(0o755)
        self.data, self.out = self._folder / "data", self._folder / "out"
        self.data.mkdir()
        self.out.mkdir(mode=0o755)
        (self.data / "a.txt").write_text("shown")
        (self.data / "leads_out").symlink_to(canaries.vault)
        self._before = self._listed(self.data)

    @staticmethod
    def _listed(folder: Path) -> list[tuple[str, int, int]]:
        found = [folder, *sorted(folder.rglob("*"))]
        return [(str(path), path.lstat().st_mode, path.lstat().st_mtime_ns) for path in found]

    @property
    def mounts(self) -> dict[str, Mount]:
        return {"data": Mount(str(self.data)), "out": Mount(str(self.out), writable=True)}

    def breaches(self) -> list[str]:
        """Return what must not have come of it: changes of what is read, set-id bits, devices, links in place of folders."""
        found = [] if self._listed(self.data) == self._before else ["data is changed"]
        for name, mode, _ in self._listed(self.out):
            is_plain = stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)
            if not is_plain or mode & (stat.S_ISUID | stat.S_ISGID):
                found.append(f"{name} has the mode {mode:o}")
        for path in self.out.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        return found


class Plain:
    """No jail: shows that the canaries see what there is to be seen."""

    def run(self, code: str) -> Execution:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        return Execution(stdout=done.stdout, stderr=done.stderr)

    def close(self) -> None:
        return


def below() -> set[int]:
    return descendants(os.getpid())


def free_bytes() -> int:
    room = os.statvfs(tempfile.gettempdir())
    return room.f_bavail * room.f_frsize


def attack(
    code: str, canaries: Canaries, without: list[str], access: dict[str, object], folders: Folders | None
) -> dict[str, object]:
    if folders is not None:
        access = {**access, "mounts": folders.mounts}
    box = (
        Plain()
        if without == ["jail"]
        else JailExecutor(["*"], guard=False, limits=LIMITS, without=without, spares=0, **access)
    )
    processes, free = below(), free_bytes()
    sandbox = {int(name) for name in map(str, processes)}
    start = time.monotonic()
    try:
        done = box.run(canaries.fill_in(code))
        said = f"{done.value!r} {done.logs} {done.error}"
        how = (
            ""
            if done.error is None
            else f"{done.error.kind.value} {done.error.cause and done.error.cause.value}"
        )
    except PinjraError as error:  # the session is gone: its own loss
        said = how = f"{type(error).__name__}: {error}"
    took = time.monotonic() - start
    most, held = len(below() - sandbox), free - free_bytes()
    box.close()
    left = _left_of(box_before=sandbox)
    breaches = canaries.changes(said) + (folders.breaches() if folders is not None else [])
    if took > (LIMITS.wall_seconds or 0) + HANG_SECONDS:
        breaches.append(f"came back after {took:.1f} s")
    if most > (LIMITS.processes or 0) + 4:
        breaches.append(f"{most} processes")
    if left:
        breaches.append(f"processes {left} are left")
    if held > HELD_BYTES:
        breaches.append(f"{held} bytes were held")
    if free - free_bytes() > FREE_BYTES:
        breaches.append(f"{free - free_bytes()} bytes are gone")
    return {"breaches": breaches, "how": how, "seconds": round(took, 2), "said": said[:2000]}


def _left_of(box_before: set[int]) -> list[int]:
    """Return the processes of a closed session that do not end; its own first process is among `box_before`."""
    deadline = time.monotonic() + 300
    while left := sorted(below() - box_before):
        if time.monotonic() > deadline:
            return left
        threading.Event().wait(0.01)
    return []


def own_disk() -> None:
    """Put a file system of this process's own where temporary files go: what is free on the machine's changes by itself."""
    folder = tempfile.gettempdir().encode()
    libc = ctypes.CDLL(None, use_errno=True)
    new_mounts, private = 0x20000, 1 << 18 | 1 << 14  # CLONE_NEWNS; MS_PRIVATE | MS_REC
    if libc.unshare(new_mounts) == 0 and libc.mount(b"none", b"/", None, private, None) == 0:
        libc.mount(b"none", folder, b"tmpfs", 0, f"mode=1777,size={HELD_BYTES + FREE_BYTES}".encode())


def main() -> None:
    order = json.loads(sys.argv[1])
    own_disk()
    if order["uid"] is not None:
        os.setgroups([])
        os.setresgid(order["uid"], order["uid"], order["uid"])
        os.setresuid(order["uid"], order["uid"], order["uid"])
    with tempfile.TemporaryDirectory() as folder:
        canaries = Canaries(Path(folder))
        access = order.get("access", {})
        folders = Folders(canaries) if access.get("mounts") else None
        outcomes = {
            name: attack(Path(name).read_text(), canaries, order["without"], access, folders)
            for name in order["programs"]
        }
        works = None
        if order["without"] != ["jail"]:
            with JailExecutor(guard=False, limits=LIMITS, without=order["without"], spares=0) as box:
                works = box.run("1 + 1").value
        canaries.bystander.kill()
        canaries.bystander.wait()
        print(json.dumps({"outcomes": outcomes, "works": works}))


if __name__ == "__main__":
    main()
