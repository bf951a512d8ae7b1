"""Large values cross both ways; what is beyond the limits is an error of the guest, and the session lives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pandas as pd
import pytest

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.pipes import SubprocessTransport, worker_command
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

LONG = Limits(wall_seconds=300, cpu_seconds=300, memory_bytes=4 << 30)


class OwnProcess(SessionExecutor):
    """An unconfined process of this user."""

    def _open(self) -> Transport:
        return SubprocessTransport(worker_command())


@pytest.fixture(scope="module")
def box() -> Iterator[OwnProcess]:
    with OwnProcess(["pandas"], guard=False, limits=LONG) as executor:
        yield executor


def test_more_than_a_million_numbers_cross_both_ways(box: OwnProcess) -> None:
    numbers = list(range(10**9, 10**9 + 1_200_000))
    box.send_variables({"numbers": numbers})
    assert box.run("numbers").value == numbers


def test_a_table_of_many_rows_with_text_crosses_both_ways(box: OwnProcess) -> None:
    table = pd.DataFrame({"n": range(600_000), "text": [f"row {n}" for n in range(600_000)]})
    box.send_variables({"table": table})
    found = box.run("table").value
    assert isinstance(found, pd.DataFrame)
    assert found["text"].tolist() == table["text"].tolist()


def test_as_many_times_as_the_bytes_allow_cross(box: OwnProcess) -> None:
    done = box.run("import datetime\n[datetime.datetime(2024, 1, 1)] * 80_000")
    assert len(done.value) == 80_000, done.error  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "code", ["[{'a': 1} for _ in range(800_000)]", "[[] for _ in range(3_000_000)]", "['a'] * 5_000_000"]
)
def test_what_takes_the_host_too_much_memory_is_the_guests_error(box: OwnProcess, code: str) -> None:
    error = box.run(code).error
    assert error is not None
    assert error.cause is Cause.VALUE
    assert "takes 5 times" in error.message or "more than one message may cost" in error.message
    assert box.run("1 + 1").value == 2


def test_the_limit_of_a_value_may_be_raised() -> None:
    with OwnProcess(limits=Limits(value_bytes=200 << 20, memory_bytes=4 << 30, wall_seconds=300)) as box:
        box.send_variables({"data": b"x" * (100 << 20)})
        assert box.run("data").value == b"x" * (100 << 20)


MEMORY = """
import resource, sys
from pinjra import Limits, sandbox

def size_of(value):
    if hasattr(value, "memory_usage"):
        return int(value.memory_usage(deep=True).sum())
    return sys.getsizeof(value) + sum(map(sys.getsizeof, value) if isinstance(value, list) else ())

limits = Limits(value_bytes={value_bytes}, memory_bytes=3 << 30, wall_seconds=300, cpu_seconds=300)
import pandas
with sandbox("local", imports="standard", authorized_imports=["pandas"], limits=limits) as box:
    box.run("1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    done = box.run({code!r})
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
    assert done.error is None, done.error
    box.send_variables({{"back": done.value}})
    print(len(done.value), grown / size_of(done.value), box.run("len(back)").value)
"""


@pytest.mark.parametrize(
    ("code", "length", "value_bytes"),
    [
        ("list(range(2_000_000))", 2_000_000, 64 << 20),
        (
            "import pandas as pd\npd.DataFrame({'n': range(1_000_000), 't': [f'row {i}' for i in range(1_000_000)]})",
            1_000_000,
            64 << 20,
        ),
        ("b'x' * (150 << 20)", 150 << 20, 160 << 20),
    ],
    ids=["two million integers", "a table of a million rows with text", "150 MiB"],
)
def test_a_large_value_takes_at_most_three_times_its_memory_here(
    code: str, length: int, value_bytes: int
) -> None:
    program = MEMORY.format(code=code, value_bytes=value_bytes)
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    came, ratio, went = done.stdout.split()
    assert (int(came), int(went)) == (length, length)
    assert float(ratio) < 3
