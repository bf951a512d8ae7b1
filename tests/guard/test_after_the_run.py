"""Guest code that runs when the run is over (destructors, closed generators, reprs, caches) does nothing to the host."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.core.values import Opaque
from pinjra.executors.local import LocalPythonExecutor


def test_a_generator_that_is_closed_after_the_run_writes_no_file(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    target = tmp_path / "late.csv"
    with LocalPythonExecutor(["pandas"]) as box:
        done = box.run(
            "import pandas\nframe = pandas.DataFrame({'a': [1]})\n"
            "def late():\n    try:\n        yield 1\n    finally:\n"
            f"        frame.to_csv({str(target)!r})\n"
            "kept = late()\nnext(kept)\nring = [kept]\nring.append(ring)\ndel kept, ring\n1"
        )
        assert done.value == 1
        gc.collect()
    gc.collect()
    assert not target.exists()


def test_destructors_run_no_guest_code_after_the_run_and_say_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    heard: list[str] = []
    with LocalPythonExecutor() as box:
        box.on_output = lambda stream, text: heard.append(text)
        box.run(
            "class A:\n    def __del__(self):\n        print('late')\n        raise ValueError('loud')\na = A()"
        )
    gc.collect()
    assert heard == []
    assert capfd.readouterr().err == ""


def test_what_cannot_cross_is_described_by_its_own_repr_while_the_run_is_open() -> None:
    with LocalPythonExecutor() as box:
        done = box.run("class A:\n    def __repr__(self):\n        return 'a thing'\n[A(), int]")
        assert done.value == [Opaque("A", "a thing"), Opaque("type", "<class 'int'>")]


def test_a_repr_that_does_not_end_is_stopped_by_the_limits_of_the_run() -> None:
    with LocalPythonExecutor(limits=Limits(wall_seconds=None, operations=100_000)) as box:
        done = box.run("class A:\n    def __repr__(self):\n        while True: pass\nA()")
        assert done.error is not None
        assert done.error.cause is Cause.OPERATIONS


def test_a_repr_on_its_way_into_a_tool_is_guest_code(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    target = tmp_path / "repr.csv"
    with LocalPythonExecutor(["pandas"]) as box:
        box.send_tools({"take": lambda thing: type(thing).__name__})
        done = box.run(
            "import pandas\nclass A:\n    def __repr__(self):\n"
            f"        pandas.DataFrame({{'a': [1]}}).to_csv({str(target)!r})\n        return 'written'\n"
            "take(A())"
        )
        assert done.value == "Opaque"
    assert not target.exists()
