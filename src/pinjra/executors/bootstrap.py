"""The worker zip -> a command and the first bytes of a stream, so that a bare `python3` at the far end becomes a worker.

Nothing is installed or uploaded: the command's code reads the zip from stdin (base64: it survives text streams), then runs it.
"""

from __future__ import annotations

import base64

from pinjra.executors.package import worker_zip

__all__ = ["bootstrap_code", "bootstrap_payload"]

LINE_BYTES = 256 << 10  # vendors that pass input on by lines get some of a bearable length

# Runs in the box, on any Python >= 3.10. The length's line is read byte by byte: nothing after the zip may be consumed.
_CODE = """
import base64, os, runpy, sys, tempfile
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
f = os.path.join(tempfile.mkdtemp(prefix="pinjra-"), "worker.zip")
with open(f, "wb") as z: z.write(base64.b64decode(b"".join(parts)))
del parts, c, n
sys.path.insert(0, f)
sys.argv[1:] = ARGUMENTS
runpy.run_module("pinjra.worker", run_name="__main__", alter_sys=True)
"""


def bootstrap_code(arguments: tuple[str, ...] = ()) -> str:
    """Return the program for `python3 -I -u -c`; it waits for `bootstrap_payload` on stdin.

    Args:
        arguments: Of the worker ("--jail").
    """
    return f"{_CODE.strip()}".replace("ARGUMENTS", repr(list(arguments)))


def bootstrap_payload() -> bytes:
    """Return what must be written to the program first: a line with the length, then lines with that many ASCII characters."""
    packed = base64.b64encode(worker_zip())
    lines = [packed[start : start + LINE_BYTES] + b"\n" for start in range(0, len(packed), LINE_BYTES)]
    return b"%d\n" % len(packed) + b"".join(lines)
