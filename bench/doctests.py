"""Doctest examples of installed packages -> those whose output, value or error differs in a box from plain CPython's.

    python bench/doctests.py PACKAGE… [--executor jail] [--most 50] [--allow MODULE…]

Each docstring is a session, each of its examples a run. What differs between two plain runs (times, order of sets) is left out.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import doctest
import importlib
import inspect
import io
import json
import os
import pkgutil
import random
import re
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator

from pinjra import sandbox

VARYING = re.compile(r"0x[0-9a-f]{6,}|<guest:\d+>|/tmp/[\w./-]*")  # addresses and paths
SECONDS = 60  # of one session in plain Python; one that wants more is left out


def sessions(package: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each docstring's name, and its examples behind the imports that they need."""
    folders = getattr(importlib.import_module(package), "__path__", [])
    below = pkgutil.walk_packages(folders, f"{package}.", onerror=lambda name: None)
    for name in (package, *(each.name for each in below if "test" not in each.name)):
        try:
            module = importlib.import_module(name)
            found = doctest.DocTestFinder().find(module)
        except BaseException:  # a part that wants what is not installed, or a program
            continue
        for test in found:
            examples = [example.source for example in test.examples]
            if examples:
                yield test.name, [imports(module, "\n".join(examples)), *examples]


def imports(module: types.ModuleType, source: str) -> str:
    """Return import statements for those names of a module that its examples use."""
    lines = [f"import {module.__name__}"]
    for name in sorted(set(re.findall(r"\b[A-Za-z]\w*", source)) & set(vars(module))):
        value = vars(module)[name]
        whole = f"import {getattr(value, '__name__', '')} as {name}"
        lines.append(whole if inspect.ismodule(value) else f"from {module.__name__} import {name}")
    return "\n".join(lines)


def plain(steps: list[str]) -> list[list[str]]:
    """Return value, output and error of each step in a Python of its own."""
    argv = [sys.executable, os.path.abspath(__file__), "--plain"]
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(subprocess.TimeoutExpired):
        told = subprocess.run(
            argv, input=json.dumps(steps), stdout=-1, text=True, cwd=folder, timeout=SECONDS
        )
        return list(json.loads(told.stdout.rpartition("\n")[2] or "[]"))
    return []


def plain_child() -> None:
    """Run steps as a notebook does."""
    main = sys.modules["__main__"] = types.ModuleType("__main__")
    steps, answers = json.load(sys.stdin), []
    for step in steps:
        value, error, out = "None", "", io.StringIO()
        try:
            with contextlib.redirect_stdout(out):
                tree = ast.parse(step)
                last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
                exec(compile(tree, "<guest:0>", "exec"), vars(main))
                if last is not None:
                    value = repr(eval(compile(ast.Expression(last.value), "<guest:0>", "eval"), vars(main)))
        except BaseException as raised:
            message = raised.msg if isinstance(raised, SyntaxError) else raised
            error = f"{type(raised).__name__}: {message}"
        answers.append([VARYING.sub("", told) for told in (value, out.getvalue(), error)])
    print("\n" + json.dumps(answers), end="")


def boxed(executor: str, allowed: list[str], steps: list[str]) -> Iterator[list[str]]:
    """Yield value, output and error of each step in a box."""
    with sandbox(executor, authorized_imports=allowed) as box:
        for done in map(box.run, steps):
            error = f"{done.error.type}: {done.error.message}" if done.error else ""
            yield [VARYING.sub("", told) for told in (repr(done.value), done.stdout, error)]


def main() -> None:
    """Print what differs, and how many examples were compared."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="+")
    parser.add_argument("--executor", default="jail")
    parser.add_argument("--most", type=int, default=50, help="docstrings of a package")
    parser.add_argument("--allow", nargs="*", default=[], help="other modules that the examples import")
    given = parser.parse_args()
    for package in given.packages:
        found, compared, differing = list(sessions(package)), 0, 0
        for name, steps in random.Random(1).sample(found, min(given.most, len(found))):
            told = boxed(given.executor, [package, *given.allow], steps)
            for step, one, two, got in zip(steps, plain(steps), plain(steps), told, strict=False):
                wrong = [(a, c) for a, b, c in zip(one, two, got, strict=True) if a == b != c]
                compared += 1
                differing += bool(wrong)
                print(f"{name}: {step.strip()}\n    {wrong}\n" if wrong else "", end="", flush=True)
        print(f"{package}: {differing} of {compared} examples differ", flush=True)


if __name__ == "__main__":
    plain_child() if sys.argv[1:] == ["--plain"] else main()
