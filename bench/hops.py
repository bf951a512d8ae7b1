"""The functions of Pinjra that a model's text, and a tool call, go through: on the host, in the supervisor, in the interpreter.

    python bench/hops.py [--list]

A code agent with a scripted model makes a few steps on a worker in a process of its own; the last one is looked at, when everything is
imported and the caches are warm. Functions are counted once (no comprehension, no lambda), for

- *a run*: from the model's text to the recorded step, without what the model's next question needs;
- *a tool call*: from the guest's stub to its answer.

*On the way* are those that have been entered and not left when bytes leave a process, when the guest's code begins, when a tool is
called, when a value is read or a step recorded: each hands the thing itself on. *Entered* are all, with what these ask on the way.

Profiles of all processes go into one shared file, each process in a part of its own, with the time of the system's clock.
"""

from __future__ import annotations

import argparse
import mmap
import os
import struct
import sys
import tempfile
import threading
import time
from types import FrameType

PARTS, PART_BYTES = 16, 1 << 22
PACKAGE = f"{os.sep}pinjra{os.sep}"
LEAVING = ("write", "sendall", "exec")
TOLD = (":Decoder.take", ":AgentMemory.append", ":Tool.__call__")
PLAIN = ("<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<lambda>", "<module>")


class Recorder:
    """Writes each call of a function of the package into the part of the process that it happens in."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), PARTS * PART_BYTES)
        self._pid = 0

    def start(self) -> None:
        threading.setprofile(self._note)
        sys.setprofile(self._note)

    def _note(self, frame: FrameType, event: str, argument: object) -> None:
        if PACKAGE not in frame.f_code.co_filename:
            return
        name = name_of(frame)
        if event == "call":
            self._say(b" ", name)
        is_told = name.endswith(TOLD) if event == "call" else getattr(argument, "__name__", "") in LEAVING
        if is_told and event in ("call", "c_call"):
            below: FrameType | None = frame
            while below is not None:
                if PACKAGE in below.f_code.co_filename:
                    self._say(b"+", name_of(below))
                below = below.f_back

    def _say(self, kind: bytes, name: str) -> None:
        if self._pid != os.getpid():
            self._take_part()
        line = b"%d%s%s\n" % (time.monotonic_ns(), kind, name.encode())
        self._map[self._at : self._at + len(line)] = line
        self._at += len(line)

    def _take_part(self) -> None:
        (part,) = struct.unpack("I", self._map[:4])
        self._map[:4] = struct.pack("I", part + 1)
        self._pid = os.getpid()
        self._at = (part + 1) * PART_BYTES


def name_of(frame: FrameType) -> str:
    """Return file and name of a frame's function."""
    return (
        frame.f_code.co_filename.rpartition(PACKAGE)[2].removesuffix(".py") + ":" + frame.f_code.co_qualname
    )


def read(path: str, begin: int, end: int) -> list[tuple[list[str], list[str]]]:
    """Return the functions that each process entered between two times, and those of them on the way."""
    found = []
    with open(path, "rb") as file:
        content = file.read()
    for part in range(1, PARTS):
        lines = content[part * PART_BYTES : (part + 1) * PART_BYTES].rstrip(b"\0").splitlines()
        said = [(line.partition(b" "), line.partition(b"+")) for line in lines]
        entered, on_the_way = (
            list(
                dict.fromkeys(
                    each[kind][2].decode()
                    for each in said
                    if each[kind][1] and begin <= int(each[kind][0]) <= end
                )
            )
            for kind in (0, 1)
        )
        entered = [name for name in entered if not name.endswith(PLAIN)]
        found.append((entered, [name for name in on_the_way if name in entered]))
    return [names for names in found if names[0]]


def watch(path: str) -> dict[str, tuple[int, int]]:
    """Let an agent and a tool work under the recorder; return between which times."""
    from pinjra import CodeAgent, tool
    from pinjra.executors.pipes import SubprocessTransport
    from pinjra.executors.session.executor import SessionExecutor
    from pinjra.models import ScriptedModel

    texts, steps = [], []

    def answer(_messages: object) -> str:
        texts.append(time.monotonic_ns())
        code = "final_answer(1)" if len(texts) == 4 else "print(40 + 2)"
        return f"Thought: go on.\n<code>\n{code}\n</code>"

    @tool
    def add(a: int, b: int) -> int:
        """Add.

        Args:
            a: One.
            b: The other.
        """
        return a + b

    class Watched(SessionExecutor):
        def _open(self) -> SubprocessTransport:
            folders = [os.path.dirname(os.path.abspath(__file__)), *sys.path]
            boot = (
                f"import sys; sys.path[:0] = {folders!r}; import hops; hops.Recorder({path!r}).start(); "
                "from pinjra.worker.__main__ import main; main()"
            )
            return SubprocessTransport((sys.executable, "-I", "-c", boot))

    program = "import time\nadd(1, 2)\nbegin = time.monotonic_ns()\nadd(3, 4)\n(begin, time.monotonic_ns())"
    Recorder(path).start()
    with Watched(guard=True, rollback=False) as box:
        agent = CodeAgent(
            tools=[],
            model=ScriptedModel(answer),
            executor=box,
            step_callbacks=[lambda _step, agent: steps.append(time.monotonic_ns())],
            verbosity_level=0,
        )
        agent.run("Count.")
    with Watched(guard=True, rollback=False) as box:
        box.send_tools({"add": add})
        called = box.run(program).value
    sys.setprofile(None)
    return {"a run": (texts[2], steps[2]), "a tool call": called}


def main() -> None:
    """Print how many, and which."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--list", action="store_true", help="the functions, too")
    options = arguments.parse_args()
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(PARTS * PART_BYTES)
        for what, (begin, end) in watch(file.name).items():
            for how, found in zip(
                ("entered", "on the way"), zip(*read(file.name, begin, end), strict=True), strict=True
            ):
                sums = " + ".join(str(len(names)) for names in found)
                print(f"{what}, {how}: {sum(map(len, found))} functions: {sums}")
                for number, names in enumerate(found if options.list else [], 1):
                    print(f"  process {number}", *names, sep="\n    ")


if __name__ == "__main__":
    main()
