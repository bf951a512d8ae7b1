"""A host with secrets: argv = program, folder of canaries, optionally "plain" (no guard, to prove that canaries work)."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from pinjra.core.limits import Limits
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.guard.interpreter import Interpreter
from pinjra.guard.policy import Policy


class Service:
    """What a tool keeps behind itself."""

    shared = 1

    def __init__(self) -> None:
        self._environ = dict(os.environ)

    def lookup(self, key: str) -> str:
        return f"<{key}>"


service = Service()


def tool(a: object = None, *, _service: Service = service) -> object:
    return a


def fail() -> None:
    held = service  # noqa: F841 (reachable through the frame)
    raise ValueError("no")


def main() -> None:
    program, folder = Path(sys.argv[1]).read_text().replace("{{FOLDER}}", sys.argv[2]), sys.argv[2]
    out: list[str] = []
    limits = Limits(operations=20_000_000, memory_bytes=256 << 20)
    interpreter = Interpreter(
        Policy(DEFAULT_AUTHORIZED),
        limits=limits,
        write=lambda _, text: out.append(text),
        guard=sys.argv[3:] != ["plain"],
    )
    if sys.argv[3:] == ["plain"]:
        interpreter.set_variable("tool", tool)
    else:
        for name, function in (("tool", tool), ("lookup", service.lookup), ("fail", fail)):
            interpreter.bind(name, function)
    outcome = interpreter.run(program)
    print("".join(out)[:100_000])
    print(
        "value:",
        type(outcome.value).__name__,
        repr(outcome.value)[:10_000] if _is_plain(outcome.value) else "",
    )
    print("error:", str(outcome.error)[:5_000])
    after = interpreter.run(
        "import json, math\n[len([1, 2]), json.dumps([1]), math.sqrt(9.0), str(5), sum([1, 2])]"
    )
    intact = after.value == [2, "[1]", 3.0, "5", 3] and json.dumps([1]) == "[1]" and Service.shared == 1
    print("HOST INTACT" if intact and os.getcwd() and folder else f"HOST CHANGED {after}")


def _is_plain(value: object) -> bool:
    if type(value) in (list, tuple):
        return all(map(_is_plain, value))  # type: ignore[call-overload]
    return type(value) in (str, int, float, bool, bytes, type(None))


main()
