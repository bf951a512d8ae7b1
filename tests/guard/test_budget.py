"""The operation budget: what is counted, that it ends everything, and what it does not change."""

from __future__ import annotations

import sys
import threading

import pytest
from tests.guard.support import Session

from pinjra.core.execution import Cause, ErrorKind


@pytest.mark.parametrize(
    ("source", "operations"),
    [
        ("for i in range(1000): pass", 1000),
        ("i = 1000\nwhile i: i -= 1", 1000),
        ("x = [i for i in range(1000)]", 1000),
        ("x = sum(i for i in range(1000))", 1000),
        ("def f(n): return f(n - 1) if n else 0\nx = [f(99) for _ in range(10)]", 1010),
        ("f = lambda n: f(n - 1) if n else 0\nx = f(99)", 100),
        (
            "async def a():\n    async for i in g(): pass\nasync def g():\n    for i in range(1000): yield i\nawait a()",
            2001,
        ),
        ("x = list(range(1000))\nx.sort()", 0),
        ("def leaf(n): return n + 1\nx = list(map(leaf, range(1000)))", 0),
    ],
)
def test_turns_and_calls_are_counted(source: str, operations: int) -> None:
    assert abs(Session().run(source).operations - operations) <= operations * 0.01 + 2


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "for i in iter(int, 1): pass",
        "sum(1 for _ in iter(int, 1))",
        "[0 for _ in iter(int, 1)]",
        "{i: 0 for i in iter(int, 1)}",
        "def f(): f()\nwhile True:\n    try: f()\n    except RecursionError: pass",
        "import itertools\nfor i in itertools.count(): pass",
        "import asyncio\nasync def g():\n    while True: yield 1\nasync def a():\n    async for i in g(): pass\nasyncio.run(a())",
        "class A:\n    def __iter__(self): return self\n    def __next__(self): return 1\nfor a in A(): pass",
    ],
)
def test_an_endless_loop_ends(loop: str) -> None:
    session = Session(operations=100_000)
    error = session.error(loop)
    assert (error.kind, error.cause) == (ErrorKind.LIMIT, Cause.OPERATIONS)
    assert error.message == "the limit of 100,000 operations was reached"
    assert session.value("1 + 1") == 2


def test_a_budget_is_for_one_run() -> None:
    session = Session(operations=10_000)
    for _ in range(5):
        session.value("for i in range(8000): pass")
    assert session.error("for i in range(12000): pass").cause is Cause.OPERATIONS


@pytest.mark.parametrize("most", [1, 3, 1000, 1023, 1024, 2500])
def test_a_budget_of_any_size_is_held_to_the_turn(most: int) -> None:
    """It was counted by the thousand: of 1000 not one could be used, of 2500 only 2048."""
    session = Session(operations=most)
    for _ in range(2):
        assert session.run(f"for i in range({most}): pass").operations == most
        assert session.error(f"for i in range({most + 1}): pass").cause is Cause.OPERATIONS
        assert session.value("i") == most - 1


def test_a_tool_does_nothing_once_the_run_is_being_stopped() -> None:
    session = Session(operations=10_000)
    calls: list[str] = []
    session.interpreter.bind("transfer", lambda: calls.append("called"))
    source = "try:\n    while True: pass\nfinally:\n    transfer()"
    assert session.error(source).cause is Cause.OPERATIONS
    assert calls == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_of_the_guest_is_stopped_with_its_run() -> None:
    session = Session("threading", operations=10**9)
    ended = threading.Event()
    session.interpreter.bind("ended", ended.set)
    session.run(
        "import threading\ndef spin():\n    while True: pass\nt = threading.Thread(target=spin, daemon=True)\nt.start()"
    )
    session.interpreter.stop(Cause.INTERRUPT)
    thread = session.interpreter._namespace["t"]
    thread.join(300)
    assert not thread.is_alive()


def test_source_with_deep_nesting_is_walked_without_recursion() -> None:
    deep = "+".join(["1"] * 2000)
    if sys.version_info < (3, 12):
        assert Session().value(deep) == 2000
    else:  # C code has a limit of its own there, which a tree reaches earlier than a text
        assert Session().run(deep).error is None or "nested too deeply" in Session().error(deep).message
    assert "nested too deeply" in Session().error("+".join(["1"] * 100_000)).message
