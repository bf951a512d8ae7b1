"""Agents whose code runs in the jail: tools, secrets, closures and managed agents stay on the host."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

import pytest

from pinjra.agents import CodeAgent
from pinjra.core.limits import Limits
from pinjra.executors.jail import JailExecutor
from pinjra.models.scripted import ScriptedModel

SCAN = """
import ctypes, gc, os
libc = ctypes.CDLL(None, use_errno=True)
libc.sbrk.restype = ctypes.c_void_p
libc.write.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t]
reader, writer = os.pipe()
marker = "".join(["mark", "er-of-", "the-guest"])
found = {}

def page(address):
    if libc.write(writer, address, 4096) != 4096:  # EFAULT: nothing is mapped there
        return b""
    return os.read(reader, 4096)

end = libc.sbrk(0) & ~0xFFF
while data := page(end - 4096):  # the C heap, from its end down
    end -= 4096
    found[end] = data
for block in {id(each) >> 18 for each in gc.get_objects()}:  # the arenas of Python's objects
    for number in range(64):
        address = (block << 18) + number * 4096
        if address not in found:
            found[address] = page(address)
files = []
for folder, _, names in os.walk("."):
    files += [open(os.path.join(folder, name), "rb").read() for name in names]
dump = b"".join(found.values())
report((dump, repr(dict(os.environ)), files, marker.encode()))
"""


class Vault:
    """Answers with what only its secret can know, and never with the secret."""

    def __init__(self) -> None:
        self.secret = secrets.token_hex(16)

    def lookup(self, name: str) -> int:
        """Return a number from the vault.

        Args:
            name: Of the number.
        """
        return len(self.secret) + len(name)


def says(*codes: str) -> ScriptedModel:
    return ScriptedModel([f"Thought: go on.\n<code>\n{code}\n</code>" for code in codes])


def agent(model: ScriptedModel, tools: list[Callable[..., object]], **options: object) -> CodeAgent:
    kwargs = {"limits": Limits(wall_seconds=20), "guard": False, "spares": 0}
    return CodeAgent(tools, model, executor_type="jail", executor_kwargs=kwargs, **options)


def test_a_secret_of_a_tool_is_nowhere_in_the_guest() -> None:
    vault, reports = Vault(), []

    def lookup(name: str) -> int:
        """Return a number from the vault.

        Args:
            name: Of the number.
        """
        return vault.lookup(name)

    def report(found: tuple) -> None:
        """Take what was found.

        Args:
            found: The guest's memory, environment and files, and what it is sure to have.
        """
        reports.append(found)

    model = says("x = lookup('abc')\nprint(x)", SCAN, "final_answer(x)")
    assert agent(model, [lookup, report]).run("Search yourself.") == 35
    memory, environment, files, marker = reports[0]
    assert marker in memory
    assert len(memory) > 4 << 20
    for form in (vault.secret.encode(), vault.secret.encode("utf-16-le"), bytes.fromhex(vault.secret)):
        assert form not in memory
        assert all(form not in data for data in files)
    assert vault.secret not in environment


class Clock:
    """The machine's clock, and what was added to it."""

    def __init__(self) -> None:
        self._real, self.ahead = time.monotonic, 0.0

    def __call__(self) -> float:
        return self._real() + self.ahead


def test_a_team_with_a_closure_and_a_tool_of_forty_seconds_works_in_the_jail(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    counted: list[int] = []

    def slow(number: int) -> int:
        """Return twice the number, after a while.

        Args:
            number: Any.
        """
        clock.ahead += 40
        counted.append(number)
        return 2 * number

    helper = agent(
        says("y = slow(n)", "final_answer(slow(y) + 1)"),
        [slow],
        name="helper",
        description="Doubles numbers.",
    )
    manager = agent(
        says("n = slow(5)\nprint(n)", "final_answer(helper('double it', additional_args={'n': n}))"),
        [slow],
        managed_agents=[helper],
    )
    assert manager.run("Double five, three times.") == 41
    assert counted == [5, 10, 20]


def test_time_on_the_hosts_clock_that_no_tool_has_used_is_the_guests(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(time, "monotonic", clock)
    with JailExecutor(limits=Limits(wall_seconds=20), spares=0) as box:

        def late(_stream: str, _text: str) -> None:
            clock.ahead += 40

        box.on_output = late
        error = box.run("print(1)\nwhile True:\n    pass").error
    assert error is not None
    assert error.type == "TimeoutError"


def test_a_model_is_told_what_became_of_the_variables_and_files_of_a_killed_step() -> None:
    killed = "with open('left.txt', 'w') as f:\n    f.write('kept')\nx = 2\nimport os\nos._exit(3)"
    model = says("x = 1", killed, "final_answer((x, open('left.txt').read()))")
    asked = agent(model, [])
    assert asked.run("Write a file.") == (1, "kept")
    said = "the variables are again as they were before this step, files that it wrote are still there"
    assert said in model.requests[-1].messages[-1].content
