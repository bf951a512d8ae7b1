"""Checks: limits, interrupt, rollback, files, and the end of a session."""

from __future__ import annotations

import threading
from dataclasses import replace

from pinjra.core.errors import ExecutorClosed
from pinjra.core.execution import Cause, ErrorKind
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import (
    CHECK_LIMITS,
    CheckFailed,
    check,
    expect,
    expect_raised,
    failure_of,
    value_of,
)

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


@check(needs=["operations"], limits=replace(CHECK_LIMITS, operations=100_000))
def operations_are_limited(executor: PythonExecutor) -> None:
    error = failure_of(executor, "for i in range(10**9):\n    pass", ErrorKind.LIMIT)
    expect(error.cause, Cause.OPERATIONS)
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
    expect(done.error and done.error.state_lost, False)  # a busy machine may still be rolling back
    expect(value_of(executor, "(x, items)"), (1, [1, 2]))


@check(needs=["wall", "files"])
def files_of_a_step_that_is_killed_are_rolled_back_or_the_result_says_that_they_are_not(
    executor: PythonExecutor,
) -> None:
    code = "with open('left.txt', 'w') as f:\n    f.write('x')\nwhile True:\n    pass"
    error = executor.run(code, wall_seconds=SHORT_SECONDS).error
    is_killed = error is not None and (error.rolled_back or error.state_lost)
    if is_killed and "left.txt" in executor.list_files() and "files" not in str(error):
        raise CheckFailed(f"left.txt is there, and nothing of it is in: {error}")


@check(needs=["files"])
def files_go_in_and_out_of_the_scratch_folder(executor: PythonExecutor) -> None:
    executor.put_file("in/data.txt", b"hello")
    expect(executor.list_files(), {"in/data.txt": 5})
    expect(executor.get_file("in/data.txt"), b"hello")
    expect_raised(FileNotFoundError, lambda: executor.get_file("absent"))


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
    expect_raised(ExecutorClosed, lambda: executor.run("1"))
