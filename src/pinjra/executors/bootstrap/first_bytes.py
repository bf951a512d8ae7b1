"""The worker zip -> a command and the first bytes of a stream, so that a bare `python3` at the far end becomes a worker.

Nothing is installed or uploaded: the command's code reads the zip from stdin (base64: it survives text streams), then runs it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from pinjra.executors.bootstrap.worker_zip import worker_zip

_instead: ContextVar[bytes] = ContextVar("_instead", default=b"")

LINE_BYTES = 256 << 10  # vendors that pass input on by lines get some of a bearable length

# Runs in the box, on any Python >= 3.10. The length's line is read byte by byte: nothing after the zip may be consumed.
# The zip stays in memory: nothing is left on the far machine, and a confined worker needs no file to import from.
_CODE = """
import base64, importlib.util, io, os, sys, zipfile
n = b""
while not n.endswith(b"\\n"):
    c = os.read(0, 1)
    if not c: sys.exit(70)
    n += c
left, parts = int(n), []
while left:
    c = os.read(0, min(left, 65536))
    if not c: sys.exit(70)
    c = c.replace(b"\\n", b"")
    parts.append(c); left -= len(c)
os.read(0, 1)
z = zipfile.ZipFile(io.BytesIO(base64.b64decode(b"".join(parts))))
class Packed:
    files = {name: z.read(name) for name in z.namelist()}
    def where(self, name):
        base = "pinjra/" + name[7:].replace(".", "/") if name != "pinjra" else "pinjra"
        return next((p for p in (base + "/__init__.py", base + ".py") if p in self.files), "")
    def find_spec(self, name, path=None, target=None):
        where = self.where(name) if name.partition(".")[0] == "pinjra" else ""
        if where:
            return importlib.util.spec_from_loader(name, self, origin=where, is_package=where.endswith("/__init__.py"))
    def create_module(self, spec): return None
    def exec_module(self, module):
        where = self.where(module.__name__)
        module.__file__ = "/dev/null/" + where
        exec(compile(self.files[where], module.__file__, "exec", dont_inherit=True), module.__dict__)
    def get_source(self, name): return self.files[self.where(name)].decode()
sys.meta_path.insert(0, Packed())
del parts, c, n, z
sys.argv[1:] = ARGUMENTS
from pinjra.worker.__main__ import main
main()
"""


def bootstrap_command(python: str = "python3", arguments: tuple[str, ...] = ()) -> list[str]:
    """Return the command that waits for `bootstrap_payload` on stdin.

    Args:
        arguments: Of the worker ("--jail").
    """
    return [python, "-I", "-u", "-c", _CODE.strip().replace("ARGUMENTS", repr(list(arguments)))]


def bootstrap_payload() -> bytes:
    """Return what must be written to the program first: a line with the length, then lines with that many ASCII characters."""
    packed = base64.b64encode(_instead.get() or worker_zip())
    lines = [packed[start : start + LINE_BYTES] + b"\n" for start in range(0, len(packed), LINE_BYTES)]
    return b"%d\n" % len(packed) + b"".join(lines)


@contextmanager
def substituted(packed: bytes) -> Iterator[None]:
    """Send another zip than the worker's into the sandboxes that this thread opens; to test what the host makes of it."""
    token = _instead.set(packed)
    try:
        yield
    finally:
        _instead.reset(token)
