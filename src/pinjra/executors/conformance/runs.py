"""Checks: output, errors as values, final answers, limits, interrupt, rollback, files, and the end of a session."""

from __future__ import annotations

import threading
from dataclasses import replace

from pinjra.core.errors import ExecutorClosed, InterpreterError
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


@check()
def output_is_captured_in_order_and_seen_live(executor: PythonExecutor) -> None:
    seen: list[str] = []
    executor.on_output = lambda stream, text: seen.append(text)
    done = executor.run("print('a', 1, sep='-')\nprint('b', end='')\nprint('ü')\n5")
    expect((done.stdout, done.value), ("a-1\nbü\n", 5))
    expect("".join(seen), "a-1\nbü\n", "live output")


@check()
def output_before_an_error_is_kept_and_the_error_names_its_line(executor: PythonExecutor) -> None:
    done = executor.run("x = 1\nprint('before')\ndef f():\n    return x / 0\nf()")
    error = done.error and (done.error.kind, done.error.type, done.error.line, done.error.source_line)
    expect(error, (ErrorKind.EXCEPTION, "ZeroDivisionError", 4, "return x / 0"))
    expect((done.stdout, value_of(executor, "x")), ("before\n", 1))


_FAILURES = {
    "1 / 0": ErrorKind.EXCEPTION,
    "import nosuch": None,  # refused where it is not authorised, else not found
    "x = = 2": ErrorKind.SYNTAX,
    "raise BaseException('odd')": ErrorKind.EXCEPTION,
    "def f():\n    f()\nf()": None,  # an exception, or a limit
    "raise SystemExit(3)": None,
    "raise KeyboardInterrupt": None,
}


@check()
def every_kind_of_failure_is_a_value_and_the_next_runs_work(executor: PythonExecutor) -> None:
    for code, kind in _FAILURES.items():
        failure_of(executor, code, kind)
        expect(value_of(executor, "1 + 1"), 2)


@check()
def an_import_that_is_not_authorised_is_refused_with_a_hint(executor: PythonExecutor) -> None:
    error = failure_of(executor, "import ctypes", ErrorKind.REFUSED)
    if "authorised" not in str(error):
        raise CheckFailed(f"no hint in {error}")


@check()
def calling_the_executor_raises_guest_errors(executor: PythonExecutor) -> None:
    expect(tuple(executor("print('x')\n1")), (1, "x\n", False))
    try:
        executor("1 / 0")
    except InterpreterError as error:
        if "ZeroDivisionError" not in str(error):
            raise CheckFailed(str(error)) from None
    else:
        raise CheckFailed("no InterpreterError")


@check(limits=replace(CHECK_LIMITS, output_bytes=10_000))
def output_past_the_limit_is_cut_with_a_marker(executor: PythonExecutor) -> None:
    done = executor.run("for i in range(5000):\n    print('flood' * 100, i)\n'end'")
    if not 5_000 < len(done.stdout.encode()) < 12_000:
        raise CheckFailed(f"{len(done.stdout)} characters of output")
    is_marked = "are missing here" in done.stdout
    if not is_marked or not done.stdout.startswith("flood") or not done.stdout.endswith(" 4999\n"):
        raise CheckFailed("the first part, a mark and the last part should be kept")
    whole = "".join(f"{'flood' * 100} {number}\n" for number in range(5000))
    if not any(file.read() == whole.encode() for file in done.files.values()):
        raise CheckFailed("all of it should be a file of the run")


@check()
def final_answer_ends_the_run(executor: PythonExecutor) -> None:
    done = executor.run(
        "try:\n    final_answer({'a': 1})\nexcept BaseException:\n    print('swallowed')\nprint('after')"
    )
    expect((done.value, done.is_final_answer, done.stdout), ({"a": 1}, True, ""))
    expect(executor.run("1").is_final_answer, False)


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
