"""A program that looks at its own stack sees its own frames and those of libraries, as under CPython; none of the worker's."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from pinjra import sandbox
from pinjra.executors.base import PythonExecutor

OURS = re.compile("pinjra.(worker|guard).[a-z_/]+py")
SHOWN = {
    "import traceback\ndef f():\n    traceback.print_stack()\nf()": (
        '  File "<guest:1>", line 4, in <module>\n    f()\n'
        '  File "<guest:1>", line 3, in f\n    traceback.print_stack()\n'
    ),
    "import warnings\nwarnings.warn('far', stacklevel=2)": "sys:1: UserWarning: far\n",
    "import warnings\nwarnings.warn('farther', stacklevel=9)": "sys:1: UserWarning: farther\n",
    "import warnings\ndef f():\n    warnings.warn('here', stacklevel=2)\nf()": (
        "<guest:1>:4: UserWarning: here\n  f()\n"
    ),
    "async def f(): pass\nf()": "sys:1: RuntimeWarning: coroutine 'f' was never awaited\n",
    "import logging\nlogging.error('%d', 'x')": (
        "Call stack:\n  File \"<guest:1>\", line 2, in <module>\n    logging.error('%d', 'x')\nMessage: '%d'\n"
    ),
}
LISTED = {
    "import inspect\n[each.function for each in inspect.stack()]": ["<module>"],
    "import traceback\n[each.name for each in traceback.extract_stack()]": ["<module>"],
    "import traceback\n[each.name for each in traceback.StackSummary.extract(traceback.walk_stack(None))]": [
        "<module>"
    ],
    "import inspect, traceback\n"
    "[each.__module__ for each in (inspect.getouterframes, traceback.walk_stack, traceback.walk_tb)]": [
        "inspect",
        "traceback",
        "traceback",
    ],
    "import traceback\nexec('names = [each.name for each in traceback.extract_stack()]')\nnames": ["<module>"]
    * 2,
    "import traceback\nimport asyncio\nawait asyncio.sleep(0)\n[each.name for each in traceback.extract_stack()][-1]": (
        "<module>"
    ),
}


@pytest.fixture(params=["jail", "local", "jail without its guard"])
def box(request: pytest.FixtureRequest) -> Iterator[PythonExecutor]:
    name, _, without = request.param.partition(" ")
    with sandbox(name, imports="standard", guard=not without) as opened:
        yield opened


@pytest.mark.parametrize("code", SHOWN)
def test_what_is_printed_of_a_stack_begins_with_the_program(box: PythonExecutor, code: str) -> None:
    done = box.run(code)
    assert done.error is None and SHOWN[code] in done.stderr, done.stderr
    assert not OURS.search(done.stderr)


@pytest.mark.parametrize("code", LISTED)
def test_what_is_listed_of_a_stack_begins_with_the_program(box: PythonExecutor, code: str) -> None:
    done = box.run(code)
    assert (done.error, done.value) == (None, LISTED[code])


PASSED = {
    "import absent_module": "absent_module",
    "eval('1/0')": '  File "<string>", line 1, in <module>\nZeroDivisionError: division by zero\n',
    "price(5)": "ValueError: no such price\n",
    "import importlib; importlib.import_module('absent_module')": "absent_module",
}


@pytest.mark.parametrize("code", PASSED)
def test_a_printed_traceback_passes_over_what_a_call_went_through(box: PythonExecutor, code: str) -> None:
    def price(item: object) -> None:
        raise ValueError("no such price")

    box.send_tools({"price": price})
    done = box.run(f"import traceback\ntry:\n    {code}\nexcept Exception:\n    traceback.print_exc()")
    assert done.error is None and f'  File "<guest:1>", line 3, in <module>\n    {code}\n' in done.stderr
    assert not OURS.search(done.stderr) and PASSED[code] in done.stderr, done.stderr


def test_a_refusal_that_is_caught_is_shown_as_an_error_of_pythons_own_and_stays_a_refusal() -> None:
    code = "try:\n    import numpy\nexcept ImportError as error:\n    kept = error\n"
    with sandbox("jail") as box:
        done = box.run(f"{code}    import traceback\n    traceback.print_exc()\nrepr(kept)")
        assert done.value == "ModuleNotFoundError('import of numpy is not authorised')"
        assert done.stderr.endswith("\nModuleNotFoundError: import of numpy is not authorised\n")
        for again in ("raise kept", "import pickle\nraise pickle.loads(pickle.dumps(kept))", POOL):
            error = box.run(again).error
            assert error is not None
            assert (error.kind.value, error.type) == ("refused", "RefusedOperation")
            assert "authorized_imports=['numpy']" in (error.hint or "")


POOL = """
def work():
    import numpy
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(1) as pool:
    pool.submit(work).result()
"""
