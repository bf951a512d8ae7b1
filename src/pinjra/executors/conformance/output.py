"""Checks: output, errors as values, final answers."""

from __future__ import annotations

from dataclasses import replace

from pinjra.core.errors import InterpreterError
from pinjra.core.execution import ErrorKind
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import CHECK_LIMITS, CheckFailed, check, expect, failure_of, value_of


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
