"""No code object of a guest is compiled or executed in the host's process, in any executor. An audit hook of the host says so."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MARK = "guest_code_ran_here"
HOST = """
import json, sys
MARK = "guest_code_ran_here"
seen = []

def names(code):
    yield from (*code.co_names, *code.co_varnames, *code.co_cellvars, *map(repr, code.co_consts))
    for constant in code.co_consts:
        if hasattr(constant, "co_names"):
            yield from names(constant)

def hook(event, arguments):
    if event == "compile" and MARK in str(arguments[0]):
        seen.append("compile")
    elif event in ("exec", "marshal.loads", "pickle.find_class"):
        code = arguments[0]
        if MARK in (" ".join(names(code)) if hasattr(code, "co_names") else str(code)):
            seen.append(event)

def trace(frame, event, argument):
    if MARK in " ".join(names(frame.f_code)) and frame.f_code.co_filename not in (__file__, "<string>"):
        seen.append(f"call of {frame.f_code.co_name}")

__file__ = "<string>"
sys.addaudithook(hook)
sys.setprofile(trace)

from pinjra.executors.registry import create_executor

PROGRAM = '''
class guest_code_ran_here(Exception):
    def __repr__(self): return "guest_code_ran_here"
    def __str__(self): return "guest_code_ran_here"
    def __del__(self): guest_code_ran_here
print(guest_code_ran_here)
answer = double("guest_code_ran_here")
late = [guest_code_ran_here()]
'''

with create_executor(sys.argv[1], executor_kwargs=json.loads(sys.argv[2])) as box:
    box.send_tools({"double": lambda text: text * 2})
    assert box.run(PROGRAM).error is None, "the program failed"
    box.send_variables({"more": "guest_code_ran_here"})
    value = box.run("[late[0], answer, more]").value
    assert value[1] == 2 * MARK, value
    error = box.run("raise guest_code_ran_here('guest_code_ran_here')").error
    assert error.type == MARK, error
    box.run("def guest_code_ran_here(:")
    box.reset()
sys.setprofile(None)
print(json.dumps(seen))
"""
linux = pytest.mark.skipif(sys.platform != "linux", reason="the jail needs Linux")


def seen_by(host: str, name: str, options: dict[str, object]) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", host, name, json.dumps(options)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen: list[str] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("local", {}),
        pytest.param("jail", {}, marks=linux),
        pytest.param("jail", {"guard": False}, marks=linux),
    ],
    ids=["local", "jail", "jail without guard"],
)
def test_the_host_neither_compiles_nor_runs_what_a_guest_wrote(name: str, options: dict[str, object]) -> None:
    assert seen_by(HOST, name, options) == []


def test_the_hook_sees_guest_code_that_does_run_here() -> None:
    broken = HOST.replace(
        "print(json.dumps(seen))", "exec('guest_code_ran_here = 1')\nprint(json.dumps(seen))"
    )
    assert seen_by(broken, "local", {}) == ["compile", "exec"]
