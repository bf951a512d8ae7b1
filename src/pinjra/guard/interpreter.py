"""Interpreter: a guest's session. Source in, `Outcome` out; variables live on between runs."""

from __future__ import annotations

import importlib
import io
import linecache
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import cast

from pinjra.core.execution import Cause, GuestError
from pinjra.core.limits import Limits
from pinjra.core.values import drained
from pinjra.guard.audit import Watch
from pinjra.guard.budget import OperationBudget
from pinjra.guard.builtins import guest_builtins
from pinjra.guard.compiler import RESULT, Compiler, compile_plain, is_coroutine
from pinjra.guard.errors import AnswerGiven, GuardRefused, GuestStop
from pinjra.guard.imports import Importer
from pinjra.guard.policy import Policy
from pinjra.guard.reports import report_exception, report_refused, report_stop, report_syntax

_import_module = importlib.import_module
_LEAST_DEPTH = 1_000  # Python's own default
_KEPT_SOURCES = 256  # runs whose lines can be shown in tracebacks


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Args:
        value: The guest's own object, not converted; None when the run failed.
        operations: As the guard counts them; 0 without the guard; None where they were not counted.
        notes: Things to tell the model.
    """

    value: object = None
    error: GuestError | None = None
    is_final: bool = False
    operations: int | None = 0
    notes: tuple[str, ...] = ()


class Interpreter:
    """One guest's session in this process. One run at a time; `stop` may be called from any thread."""

    def __init__(
        self,
        policy: Policy,
        *,
        limits: Limits,
        guard: bool = True,
        display: Callable[[object], None] | None = None,
    ) -> None:
        self._budget = OperationBudget(limits)
        self._compiler = Compiler(policy, self._budget) if guard else None
        self._importer = Importer(policy)
        import_ = self._importer.statement() if guard else None
        self._builtins = guest_builtins(self._compiler, cast("Callable[..., object] | None", import_))
        self._main = types.ModuleType("__main__")
        self._namespace: dict[str, object] = vars(self._main)
        self.watch: AbstractContextManager[None] = nullcontext() if policy.is_walled else Watch()
        """Open while guest code may run: in `run`, and for whoever asks its values for a text."""
        self._tools: dict[str, object] = {}
        self._reserved = {
            name for name, value in vars(self._builtins).items() if callable(value) and name[:1] != "_"
        }
        self._answerer: Callable[..., object] = _only
        self._sources: OrderedDict[str, str] = OrderedDict()
        self._runs = 0
        self.make_room: Callable[[], None] = lambda: None
        """Called when guest code has ended for want of memory, before anything is made of that."""
        self._bind("final_answer", self._final_answer)
        if display is not None:
            vars(self._builtins)["display"] = lambda *values: [display(value) for value in values] and None
        self._restore()

    def own_process(self) -> None:
        """Take this process for the guest: its program is `__main__`, and its builtins are what `import builtins` gives.

        Pickling classes of `__main__`, and patching builtins in a test, need it.
        """
        sys.modules["__main__"] = self._main
        sys.modules["builtins"] = self._builtins
        # the text of `python -c` (3.13), which is none of what `eval` runs
        linecache.cache.pop("<string>", None)
        own = vars(self._builtins)

        def import_module(name: str, package: str | None = None) -> object:
            """Import a module."""
            is_guest = self._compiler is not None and sys._getframe(1).f_builtins is own
            return (self._importer.import_module if is_guest else _import_module)(name, package)

        importlib.import_module = import_module  # type: ignore[assignment]

    # --- names

    def bind(self, name: str, function: object) -> None:
        """Give guest code a host function (or another host value) under `name`."""
        if name == "final_answer" and callable(function):
            self._answerer = function
        else:
            self._bind(name, self._tool(function) if callable(function) else function)

    def _bind(self, name: str, value: object) -> None:
        self._tools[name] = vars(self._builtins)[name] = value
        self._reserved.add(name)

    def _tool(self, function: Callable[..., object]) -> Callable[..., object]:
        """Return a function over `function` that does nothing any more once the run is being stopped."""
        check = self._budget.check

        def call(*args: object, **kwargs: object) -> object:
            check()
            result = function(*args, **kwargs)
            check()
            return result

        call.__name__ = call.__qualname__ = str(getattr(function, "__name__", "tool"))
        call.__module__, call.__annotations__ = "__main__", {}  # help() shows them
        call.__doc__ = doc if isinstance(doc := getattr(function, "__doc__", None), str) else None
        return call

    def set_variable(self, name: str, value: object) -> None:
        """Set a guest variable."""
        self._namespace[name] = value

    # --- runs

    def run(self, source: str) -> Outcome:
        """Return what came of running `source`. Guest failures of any kind are values in it."""
        self._budget.reset()
        self._restore()
        try:
            code = self._compiled(source)
        except GuardRefused as refused:
            return Outcome(error=report_refused(refused, source))
        except SyntaxError as error:
            return Outcome(error=report_syntax(error, source))
        failure: BaseException | None = None
        try:
            with self.watch:
                self._execute(code)
        # SECURITY: nothing that guest code raises may leave, SystemExit included; nor is its class asked, as isinstance() does
        except BaseException as error:
            failure = error
        if issubclass(type(failure), MemoryError):
            self.make_room()
        with self.watch:  # what an exception says of itself is guest code
            return self._outcome(failure)

    def stop(self, cause: Cause, message: str = "") -> None:
        """Make the run in progress stop; guest code cannot swallow it. From any thread or a signal handler.

        Guest Python stops at its next tick. To break into a long C call that returns to Python now and then, the
        caller also raises `GuestStop` in a signal handler.
        """
        self._budget.halt(GuestStop(cause, message))

    def on_account(self, look: Callable[[], None]) -> None:
        """Call `look` about every thousand operations: where no signal tells of a stop, it is looked for there."""
        self._budget.looks.append(look)

    def _compiled(self, source: str) -> types.CodeType:
        self._runs += 1
        filename = f"<guest:{self._runs}>"
        code = (
            compile_plain(source, filename)
            if self._compiler is None
            else self._compiler.program(source, filename)
        )
        self._sources[filename] = source
        # Where traceback, inspect and warnings look for lines; no time of change: it is never checked.
        linecache.cache[filename] = (len(source), None, io.StringIO(f"{source}\n").readlines(), filename)
        if len(self._sources) > _KEPT_SOURCES:
            linecache.cache.pop(self._sources.popitem(last=False)[0], None)
        return code

    def _execute(self, code: types.CodeType) -> None:
        if not is_coroutine(code):
            exec(code, self._namespace)  # noqa: S102 (the one place where guest code runs)
            return
        import asyncio

        main = types.FunctionType(code, self._namespace)

        async def run() -> object:
            return await main()

        asyncio.run(run())

    def _outcome(self, failure: BaseException | None) -> Outcome:
        if sys.getrecursionlimit() < _LEAST_DEPTH:  # a program's own; what comes after it would not work
            sys.setrecursionlimit(_LEAST_DEPTH)
        value = self._namespace.pop(RESULT, None)
        operations, notes, stop = self._budget.used, self._restore(), self._budget.stop
        if isinstance(stop, AnswerGiven):
            self._budget.resume()
            return Outcome(value=stop.value, is_final=True, operations=operations, notes=notes)
        error = None
        if stop is not None:
            error = report_stop(stop, failure, self._sources)
        elif failure is not None and not _is_success(failure):
            error = self._report(failure)
        return Outcome(value=None if error else value, error=error, operations=operations, notes=notes)

    def _report(self, failure: BaseException) -> GuestError:
        error = report_exception(failure, self._sources, _describe)
        stop = self._budget.stop  # it may have come while the guest's own __str__ ran
        return error if stop is None else report_stop(stop, failure, self._sources)

    def _restore(self) -> tuple[str, ...]:
        """Put tools back that a program bound another value to, and what the interpreter needs in its module."""
        namespace = self._namespace
        namespace["__builtins__"] = self._builtins
        namespace.setdefault("__name__", "__main__")
        vars(self._builtins).update(self._tools)
        hidden = sorted(name for name in self._reserved.intersection(namespace) if self._is_hiding(name))
        for name in hidden:
            del namespace[name]
        return tuple(
            f"{name} is the builtin or tool again: choose another name to keep yours" for name in hidden
        )

    def _is_hiding(self, name: str) -> bool:
        """Return whether a variable hides a tool, or is a function of the program's own that hides a builtin one.

        Values live on under any name, and so do functions that modules have under this name (`from math import *`).
        """
        value = self._namespace[name]
        return name in self._tools or (callable(value) and not _is_imported(name, value))

    # --- final_answer

    def _final_answer(self, *args: object, **kwargs: object) -> object:
        """End the run with this answer."""
        self._budget.check()
        answer = drained(self._answerer(*args, **kwargs))
        self._budget.answer(answer)
        return answer


def _only(answer: object = None) -> object:
    return answer


_only.__qualname__ = "final_answer"  # as errors of a call name it


def _is_imported(name: str, value: object) -> bool:
    """Return whether a module other than the program has this object under this name."""
    try:
        first = sys.modules.get(getattr(value, "__module__", None) or "")  # functions and classes say which
        program = sys.modules.get("__main__")
        others = (module for module in [first, *sys.modules.values()] if module is not program)
        return any(_SPACE_OF(each).get(name) is value for each in others if issubclass(type(each), _Module))
    except BaseException:  # SECURITY: an object of the guest answers as it likes
        return False


_Module = types.ModuleType
_SPACE_OF = vars(_Module)["__dict__"].__get__  # a module that is loaded late stays unloaded


def _is_success(failure: BaseException) -> bool:
    """Return whether a program ended itself as programs do that have done their work: `sys.exit(0)`."""
    # SECURITY: nothing is asked of classes of the guest's
    if not issubclass(type(failure), SystemExit):
        return False
    code: object = _CODE_OF(failure)
    return code is None or (issubclass(type(code), int) and int.__eq__(code, 0) is True)  # type: ignore[operator]


_CODE_OF = vars(SystemExit)["code"].__get__


def _describe(error: BaseException) -> str:
    """Return `str(error)`. SECURITY: this runs the guest's `__str__`, under the same budget as the run."""
    try:
        text = str(error)
        return text if type(text) is str else str.__str__(text)
    except BaseException:
        return "<its message could not be made>"
