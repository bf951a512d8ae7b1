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
    done = failure_of(
        executor, "x = 1\nprint('before')\ndef f():\n    return x / 0\nf()", ErrorKind.EXCEPTION
    )
    expect(done.stdout, "before\n")
    error = done.error
    assert error is not None
    expect((error.type, error.line, error.source_line), ("ZeroDivisionError", 4, "return x / 0"))
    expect(value_of(executor, "x"), 1)


@check()
def a_syntax_error_is_a_value(executor: PythonExecutor) -> None:
    failure_of(executor, "x = = 1", ErrorKind.SYNTAX)
    expect(value_of(executor, "2"), 2)


@check()
def leaving_the_interpreter_is_a_guest_error(executor: PythonExecutor) -> None:
    for code in ("raise SystemExit(3)", "raise KeyboardInterrupt"):
        failure_of(executor, code)
    expect(value_of(executor, "'still here'"), "still here")


@check()
def an_import_that_is_not_authorised_is_refused_with_a_hint(executor: PythonExecutor) -> None:
    done = failure_of(executor, "import ctypes", ErrorKind.REFUSED)
    if "authorised" not in str(done.error):
        raise CheckFailed(f"no hint in {done.error}")


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
    if not (
        done.stdout.startswith("flood")
        and done.stdout.endswith(" 4999\n")
        and "are missing here" in done.stdout
    ):
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
