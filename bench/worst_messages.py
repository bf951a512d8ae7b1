"""The worst messages that a worker can send -> seconds and memory of the host for each, in a process of its own.

    python bench/worst_messages.py [NAME …]

A hostile worker pays a few bytes and has the host pay the rest: each case here is made to be as dear as its bytes allow.
"""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable

Made = tuple[object, list[bytes]]
P61 = (1 << 61) - 1


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png(head: list[tuple[int, int]], extra: list[bytes] = [], pixels: tuple[int, int] = (1, 1)) -> bytes:  # noqa: B006
    row = b"\0" * (pixels[0] * 4 + 1)
    made = zlib.compressobj(9)
    data = b"".join(made.compress(row) for _ in range(pixels[1])) + made.flush()
    heads = [_chunk(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 6, 0, 0, 0)) for size in head]
    return b"".join([b"\x89PNG\r\n\x1a\n", *heads, *extra, _chunk(b"IDAT", data), _chunk(b"IEND", b"")])


def two_headers() -> Made:
    return ["im", 0], [_png([(1, 1), (13000, 13000)], pixels=(13000, 13000))]


def texts_in_images() -> Made:
    text = _chunk(b"zTXt", b"a\0\0" + zlib.compress(b"a" * (1 << 20), 9))
    return ["l", *[["im", n] for n in range(30)]], [_png([(1, 1)], [text] * 63) for _ in range(30)]


def fractions() -> Made:
    big = ["i", "f" * 16000]
    return ["l", *[["Q", big, ["i", "e" * 15999 + "d"]] for _ in range(2000)]], []


def categories() -> Made:
    import numpy as np

    kinds, blobs, columns = 8000, [], []
    for n in range(0, 200, 2):
        blobs += [np.zeros(1, "<i2").tobytes(), (np.arange(kinds, dtype="<i8") << 40).tobytes()]
        columns.append(["k", ["nd", "<i2", [1], n], ["a", ["nd", "<i8", [kinds], n + 1]], False])
    names = ["one", ["v", ["l", *[str(n) for n in range(len(columns))]], ""], None, ""]
    return ["df", names, columns, ["range", 0, 1, 1, None]], blobs


def frequencies() -> Made:
    import numpy as np

    count = 1_000_000
    days = np.arange(count, dtype="<i8").view("<M8[s]")
    return ["ix", ["one", ["a", ["nd", "<M8[s]", [count], 0]], None, "LWOM-MON"]], [days.tobytes()]


def ranges_as_columns() -> Made:
    columns = [["a", ["r", 0, 1 << 27, 1]] for _ in range(4)]
    names = ["one", ["v", ["l", *[str(n) for n in range(len(columns))]], ""], None, ""]
    return ["df", names, columns, ["range", 0, 1 << 27, 1, None]], []


def texts_as_a_column() -> Made:
    count = 9_000_000
    return ["se", None, ["a", ["nd", "<U2", [count], 0]], ["range", 0, count, 1, None]], [
        b"a\0\0\0b\0\0\0" * count
    ]


def colliding_sets() -> Made:
    one = ["s", *[["i", f"{n * P61:x}"] for n in range(1, 256)]]
    return ["l", *[one for _ in range(1300)]], []


def small_objects() -> Made:
    return ["l", *[{"a": 1} for _ in range(500_000)]], []


def many_small_objects() -> Made:
    return ["l", *[{"a": 1} for _ in range(3_000_000)]], []


def scalars() -> Made:
    return ["l", *[["ns", "<f8", "AAAAAAAAAAA=", 0] for _ in range(200_000)]], []


def stamps() -> Made:
    stamp = ["pt", ["dt", 2024, 1, 1, 0, 0, 0, 0, 0, None], 1, "ns"]
    return ["l", *[stamp for _ in range(70_000)]], []


def decimals() -> Made:
    return ["l", *[["D", "9" * 9000] for _ in range(5000)]], []


def long_numbers() -> Made:
    return json.loads("[" + ",".join(["1." + "1" * 100_000] * 500) + "]", parse_float=float) and ["l"], []


def text_of_controls() -> Made:
    return "output", [("\x01" * 40_000_000).encode()]


CASES: dict[str, Callable[[], Made]] = {
    name: made
    for name, made in list(globals().items())
    if callable(made) and getattr(made, "__module__", "") == __name__ and name[0] != "_" and name != "main"
}


def _measure(name: str) -> None:
    import numpy  # noqa: F401
    import pandas  # noqa: F401
    from PIL import Image  # noqa: F401

    from pinjra.core.errors import ProtocolViolation
    from pinjra.core.limits import Limits
    from pinjra.wire.frames import load
    from pinjra.wire.values.codec import decode

    tree, blobs = CASES[name]()
    text = json.dumps(tree, separators=(",", ":")).encode()
    size = len(text) + sum(map(len, blobs))
    del tree
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    try:
        if name == "text_of_controls":
            from pinjra.executors.session import run

            run.RunRecord(Limits(), None, None).on_output(run.Output(stream="stdout", text=blobs[0].decode()))
            outcome = "cut"
        else:
            value = decode(load(text), blobs)  # type: ignore[arg-type]
            outcome = f"a {type(value).__name__}"
            if name == "two_headers":
                outcome += f" of {value.width * value.height:,} pixels"  # type: ignore[attr-defined]
    except ProtocolViolation as error:
        outcome = f"refused: {error}"[:60]
    seconds = time.perf_counter() - started
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"{name:20} {size / 1e6:7.2f} MB {seconds:7.2f} s {grown:7.0f} MiB  {outcome}", flush=True)


def main() -> None:
    """Measure each case in a process of its own."""
    if sys.argv[1:2] == ["--one"]:
        _measure(sys.argv[2])
        return
    for name in sys.argv[1:] or CASES:
        try:
            subprocess.run([sys.executable, __file__, "--one", name], check=False, timeout=120)
        except subprocess.TimeoutExpired:
            print(f"{name:20} more than 120 s", flush=True)


if __name__ == "__main__":
    main()
