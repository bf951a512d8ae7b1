"""The operation budget: what is counted, that it ends everything, and what it does not change."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import pytest
from tests.guard.support import Session

from pinjra.core.execution import Cause, ErrorKind


@pytest.fixture
def calls_looked_at() -> Iterator[None]:
    """Put back who looks at the calls of this process."""
    kept = sys.gettrace(), sys.getprofile()
    yield
    sys.settrace(kept[0])
    sys.setprofile(kept[1])


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


@pytest.mark.parametrize("turns", [0, 1, 2])
@pytest.mark.parametrize("look", ["settrace(look)", "setprofile(look)", "settrace(look_closely)"])
def test_a_program_that_looks_at_its_own_calls_is_counted_and_ends(
    look: str, turns: int, calls_looked_at: None
) -> None:
    """Who pays for ticks is Python, and was looked at: the tracer's own ticks were paid in its midst, and so without end."""
    session = Session("sys", operations=1_000_000)
    source = (
        "import sys\nseen = []\ndef look(frame, event, arg):\n    seen.append(event)\n"
        f"    for _ in range({turns}): pass\n    return look\n"
        "def look_closely(*given):\n    given[0].f_trace_opcodes = True\n    return look(*given) and look_closely\n"
        f"def work():\n    for i in range(5000): len([])\n    return i\n"
        f"sys.{look}\ndone = work()\nsys.{look.partition('(')[0]}(None)\n"
        "done, len(seen)"
    )
    outcome = session.run(source)
    assert outcome.error is None, outcome.error.message
    done, events = outcome.value
    assert done == 4999
    assert outcome.operations is not None
    calls = 2 if "closely" in look else 1
    assert 5000 <= outcome.operations <= 5000 + (calls + turns) * (events + 10) + 10


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
