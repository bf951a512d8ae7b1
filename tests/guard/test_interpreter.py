from __future__ import annotations

import functools
import gc
import linecache
import sys
import threading
import types
from pathlib import Path

import pytest
from tests.guard.support import Session

from pinjra.core.execution import Cause, ErrorKind


def test_the_last_expression_is_the_value() -> None:
    assert Session().value("x = 20\nx + 1") == 21


def test_a_program_that_ends_with_a_statement_has_no_value() -> None:
    assert Session().value("x = 20") is None


def test_variables_live_on_between_runs() -> None:
    session = Session()
    session.run("x = [1]\ndef f():\n    return x")
    assert session.value("f() is x") is True


def test_final_answer_ends_the_run_with_the_object_itself() -> None:
    outcome = Session().run("final_answer({'a': 1})\nprint('never')")
    assert outcome.is_final
    assert outcome.value == {"a": 1}


@pytest.mark.parametrize(
    "wrapping",
    [
        "try:\n    final_answer(1)\nexcept BaseException:\n    final_answer(2)",
        "try:\n    final_answer(1)\nexcept:\n    pass",
        "def f():\n    try:\n        final_answer(1)\n    finally:\n        return 2\nf()\nwhile True: pass",
        "class S:\n    def __enter__(self): pass\n    def __exit__(self, *a): return True\n"
        "with S():\n    final_answer(1)\nwhile True: pass",
        "import contextlib\nwith contextlib.suppress(BaseException):\n    final_answer(1)\nfinal_answer(2)",
        "import asyncio\nasync def f():\n    final_answer(1)\nasync def g():\n"
        "    await asyncio.gather(f(), return_exceptions=True)\n    final_answer(2)\nasyncio.run(g())",
    ],
)
def test_an_answer_cannot_be_taken_back(wrapping: str) -> None:
    outcome = Session().run(wrapping)
    assert (outcome.is_final, outcome.value, outcome.error) == (True, 1, None)


def test_a_bound_final_answer_makes_the_answer() -> None:
    session = Session()
    session.interpreter.bind("final_answer", lambda value: value * 2)
    outcome = session.run("final_answer(21)")
    assert (outcome.is_final, outcome.value) == (True, 42)


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "raise KeyboardInterrupt", "raise GeneratorExit"])
def test_no_exception_of_the_guest_leaves_the_interpreter(source: str) -> None:
    error = Session().error(source)
    assert error.kind is ErrorKind.EXCEPTION
    assert error.line == 1


def test_an_error_shows_line_text_and_traceback_of_the_guests_own_source() -> None:
    session = Session()
    session.run("def half(x):\n    y = x\n    return y / 0")
    error = session.error("a = 1\n\nhalf(a)")
    assert (error.type, error.message) == ("ZeroDivisionError", "division by zero")
    assert (error.line, error.source_line) == (3, "return y / 0")
    assert (
        error.traceback
        == "line 3: half(a)\nline 3, in half: return y / 0\nZeroDivisionError: division by zero"
    )


def test_an_exception_whose_str_fails_is_reported_all_the_same() -> None:
    error = Session().error("class E(Exception):\n    def __str__(self): raise ValueError\nraise E")
    assert (error.type, error.message) == ("E", "<its message could not be made>")


def test_an_exception_whose_str_loops_is_stopped_by_the_budget() -> None:
    error = Session(operations=100_000).error(
        "class E(Exception):\n    def __str__(self):\n        while 1: pass\nraise E"
    )
    assert (error.kind, error.cause) == (ErrorKind.LIMIT, Cause.OPERATIONS)


def test_a_syntax_error_names_the_line() -> None:
    error = Session().error("x = 1\ny = (")
    assert (error.kind, error.line, error.source_line) == (ErrorKind.SYNTAX, 2, "y = (")


@pytest.mark.parametrize(
    "source",
    [
        "x = " + "(" * 5000,
        "x = " + "-" * 100_000 + "1",
        "x" + ".real" * 50_000,
        "x = 1\0",
        "x = '\ud800'",
        "1" * 9000,
    ],
)
def test_absurd_source_is_a_value_not_a_crash(source: str) -> None:
    assert Session().error(source).kind is ErrorKind.SYNTAX


def test_a_refused_program_says_every_line_and_what_to_do() -> None:
    error = Session().error("x = 1\nx.__globals__\ny = x.gi_frame")
    assert error.kind is ErrorKind.REFUSED
    assert error.line == 2
    assert "line 2: attribute '__globals__'" in error.message
    assert "line 3: attribute 'gi_frame'" in error.message
    assert error.hint


@pytest.mark.parametrize("name", ["max", "input", "id", "type", "print", "len", "display"])
def test_a_variable_named_like_a_builtin_keeps_its_value_from_step_to_step(name: str) -> None:
    session = Session()
    session.run(f"{name} = 31337\ndef show():\n    return {name}")
    assert session.run(f"[{name}, show()]").value == [31337, 31337]


@pytest.mark.parametrize(
    "source", ["len = lambda x: 31337", "def len(x): return 31337", "len = int", "class len: pass"]
)
def test_a_function_that_hides_a_builtin_is_gone_in_the_next_step(source: str) -> None:
    session = Session()
    outcome = session.run(source)
    assert outcome.notes == ("len is the builtin or tool again: choose another name to keep yours",)
    assert session.value("len([])") == 0


def test_functions_of_modules_live_on_under_the_names_of_builtins() -> None:
    session = Session()
    assert session.run("from math import *").notes == ()
    assert session.value("pow(2, 2)") == 4.0


def test_objects_of_modules_that_can_be_called_live_on_under_the_names_of_builtins(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = types.ModuleType("made")
    made.round = functools.partial(round, ndigits=1)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "made", made)
    session = Session(imports="all")
    assert session.run("from made import round").notes == ()
    assert session.value("round(1.26)") == 1.3


def test_a_tool_cannot_be_redefined_for_later_steps() -> None:
    session = Session()
    session.interpreter.bind("add", lambda a, b: a + b)
    outcome = session.run("def add(a, b): return 0\nadd(1, 2)")
    assert outcome.value == 0
    assert outcome.notes == ("add is the builtin or tool again: choose another name to keep yours",)
    assert session.value("globals()['add'] = print\n1") == 1
    assert session.value("add(1, 2)") == 3


@pytest.mark.parametrize(
    "source", ["def add(): pass", "add = 1", "for add in []: pass", "import math as add"]
)
def test_a_protected_name_may_not_be_bound_at_module_level(source: str) -> None:
    error = Session(protected=frozenset({"add"})).error(source)
    assert error.message == "line 1: add is a tool that exists: call it, do not define it"


def test_a_protected_name_is_free_inside_functions_and_as_an_attribute() -> None:
    source = "class A:\n    def add(self, add): return add\nA().add(3)"
    assert Session(protected=frozenset({"add"})).value(source) == 3


def test_stop_from_another_thread_ends_an_endless_loop_that_swallows_everything() -> None:
    session = Session(operations=10**12)
    started = threading.Event()
    session.interpreter.bind("started", started.set)

    def stop() -> None:
        started.wait(120)
        session.interpreter.stop(Cause.INTERRUPT)

    thread = threading.Thread(target=stop)
    thread.start()
    error = session.error(
        "started()\nwhile True:\n    try:\n        while True: pass\n    except BaseException: pass\n    finally: pass"
    )
    thread.join()
    assert (error.kind, error.cause) == (ErrorKind.INTERRUPTED, Cause.INTERRUPT)
    assert session.value("1 + 1") == 2


def test_top_level_await_works() -> None:
    assert (
        Session().value("import asyncio\nasync def f():\n    await asyncio.sleep(0)\n    return 7\nawait f()")
        == 7
    )


def test_a_generator_survives_a_stopped_run() -> None:
    session = Session(operations=50_000)
    session.run("def g():\n    n = 0\n    while True:\n        yield n\n        n += 1\nit = g()\nnext(it)")
    assert session.error("while True: pass").cause is Cause.OPERATIONS
    assert session.value("[next(it), next(it)]") == [1, 2]


def test_two_interpreters_share_nothing() -> None:
    one, two = Session(), Session()
    one.run("x = 1\nimport json\n")
    assert two.error("x").type == "NameError"
    one.interpreter.stop(Cause.INTERRUPT)
    assert two.value("sum(range(10))") == 45


def test_without_the_guard_it_is_plain_python() -> None:
    session = Session(guard=False)
    assert session.value("import os\neval('1 + 1') + len(os.sep)") == 3
    assert session.run("final_answer(5)").is_final


@pytest.mark.parametrize("source", ["exit()", "quit()", "raise SystemExit", "import sys\nsys.exit(0)"])
def test_a_program_that_says_it_is_done_is_a_success(source: str) -> None:
    session = Session("sys")
    assert session.run(f"kept = 1\n{source}\nkept = 2").error is None
    assert session.value("kept") == 1


def test_an_exit_with_a_message_is_an_error() -> None:
    error = Session("sys").error("import sys\nsys.exit('no input')")
    assert (error.type, error.message) == ("SystemExit", "no input")


def test_the_cause_of_an_exception_is_shown() -> None:
    error = Session().error(
        "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('bad') from e"
    )
    assert error.traceback == (
        "line 2: 1 / 0\nZeroDivisionError: division by zero\n\n"
        "The above exception was the direct cause of the following exception:\n\n"
        "line 4: raise ValueError('bad') from e\nValueError: bad"
    )


def test_what_happened_while_an_exception_was_handled_is_shown_unless_it_is_suppressed() -> None:
    source = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError('bad')"
    assert "During handling of the above exception" in Session().error(source).traceback
    assert "During" not in Session().error(source + " from None").traceback


def test_exceptions_that_cause_each_other_in_a_circle_are_shown_once_each() -> None:
    error = Session().error(
        "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a"
    )
    assert error.traceback.count("ValueError: b") == 1


def test_notes_and_the_exceptions_of_a_group_are_shown() -> None:
    source = """
def fail(n):
    raise ValueError(f'bad {n}')
found = []
for n in 1, 2:
    try:
        fail(n)
    except ValueError as e:
        e.add_note(f'of {n}')
        found.append(e)
raise ExceptionGroup('two', [found[0], ExceptionGroup('one', found[1:])])
"""
    error = Session().error(source)
    assert error.message == "two (2 sub-exceptions)"
    assert error.traceback == (
        "line 11: raise ExceptionGroup('two', [found[0], ExceptionGroup('one', found[1:])])\n"
        "ExceptionGroup: two (2 sub-exceptions)\n"
        "  line 7: fail(n)\n  line 3, in fail: raise ValueError(f'bad {n}')\n  ValueError: bad 1\n  of 1\n"
        "  ExceptionGroup: one (1 sub-exception)\n"
        "    line 7: fail(n)\n    line 3, in fail: raise ValueError(f'bad {n}')\n    ValueError: bad 2\n    of 2"
    )
    many = Session().error("raise ExceptionGroup('many', [ValueError(n) for n in range(99)])")
    assert many.traceback.endswith("ValueError: 9\n  and 89 more")


@pytest.mark.parametrize(
    ("source", "meant"),
    [
        ("counter = 1\nconter", "did you mean counter?"),
        ("def f():\n    total = 1\n    return totl\nf()", "did you mean total?"),
        ("import json\njson.dumpz('1')", "did you mean dump?"),
        ("class A:\n    _value = 1\nA().velue", None),
        ("json.dumps(1)", "did you forget to import json?"),
        ("np.arange(1)", "did you forget to import numpy as np?"),
        ("something_else_altogether", None),
        ("class A:\n    def __dir__(self): raise SystemExit\nA().value", None),
        ("class A:\n    def __dir__(self): return [1, None]\nA().value", None),
    ],
)
def test_the_name_that_was_perhaps_meant_is_a_hint(source: str, meant: str | None) -> None:
    assert Session("json").error(source).hint == meant


def test_lines_of_the_guests_own_files_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shapes_of_mine.py").write_text("def area(side):\n    return side / 0\n")
    session = Session("shapes_of_mine", "json")
    error = session.error("import shapes_of_mine\n\nshapes_of_mine.area(2)")
    assert (error.line, error.source_line) == (3, "shapes_of_mine.area(2)")
    assert error.traceback == (
        "line 3: shapes_of_mine.area(2)\nshapes_of_mine.py, line 2, in area: return side / 0\n"
        "ZeroDivisionError: division by zero"
    )
    sys.modules.pop("shapes_of_mine")
    library = session.error("import json\njson.loads('{')")
    assert library.traceback.count("line 2") == 1


def test_the_line_of_a_text_that_was_executed_is_shown() -> None:
    error = Session().error("exec('a = 1\\na / 0')")
    assert error.traceback.split("\n")[1:] == ["<string>, line 2", "ZeroDivisionError: division by zero"]


def test_lines_that_repeat_themselves_are_shown_once() -> None:
    rows = Session().error("def f(n):\n    return f(n + 1)\nf(0)").traceback.split("\n")
    assert rows[:2] == ["line 3: f(0)", "line 2, in f: return f(n + 1)"]
    assert rows[2].startswith("  [Previous line repeated ")
    assert len(rows) == 4


def test_a_program_is_main() -> None:
    assert Session().value("if __name__ == '__main__':\n    done = 1\ndone") == 1


def test_the_lines_of_a_program_are_there_for_traceback_and_inspect() -> None:
    session = Session(imports="standard")
    session.run("import inspect, traceback\ndef f():\n    return 1 / 0")
    session.run("try:\n    f()\nexcept ZeroDivisionError:\n    shown = traceback.format_exc()")
    assert "return 1 / 0" in session.value("shown")
    assert session.value("inspect.getsource(f)") == "def f():\n    return 1 / 0\n"


def test_no_other_text_is_shown_for_what_eval_runs(process_kept: None) -> None:
    linecache.cache["<string>"] = (5, None, ["text of python -c\n"], "<string>")
    session = Session("traceback")
    session.interpreter.own_process()
    source = "import traceback\ntry:\n    eval('1 / 0')\nexcept ZeroDivisionError:\n    shown = traceback.format_exc()\nshown"
    assert "text of" not in str(session.value(source))


def test_a_dropped_interpreter_is_collected() -> None:
    import weakref

    session = Session()
    session.run("x = 1")
    gone = weakref.ref(session.interpreter)
    del session
    gc.collect()
    assert gone() is None


def test_a_recursion_limit_that_a_program_leaves_behind_is_not_ours() -> None:
    session = Session("sys")
    source = "import sys\ntry:\n    for n in range(200): sys.setrecursionlimit(200 - n)\nexcept RecursionError: pass\n1 / 0"
    assert session.error(source).type == "ZeroDivisionError"
    assert session.value("def f(n): return f(n - 1) if n else 'deep'\nf(500)") == "deep"
