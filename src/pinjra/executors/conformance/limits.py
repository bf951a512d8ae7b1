"""Checks: limits, interrupt, rollback, files, and the end of a session."""

from __future__ import annotations

import threading
from dataclasses import replace

from pinjra.core.errors import ExecutorClosed
from pinjra.core.execution import Cause, ErrorKind
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CHECK_LIMITS, CheckFailed, check, expect, failure_of, value_of

# Of a run that is to be stopped. It has no bearing on what else a check runs, which may take longer on a slow machine.
SHORT_SECONDS = 1.0


@check(needs=["wall"])
def the_wall_limit_stops_loops_that_swallow_everything(executor: PythonExecutor) -> None:
    for code in (
        "while True:\n    pass",
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass",
        "import time\ntime.sleep(1000)",
    ):
        done = executor.run(code, wall_seconds=SHORT_SECONDS)
        if done.error is None or done.error.cause not in (Cause.WALL, Cause.OPERATIONS):
            raise CheckFailed(f"{code!r}: {done.error}")
    expect(value_of(executor, "1 + 1"), 2)


@check(needs=["wall"])
def the_wall_limit_can_be_given_for_one_run(executor: PythonExecutor) -> None:
    done = executor.run("import time\ntime.sleep(1000)", wall_seconds=0.5)
    expect(done.error and done.error.cause, Cause.WALL)


@check(needs=["operations"], limits=replace(CHECK_LIMITS, operations=100_000))
def operations_are_limited(executor: PythonExecutor) -> None:
    done = failure_of(executor, "for i in range(10**9):\n    pass", ErrorKind.LIMIT)
    expect(done.error and done.error.cause, Cause.OPERATIONS)
    expect(value_of(executor, "sum(range(100))"), 4950)


@check(needs=["memory"], limits=replace(CHECK_LIMITS, memory_bytes=256 << 20))
def memory_is_limited(executor: PythonExecutor) -> None:
    failure_of(executor, "b = bytearray(800_000_000)\nfor i in range(0, len(b), 4096):\n    b[i] = 1")
    failure_of(executor, "s = 'ab' * 1024\nfor i in range(21):\n    s = s + s\nlen(s)")
    expect(value_of(executor, "1 + 1"), 2)


@check()
def interrupt_stops_a_run_from_another_thread(executor: PythonExecutor) -> None:
    def when_printed(stream: str, text: str) -> None:
        threading.Thread(target=executor.interrupt).start()

    executor.on_output = when_printed
    done = executor.run("print('go', flush=True)\nwhile True:\n    pass", wall_seconds=3600)
    expect(done.error and done.error.kind, ErrorKind.INTERRUPTED)
    executor.on_output = None
    expect(value_of(executor, "1 + 1"), 2)


@check(needs=["rollback"])
def a_step_that_is_killed_leaves_the_variables_as_they_were(executor: PythonExecutor) -> None:
    value_of(executor, "x = 1\nitems = [1, 2]")
    done = executor.run("x = 2\nitems.append(3)\nwhile True:\n    pass", wall_seconds=SHORT_SECONDS)
    expect(done.error and (done.error.rolled_back, done.error.state_lost), (True, False))
    expect(value_of(executor, "(x, items)"), (1, [1, 2]))


@check()
def a_second_and_a_third_run_work_after_every_kind_of_failure(executor: PythonExecutor) -> None:
    for code in ("1 / 0", "import nosuch", "x = = 2", "raise BaseException('odd')", "def f():\n    f()\nf()"):
        failure_of(executor, code)
        expect(value_of(executor, "1 + 1"), 2)


@check(needs=["files"])
def files_go_in_and_out_of_the_scratch_folder(executor: PythonExecutor) -> None:
    executor.put_file("in/data.txt", b"hello")
    expect(executor.list_files(), {"in/data.txt": 5})
    expect(executor.get_file("in/data.txt"), b"hello")
    try:
        executor.get_file("absent")
    except FileNotFoundError:
        pass
    else:
        raise CheckFailed("no FileNotFoundError")


@check()
def reset_forgets_variables_and_keeps_tools(executor: PythonExecutor) -> None:
    executor.send_tools({"one": lambda: 1})
    value_of(executor, "x = 5")
    executor.reset()
    failure_of(executor, "x")
    expect(value_of(executor, "one()"), 1)


@check(needs=["fork"])
def a_fork_has_the_same_state_and_goes_its_own_way(executor: PythonExecutor) -> None:
    executor.send_tools({"one": lambda: 1})
    value_of(executor, "x = [1]")
    with executor.fork() as branch:
        expect(value_of(branch, "x.append(one() + 1)\nx"), [1, 2])
        expect(value_of(executor, "x"), [1])
    expect(value_of(executor, "x"), [1])


@check()
def closing_twice_is_fine_and_use_after_it_is_an_error(executor: PythonExecutor) -> None:
    executor.close()
    executor.close()
    try:
        executor.run("1")
    except ExecutorClosed:
        return
    raise CheckFailed("run() worked after close()")
