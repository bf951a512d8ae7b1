"""What a user would pick instead: each peer behind make() -> run(code) -> value. A peer that is not installed is left out."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from typing import Any

Runner = Callable[[str], Any]


class Peer:
    """One way to run code: `run(code)` returns the answer; `close()` ends it."""

    def __init__(self, run: Runner, close: Callable[[], None] = lambda: None) -> None:
        self.run = run
        self.close = close


def cpython() -> Peer:
    """Plain exec: what everything is compared with."""

    def run(code: str) -> Any:
        answer: list[Any] = []
        tree = ast.parse(code)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        scope = {"__name__": "__main__", "final_answer": answer.append}
        exec(compile(tree, "<guest>", "exec"), scope)
        value = (
            eval(compile(ast.Expression(last.value), "<guest>", "eval"), scope) if last is not None else None
        )
        return answer[0] if answer else value

    return Peer(run)


def pinjra(name: str, **options: Any) -> Callable[[], Peer]:
    """One of our executors."""

    def make() -> Peer:
        from pinjra import Limits, create_executor

        limits = Limits(wall_seconds=300, cpu_seconds=300, operations=10**12)
        executor = create_executor(name, executor_kwargs={"limits": limits, **options})

        def run(code: str) -> Any:
            done = executor.run(code)
            if done.error is not None:
                raise RuntimeError(str(done.error))
            return done.value

        return Peer(run, executor.close)

    return make


def smolagents() -> Peer:
    """smolagents' LocalPythonExecutor (interprets the tree)."""
    from smolagents.local_python_executor import LocalPythonExecutor

    executor = LocalPythonExecutor(["re"], timeout_seconds=None)
    executor.send_tools({"final_answer": lambda value: value})
    return Peer(lambda code: executor(code).output)


def monty() -> Peer:
    """pydantic-monty: a Rust interpreter in worker processes."""
    from pydantic_monty import Monty

    pool = Monty(max_processes=1)
    opened = pool.__enter__()
    session = opened.checkout().__enter__()
    answer: list[Any] = []

    def run(code: str) -> Any:
        answer.clear()
        value = session.feed_run(code, external_lookup={"final_answer": answer.append})
        return answer[0] if answer else value

    return Peer(run, lambda: pool.__exit__(None, None, None))


def restrictedpython() -> Peer:
    """RestrictedPython with permissive guards: compiles, as we do, and has no limits."""
    from RestrictedPython import compile_restricted, limited_builtins, safe_globals, utility_builtins
    from RestrictedPython.Eval import default_guarded_getitem, default_guarded_getiter
    from RestrictedPython.Guards import guarded_iter_unpack_sequence, safer_getattr

    def run(code: str) -> Any:
        answer: list[Any] = []
        scope = {
            **safe_globals,
            "__builtins__": {**safe_globals["__builtins__"], **utility_builtins, **limited_builtins, "__import__": __import__,
                             "sum": sum, "map": map, "enumerate": enumerate, "range": range, "list": list, "dict": dict, "set": set},
            "__name__": "restricted", "__metaclass__": type, "_getattr_": safer_getattr, "_getitem_": default_guarded_getitem,
            "_getiter_": default_guarded_getiter, "_iter_unpack_sequence_": guarded_iter_unpack_sequence,
            "_write_": lambda x: x, "_unpack_sequence_": guarded_iter_unpack_sequence,
            "_inplacevar_": lambda op, x, y: {"+=": x.__add__, "-=": x.__sub__}[op](y), "final_answer": answer.append,
        }  # fmt: skip
        exec(compile_restricted(code, "<guest>", "exec"), scope)
        return answer[0]

    return Peer(run)


def asteval() -> Peer:
    """asteval: interprets the tree."""
    from asteval import Interpreter

    def run(code: str) -> Any:
        answer: list[Any] = []
        interpreter = Interpreter(user_symbols={"final_answer": answer.append})
        value = interpreter(code, show_errors=False)
        if interpreter.error:
            raise RuntimeError(str(interpreter.error[0].get_error()))
        return answer[0] if answer else value

    return Peer(run)


def process() -> Peer:
    """A fresh `python -I` for each program, with no confinement at all."""

    def run(code: str) -> Any:
        program = f"final_answer = print\n{code}"
        out = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
        )
        return out.stdout

    return Peer(run)
