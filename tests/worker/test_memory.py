"""A memory that was filled once: the run that filled it is undone, or the next step has room to free it."""

import pytest

# CPython 3.11 goes round for ever where it cannot say at which instruction memory ended: the limit of its time ends that
LIMITS = {"memory_bytes": 96 << 20, "cpu_seconds": 4}
AT_ONCE = "rows = 'x'\nwhile True: rows += rows"  # fills half of it, and the run that fails leaves room
FILLING = {
    "one list": "rows = []\nwhile True: rows.append([0] * 1000)",
    "small objects": "rows = []\nwhile True: rows.append(object())",
    "small lists": "rows = []\nwhile True: rows.append([1])",
    "integers": "rows = []\ni = 10**9\nwhile True:\n i += 1\n rows.append(i)",
    "one dict": "rows = {}\nwhile True: rows[len(rows)] = str(len(rows))",
    "dicts of dicts": "rows = {}\nwhile True: rows[len(rows)] = {'a': {'b': [0] * 50}}",
    "a string": AT_ONCE,
    "many strings": "rows = []\nwhile True: rows.append('x' * 5000 + str(len(rows)))",
    "bytes": "rows = bytearray()\nwhile True: rows += bytes(1 << 20)",
    "a set": "rows = set()\nwhile True: rows.add((len(rows), 'x'))",
    "nested": "rows = []\nwhile True: rows = [rows, 0, 0]",
    "in a function": "def fill():\n global rows\n rows = []\n while True: rows.append('y' * 100 + str(len(rows)))\nfill()",
    "instances": "class A:\n def __init__(self): self.a = [1]\nrows = []\nwhile True: rows.append(A())",
    "a comprehension": "rows = []\nrows.extend([0] * 100 for _ in iter(int, 1))",
    "a generator": "rows = []\ndef g():\n while True: yield rows.append('z' * 1000 + str(len(rows)))\nfor _ in g(): pass",
    "numpy": "import numpy as np\nrows = []\nwhile True: rows.append(np.ones(20_000))",
}
CAUGHT = {
    name: f"try:\n {code.replace(chr(10), chr(10) + ' ')}\nexcept MemoryError: pass"
    for name, code in FILLING.items()
}


UNDONE = [
    *((code, False) for code in FILLING.values()),
    *((FILLING[name], True) for name in ("one list", "a set", "in a function", "numpy")),
]


@pytest.mark.parametrize(
    ("code", "guard"), UNDONE, ids=[*FILLING, "list, guard", "set, guard", "function, guard", "numpy, guard"]
)
def test_the_run_that_filled_the_memory_is_undone(open_host, code, guard):
    host = open_host(limits=LIMITS, guard=guard)
    host.run("kept = 'before'\nrows = 1")
    for _ in range(2):
        end = host.run(code)
        cause = end["cause"] if isinstance(end, dict) else end.cause
        assert cause == "memory"
        assert host.run("kept") == "before"
    assert host.run("len([0] * 1_000_000)") == 1_000_000


@pytest.mark.parametrize("code", CAUGHT.values(), ids=CAUGHT.keys())
def test_a_memory_that_was_filled_on_purpose_can_be_freed(open_host, code):
    host = open_host(limits=LIMITS)
    host.run("kept = 'before'")
    host.run(code)
    assert host.run("'kept' in globals()") is True
    host.run("rows = None")
    assert host.run("len([0] * 1_000_000)") == 1_000_000


@pytest.mark.parametrize("name", ["one list", "many strings", "one dict"])
def test_without_rollback_the_next_step_has_room_to_free_it(open_host, name):
    host = open_host(limits=LIMITS, rollback=False)
    assert host.run(FILLING[name])["cause"] == "memory"
    assert host.run("rows = None\n1") == 1
    assert host.run("len([0] * 1_000_000)") == 1_000_000


def test_a_first_run_that_fills_the_memory_is_undone_to_nothing(open_host):
    host = open_host(limits=LIMITS)
    host.grant(f=lambda: 5)
    assert host.run("x = 1\n" + FILLING["one list"])["line"] is not None
    assert host.finished.error["rolled_back"] is True
    assert host.run("x")["type"] == "NameError"
    assert host.run("f()") == 5


def test_one_value_that_is_too_large_undoes_nothing(open_host):
    host = open_host(limits={"memory_bytes": 256 << 20})
    assert host.run("x = 1\nbytearray(1 << 30)")["cause"] == "memory"
    assert host.run("x") == 1
