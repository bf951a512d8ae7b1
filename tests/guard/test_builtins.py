"""`exec`, `eval` and `compile`: CPython's results, the guard's code. And what the process of a guest looks like from inside."""

from __future__ import annotations

import ast
import pickle  # noqa: TID251 (our own bytes)
import re
from pathlib import Path

import pytest
from tests.guard.support import Session

from pinjra.core.execution import Cause, GuestError
from pinjra.guard.policy import IMPORT_MODES

_LOOPS = (
    "exec('while True: pass')",
    "eval('[0 for _ in iter(int, 1)]')",
    "exec(compile('while True: pass', '<text>', 'exec'))",
    "exec(b'while True: pass', {})",
    "import builtins\nbuiltins.exec('while True: pass')",
)


@pytest.mark.parametrize("mode", IMPORT_MODES)
@pytest.mark.parametrize("source", _LOOPS)
def test_text_that_is_run_takes_from_the_same_budget(mode, source: str, process_kept: None) -> None:
    session = Session("builtins", imports=mode, operations=100_000)
    session.interpreter.own_process()
    assert session.error(source).cause is Cause.OPERATIONS


@pytest.mark.parametrize("mode", ["listed", "standard"])
def test_text_that_is_run_imports_what_the_program_may(mode) -> None:
    session = Session(imports=mode)
    for source in (
        "exec('import numpy')",
        "exec('import numpy', {})",
        "import collections\nexec('import numpy', collections.OrderedDict())",
        "eval('__imp' + 'ort__(\"numpy\")', {})",
    ):
        assert session.error(source).message.endswith(("not authorised", "is not available"))


_WRONG_TREES = (
    "tree = ast.Expression(ast.Name('True', ast.Load(), lineno=1, col_offset=0))",
    "tree = ast.Expression(ast.YieldFrom(lineno=1, col_offset=0))",
    "tree = ast.Expression(ast.expr(lineno=1, col_offset=0))",
    "tree = ast.parse('1', mode='eval')\ntree.body.lineno, tree.body.end_lineno = 10, 1",
    "tree = ast.parse('1', mode='eval')\ntree.body.lineno = 'x'",
    "tree = ast.parse('x', mode='eval')\ntree.body.ctx = ast.Store()",
    "tree = ast.parse('1')",
)
_SAME = {
    "a_value": "eval('  1 + 1')",
    "globals_are_the_callers": "x = 5\ndef f():\n    return eval('x')\nf()",
    "locals_are_the_callers": "def f(a):\n    b = 2\n    return eval('a + b')\nf(1)",
    "exec_binds_at_module_level": "exec('y = 3')\ny",
    "exec_in_a_function_does_not_bind": "def f():\n    y = 1\n    exec('y = 2')\n    return y\nf()",
    "exec_in_a_class_body_binds": "class A:\n    exec('z = 4')\nA.z",
    "namespaces_of_ones_own": "space = {}\nexec('q = 1\\ndef g(): return q', space)\nspace['g'](), '__builtins__' in space",
    "a_mapping_for_locals": "import collections\neval('a', {}, collections.ChainMap({'a': 1}))",
    "a_code_object": "eval(compile('3 * 4', '<text>', 'eval'))",
    "a_code_object_of_statements": "exec(compile('k = 7', '<text>', 'exec'))\nk",
    "single_mode": "exec(compile('1 + 1', '<text>', 'single'))",
    "bytes": "eval(b'1 + 2')",
    "the_future_is_inherited": "from __future__ import annotations\nexec('def f(a: nothing): pass')\nf.__annotations__",
    "a_file_name": "compile('x', 'file.py', 'eval').co_filename",
    "a_file_name_of_bytes": "compile('x', b'file.py', 'eval').co_filename",
    "no_file_name": "compile('x', 5, 'eval')",
    "wrong_type": "eval(5)",
    "wrong_globals": "exec('1', 5)",
    "wrong_globals_of_eval": "eval('1', 5)",
    "wrong_locals": "eval('1', {}, 5)",
    "no_source": "eval('1', None, None), exec('1', None, None)",
    "wrong_mode": "compile('1', 'f', 'nothing')",
    "wrong_syntax": "eval('1 +')",
    "no_source_with_nul": "exec('x\\0')",
    "as_deep_as_text_may_be": "exec('\\n'.join(['if 0: pass', *['elif 0: pass'] * 1200]))\neval('+'.join(['1'] * 1200))",
    "a_warning": "import warnings\nwith warnings.catch_warnings(record=True) as said:\n    warnings.simplefilter('always')\n"
    "    eval('1 is 1')\n    exec('assert (1, 2)')\n[(str(each.message), each.filename, each.lineno) for each in said]",
    "a_warning_that_is_an_error": "import warnings\nwarnings.simplefilter('error')\ncompile('1 is 1', 'f', 'eval')",
    "held_by_a_class": "class A:\n    run, do, make, load = eval, exec, compile, __import__\na = A()\na.do('x = 2')\n"
    "a.run(a.make('x + 1', 'f', 'eval')), a.load('ast').__name__",
    "copied_and_pickled": "import copy, pickle\n"
    "all(copy.deepcopy(f) == f == pickle.loads(pickle.dumps(f)) for f in (eval, exec, compile))",
    "signatures": "import inspect\nstr(inspect.signature(compile)), list(inspect.signature(exec).parameters), "
    "str(inspect.signature(__import__)), __import__.__name__",
    "parts_of_a_module": "import inspect\neval.__self__.__name__, exec.__module__, compile.__qualname__, inspect.isroutine(eval)",
    "a_warning_is_said_once": "import warnings\nwith warnings.catch_warnings(record=True) as said:\n"
    "    warnings.simplefilter('default')\n"
    "    for _ in range(3):\n        warnings.warn('w')\n        eval('[x for x in ()]')\nlen(said)",
    "flags_of_a_class": "class Flags:\n    def __index__(self): return 0\ncompile('1', 'f', 'eval', Flags()).co_filename",
    **{
        f"a_wrong_tree_{number}": f"import ast\n{tree}\ncompile(tree, 'f', 'eval')"
        for number, tree in enumerate(_WRONG_TREES)
    },
}


def _told(error: GuestError | None) -> tuple[str, str] | None:
    return error and (error.type, re.sub(r"0x\w+", "0x…", error.message))


@pytest.mark.parametrize("name", _SAME)
def test_text_does_what_it_does_in_python(name: str, process_kept: None) -> None:
    guarded, plain = Session(imports="standard"), Session(guard=False)
    guarded.interpreter.own_process()
    one = guarded.run(_SAME[name])
    plain.interpreter.own_process()
    other = plain.run(_SAME[name])
    assert (one.value, guarded.printed) == (other.value, plain.printed)
    assert _told(one.error) == _told(other.error)


def test_a_tree_is_compiled_and_left_as_it_was() -> None:
    session = Session("ast", operations=100_000)
    source = "import ast\ntree = ast.parse('for i in [1, 2]: print(i)')\nbefore = ast.dump(tree)\n"
    source += "exec(compile(tree, '<tree>', 'exec'))\nast.dump(tree) == before"
    assert session.value(source) is True
    assert session.printed == "1\n2\n"
    loop = "exec(compile(ast.parse('while True: pass'), '<tree>', 'exec'))"
    assert session.error(loop).cause is Cause.OPERATIONS


def test_unknown_nodes_of_a_tree_are_refused() -> None:
    class Defer(ast.Pass):  # the compiler takes it for its base
        pass

    session = Session()
    tree = ast.parse("pass")
    tree.body[0] = Defer(lineno=1, col_offset=0)
    session.interpreter.set_variable("tree", tree)
    assert (
        "Defer is syntax that the guard does not know" in session.error("compile(tree, '', 'exec')").message
    )


def test_functions_cross_to_other_processes_and_cost_nothing_there() -> None:
    session = Session()
    session.run("def f(n):\n    return sum([i for i in range(n) if len([i])])")
    code = session.interpreter._namespace["f"].__code__
    inner = [constant for constant in code.co_consts if hasattr(constant, "co_consts")] or [code]
    found = [c for part in (code, *inner) for c in part.co_consts if type(c).__name__ == "_Ticks"]
    assert found
    there = pickle.loads(pickle.dumps(found[0]))
    assert all(True in there for _ in range(10_000))


def test_classes_of_a_program_can_be_pickled(process_kept: None) -> None:
    session = Session(imports="standard")
    session.interpreter.own_process()
    source = "import pickle\nclass A:\n    def __init__(self): self.x = 5\npickle.loads(pickle.dumps(A())).x"
    assert session.value(source) == 5


def test_builtins_that_a_program_patches_are_the_ones_that_it_calls(process_kept: None) -> None:
    session = Session(imports="standard")
    session.interpreter.own_process()
    source = (
        "from unittest import mock\ndef read(): return open('none').read()\n"
        "with mock.patch('builtins.open', mock.mock_open(read_data='text')): got = read()\ngot"
    )
    assert session.value(source) == "text"


def test_what_a_program_replaces_among_the_builtins_its_own_modules_get_too(
    process_kept: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "asking_module.py").write_text("def ask():\n    return input('?'), open('none').read()\n")
    session = Session(imports="all")
    session.interpreter.own_process()
    source = (
        "from unittest import mock\nimport asking_module\n"
        "with mock.patch('builtins.open', mock.mock_open(read_data='text')), mock.patch('builtins.input', lambda words: words):\n"
        "    got = asking_module.ask()\ngot"
    )
    assert session.value(source) == ("?", "text")
    assert session.error("asking_module.ask()").type != "TypeError"


@pytest.mark.parametrize("name", ["exit", "quit", "final_answer", "print", "open", "eval", "exec", "compile"])
def test_a_call_with_wrong_arguments_tells_a_name_that_the_program_knows(name: str) -> None:
    error = Session().run(f"{name}(1, 2, *range(9), wrong=1)").error
    assert error is not None and error.type == "TypeError"
    assert {"exit" if name == "quit" else name}.issubset(error.message.replace("(", " ").split())
