"""A refused system call: the error says what would allow it, or who does. A killed run says what became of its files."""

from __future__ import annotations

import sys

import pytest

from pinjra import Limits, sandbox
from pinjra.executors.base import PythonExecutor
from pinjra.executors.jail import JailExecutor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what Linux refuses")
BOTH = ["local"] if JailExecutor.diagnose() else ["local", "jail"]

REFUSED = {
    "import subprocess\nsubprocess.run(['true'])": ("PermissionError", 'programs=["…"] allows programs'),
    "import socket\nsocket.socket()": ("PermissionError", 'network=["…"] allows hosts'),
    "import os\nos.mkfifo('pipe')": ("PermissionError", "the sandbox does not permit this system call"),
}
OF_LOCAL = {
    "import multiprocessing\nmultiprocessing.Pool(2)": 'pools of them, are in executor_type="jail"',
    "from concurrent.futures import ProcessPoolExecutor\nlist(ProcessPoolExecutor(2).map(abs, [-1]))": 'executor_type="jail"',
    "from multiprocessing import shared_memory\nshared_memory.SharedMemory(create=True, size=1)": "shared memory is in",
}


@pytest.fixture(scope="module", params=BOTH)
def box(request: pytest.FixtureRequest):
    with sandbox(request.param, imports="standard") as opened:
        yield opened


@pytest.mark.parametrize("code", REFUSED)
def test_a_refused_system_call_says_what_allows_it(box: PythonExecutor, code: str) -> None:
    error = box.run(code).error
    assert error is not None
    kind, hint = REFUSED[code]
    assert (error.type, (error.hint or "").startswith(hint)) == (kind, True), error
    assert error.hint in str(error)


@pytest.mark.parametrize("code", OF_LOCAL)
def test_what_local_cannot_have_names_an_executor_that_has_it(box: PythonExecutor, code: str) -> None:
    error = box.run(code).error
    if isinstance(box, JailExecutor):
        assert error is None
    else:
        assert error is not None and OF_LOCAL[code] in (error.hint or ""), error


def test_a_guests_own_error_gets_no_hint(box: PythonExecutor) -> None:
    for code in ("open('absent')", "raise PermissionError('mine')", "1 / 0"):
        error = box.run(code).error
        assert error is not None and error.hint is None


def test_a_hint_is_of_the_call_and_not_of_what_a_guests_class_says(box: PythonExecutor) -> None:
    code = "class Odd(OSError):\n    errno = property(lambda self: 1)\nraise Odd('x')"
    error = box.run(code).error
    assert error is not None and (error.type, error.hint) == ("Odd", None)


@pytest.mark.parametrize("rollback", [True, False])
@pytest.mark.parametrize("name", BOTH)
def test_a_killed_run_says_what_became_of_its_variables_and_files(name: str, rollback: bool) -> None:
    code = "x = 2\nwith open('left.txt', 'w') as f:\n    f.write('x')\nwhile True:\n    pass"
    with sandbox(name, rollback=rollback, limits=Limits(wall_seconds=1)) as box:
        box.run("x = 1")
        done = box.run(code)
        assert done.error is not None and done.files == {}
        assert (done.error.rolled_back, done.error.state_lost) == (rollback, not rollback)
        words = (
            "files that it wrote are still there" if rollback else "with the files that list_files() names"
        )
        assert done.error.message.endswith(words)
        assert box.list_files() == {"left.txt": 1}
