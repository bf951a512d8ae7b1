"""The builtins that guest code sees: CPython's own, but for what compiles, imports, and ends the process."""

from __future__ import annotations
import __future__ as futures

import ast
import builtins
import os
import sys
import types
from collections.abc import Callable, Mapping
from operator import index
from types import FrameType
from typing import NoReturn, cast

from pinjra.guard.compiler import Compiler
from pinjra.guard.errors import GuardRefused, RefusedOperation

_FUTURES = 0
for _name in futures.all_feature_names:
    _FUTURES |= getattr(futures, _name).compiler_flag
_OPTIMIZED = 1  # inspect.CO_OPTIMIZED: a function's code
_Source = str | bytes | ast.Module | ast.Expression | ast.Interactive
_MODES = ("exec", "eval", "single")
# By programs that are tested; not what the worker itself could not do without.
_PATCHED = ("input", "open", "print")
_TEXTS = (str, bytes, bytearray, memoryview, ast.AST)


def guest_builtins(compiler: Compiler | None, import_: Callable[..., object] | None) -> types.ModuleType:
    """Return a module of builtins for one interpreter.

    Args:
        compiler: None for plain Python.
        import_: What import statements call; None for the real one.
    """
    module = _Builtins("builtins", builtins.__doc__)
    space = vars(module)
    space.update(vars(builtins))
    space.update(exit=_leave, quit=_leave)
    if compiler is not None:
        # Methods, as CPython's own are: no function, which would become a method where a class holds it.
        table = _Compiling(compiler, space).table()
        space.update((name, types.MethodType(stand_in, module)) for name, stand_in in table.items())
    if import_ is not None:
        space["__import__"] = _like(builtins.__import__, import_)
    return module


class _Builtins(types.ModuleType):
    """What `import builtins` gives. What a program, or its test, replaces there, its own modules and libraries get too."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in _PATCHED:
            setattr(builtins, name, value)

    def __reduce__(self) -> tuple[Callable[[], types.ModuleType], tuple[()]]:
        return _of_process, ()


def _of_process() -> types.ModuleType:
    return sys.modules["builtins"]


def _leave(code: object = None) -> NoReturn:
    """End the program. CPython's own closes standard input as well, which later runs still read."""
    raise SystemExit(code)


_leave.__qualname__ = "exit"  # as errors of a call name it


def _like(real: object, stand_in: Callable[..., object]) -> Callable[..., object]:
    """Return `stand_in` under the name and text of the builtin that it stands for."""
    function = cast(types.FunctionType, getattr(stand_in, "__func__", stand_in))
    function.__name__ = function.__qualname__ = str(getattr(real, "__name__", "function"))
    function.__module__ = "builtins"
    function.__doc__ = getattr(real, "__doc__", None)
    function.__annotations__ = {}
    return stand_in


class _Compiling:
    """`compile`, `eval` and `exec`: CPython's, but source is compiled by the guard."""

    def __init__(self, compiler: Compiler, space: Mapping[str, object]) -> None:
        self._compiler = compiler
        self._space = space

    def table(self) -> dict[str, Callable[..., object]]:
        """Return the three by name, each with the module first. The frame above each is its caller's."""

        def guarded_compile(
            _module: object,
            /,
            source: object,
            filename: object,
            mode: str,
            flags: int = 0,
            dont_inherit: bool = False,
            optimize: int = -1,
            *,
            _feature_version: int = -1,
        ) -> object:
            flags = index(flags)
            if not dont_inherit:
                flags |= sys._getframe(1).f_code.co_flags & _FUTURES
            is_plain = flags & ast.PyCF_ONLY_AST or mode not in _MODES
            if is_plain or not isinstance(source, _TEXTS):
                version = _feature_version
                return compile(source, filename, mode, flags, True, optimize, _feature_version=version)  # type: ignore[call-overload]
            name = os.fsdecode(filename)  # type: ignore[arg-type]  # a text, bytes or a path, as for the real one
            return self._compiled(source, name, mode, flags, optimize)

        def guarded_eval(
            _module: object,
            source: object,
            /,
            globals: object = None,  # noqa: A002 (the real one's names)
            locals: object = None,  # noqa: A002
        ) -> object:
            space, names = self._namespaces(sys._getframe(1), globals, locals)
            if isinstance(source, _TEXTS):
                text = source.lstrip(" \t") if isinstance(source, str) else source
                source = self._compiled(text, "<string>", "eval", _flags(sys._getframe(1)))
            return eval(source, space, names)  # type: ignore[arg-type]  # noqa: S307 (checked and rewritten)

        def guarded_exec(
            _module: object,
            source: object,
            /,
            globals: object = None,  # noqa: A002 (the real one's names)
            locals: object = None,  # noqa: A002
            *,
            closure: object = None,
        ) -> None:
            space, names = self._namespaces(sys._getframe(1), globals, locals)
            if isinstance(source, _TEXTS):
                source = self._compiled(source, "<string>", "exec", _flags(sys._getframe(1)))
            more = {} if closure is None else {"closure": closure}  # a worker may run on a Python before 3.11
            exec(source, space, names, **more)  # type: ignore[arg-type]  # noqa: S102 (checked and rewritten)

        stand_ins: dict[str, Callable[..., object]] = {
            "compile": guarded_compile,
            "eval": guarded_eval,
            "exec": guarded_exec,
        }
        return {name: _like(getattr(builtins, name), stand_in) for name, stand_in in stand_ins.items()}

    def _compiled(
        self, source: object, filename: str, mode: str, flags: int, optimize: int = -1
    ) -> types.CodeType:
        text = bytes(source) if isinstance(source, (bytearray, memoryview)) else source
        try:
            return self._compiler.source(cast(_Source, text), filename, mode, flags, optimize)
        except GuardRefused as refused:
            first = refused.violations[0]
            raise RefusedOperation(str(refused), first.hint) from None

    def _namespaces(self, frame: FrameType, space: object, names: object) -> tuple[object, object]:
        """Return globals and locals as `eval` takes them, with its caller's in the place of none."""
        if space is None:
            if names is None:
                names = frame.f_locals
                # Python 3.13 (PEP 667): eval and exec work on a copy of a function's variables
                if frame.f_code.co_flags & _OPTIMIZED and type(names) is not dict:
                    names = dict(names)
            space = frame.f_globals
        if issubclass(type(space), dict):  # isinstance() asks the guest's class
            dict.setdefault(cast("dict[str, object]", space), "__builtins__", self._space)
        return space, names


def _flags(frame: FrameType) -> int:
    return frame.f_code.co_flags & _FUTURES
