"""Interpreter: a guest's session. Source in, `Outcome` out; variables live on between runs."""

from __future__ import annotations

import builtins as host_builtins
import types
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from pinjra.core.execution import Cause, GuestError, Stream
from pinjra.core.limits import Limits
from pinjra.guard.attributes import type_name
from pinjra.guard.audit import host_section
from pinjra.guard.compiler import RESULT, GuardedCode, compile_guarded, compile_plain
from pinjra.guard.errors import FinalAnswer, GuardRefused, GuestStop
from pinjra.guard.policy import Policy
from pinjra.guard.report import report_exception, report_refused, report_stop, report_syntax
from pinjra.guard.runtime import Runtime

__all__ = ["Interpreter", "Outcome"]

_CACHED_SOURCES = 64
_CACHED_CHARACTERS = 100_000  # longer programs are not kept
_KEPT_SOURCES = 256  # runs whose lines can be shown in tracebacks


@dataclass(frozen=True)
class Outcome:
    """What came of one run.

    Args:
        value: The guest's own object, not converted; None when the run failed.
        operations: As the guard counts them; 0 without the guard.
        notes: Things to tell the model.
    """

    value: object = None
    error: GuestError | None = None
    is_final: bool = False
    operations: int = 0
    notes: tuple[str, ...] = ()


class Interpreter:
    """One guest's session in this process. One run at a time; `stop` may be called from any thread."""

    def __init__(
        self,
        policy: Policy,
        *,
        limits: Limits,
        write: Callable[[Stream, str], None],
        guard: bool = True,
        display: Callable[[object], None] | None = None,
    ) -> None:
        self._policy = policy
        self._guarded = guard
        self._runtime = Runtime(policy, limits, write)
        self._fuel = self._runtime.fuel
        self._namespace = self._runtime.namespace
        self._builtins = self._runtime.builtins if guard else dict(vars(host_builtins))
        self._originals = dict(self._builtins)
        self._reserved = {name for name in self._builtins if name[0] not in "$_"}
        self._answerer: Callable[..., object] | None = None
        self._sources: OrderedDict[str, str] = OrderedDict()
        self._cache: OrderedDict[str, GuardedCode] = OrderedDict()
        self._runs = 0
        self._bind("final_answer", self._final_answer)
        if display is not None:
            self._bind("display", lambda *values: [display(value) for value in values] and None)
        self.clear()

    # --- names

    def bind(self, name: str, function: object) -> None:
        """Give guest code a host function (or another host value) under `name`; it stays through `clear`."""
        if name == "final_answer" and callable(function):
            self._answerer = function
            return
        self._bind(name, self._tool(function) if callable(function) else function)

    def _bind(self, name: str, value: object) -> None:
        self._builtins[name] = self._originals[name] = value
        self._reserved.add(name)

    def _tool(self, function: Callable[..., object]) -> Callable[..., object]:
        """Return a function over `function` that does nothing any more once the run is being stopped."""
        check = self._fuel.check

        def call(*args: object, **kwargs: object) -> object:
            check()
            with host_section():
                result = function(*args, **kwargs)
            check()
            return result

        stand_in = call
        stand_in.__name__ = stand_in.__qualname__ = str(getattr(function, "__name__", "tool"))
        stand_in.__doc__ = doc if isinstance(doc := getattr(function, "__doc__", None), str) else None
        return stand_in

    def outside(self) -> AbstractContextManager[None]:
        """Return what stands around a host tool within a run: shared state is the host's again."""
        return self._runtime.importer.session.outside()

    def set_variable(self, name: str, value: object) -> None:
        """Set a guest variable."""
        self._namespace[name] = value

    def clear(self) -> None:
        """Forget the guest's variables; what was bound stays."""
        with self._runtime.importer.running():  # destructors
            self._namespace.clear()
        self._namespace["__name__"] = "__main__"
        self._namespace["__builtins__"] = self._builtins

    # --- runs

    def run(self, source: str, convert: Callable[[object], object] | None = None) -> Outcome:
        """Return what came of running `source`. Guest failures of any kind are values in it.

        Args:
            convert: Returns the host's copy of the value. It may run guest code (a `__repr__`), so it is called while the
                run, with its limits, is still open; after it no guest code runs until the next run.
        """
        self._fuel.reset()
        if not self._guarded:  # a thread that the last run left may have bound names since
            self._restore()
        try:
            code = self._compiled(source)
        except GuardRefused as refused:
            return Outcome(error=report_refused(refused, source))
        except SyntaxError as error:
            return Outcome(error=report_syntax(error, source))
        if not self._guarded:
            return self._finish(code)
        with self._runtime.importer.running():
            outcome = self._finish(code)
            return outcome if convert is None else self._converted(outcome, convert)

    def _converted(self, outcome: Outcome, convert: Callable[[object], object]) -> Outcome:
        try:
            if outcome.error is None:
                self._fuel.resume()
                outcome = replace(outcome, value=convert(outcome.value))
            # SECURITY: destructors, callbacks and generators that are closed later run on the host's time.
            self._fuel.close()
            return outcome
        except GuestStop as stop:
            return replace(outcome, value=None, error=report_stop(stop, stop, self._sources))

    def _finish(self, code: GuardedCode) -> Outcome:
        failure: BaseException | None = None
        try:
            self._execute(code)
        except (
            BaseException
        ) as error:  # SECURITY: nothing that guest code raises may leave, SystemExit included
            failure = error
        for name in code.temporaries:
            self._namespace.pop(name, None)
        return self._outcome(failure)

    def stop(self, cause: Cause, message: str = "") -> None:
        """Make the run in progress stop; guest code cannot swallow it. From any thread or a signal handler.

        Guest Python stops at its next tick. To break into a long C call that returns to Python now and then, the
        caller also sends `GuestStop` as an asynchronous exception to the thread, and again until `run` has returned.
        """
        self._fuel.halt(GuestStop(cause, message))

    def on_account(self, look: Callable[[], None]) -> None:
        """Call `look` about every thousand operations: where no signal tells of a stop, it is looked for there."""

        def none() -> int:
            look()
            return 0

        self._fuel.debts.append(none)

    def _compiled(self, source: str) -> GuardedCode:
        code = self._cache.get(source)
        if code is not None:
            self._cache.move_to_end(source)
            return code
        self._runs += 1
        filename = f"<guest:{self._runs}>"
        compiled = (
            compile_guarded(source, self._policy, filename=filename)
            if self._guarded
            else compile_plain(source, filename=filename)
        )
        self._remember(compiled)
        return compiled

    def _remember(self, code: GuardedCode) -> None:
        self._sources[code.filename] = code.source
        if len(code.source) <= _CACHED_CHARACTERS:
            self._cache[code.source] = code
        if len(self._cache) > _CACHED_SOURCES:
            self._cache.popitem(last=False)
        if len(self._sources) > _KEPT_SOURCES:
            self._sources.popitem(last=False)

    def _execute(self, code: GuardedCode) -> None:
        if not code.is_coroutine:
            exec(code.code, self._namespace)  # noqa: S102 (the one place where guest code runs)
            return
        import asyncio

        main = types.FunctionType(code.code, self._namespace)

        async def run() -> object:
            return await main()

        if not self._guarded:
            asyncio.run(run())
            return
        # The host may run a loop of its own on this thread; the guest's loop carries tasks and timers only.
        loop = self._runtime.importer.new_event_loop()
        try:
            loop.run_until_complete(run())
        finally:
            self._runtime.importer.end_event_loop(loop)

    def _outcome(self, failure: BaseException | None) -> Outcome:
        value = self._namespace.pop(RESULT, None)
        operations = self._fuel.used
        notes = self._restore()
        stop = self._fuel.stop
        if isinstance(stop, FinalAnswer):
            return Outcome(value=stop.value, is_final=True, operations=operations, notes=notes)
        if stop is not None:
            error = report_stop(stop, failure, self._sources)
            return Outcome(error=error, operations=operations, notes=notes)
        if failure is not None:
            error = self._report(failure)
            return Outcome(error=error, operations=operations, notes=notes)
        return Outcome(value=value, operations=operations, notes=notes)

    def _report(self, failure: BaseException) -> GuestError:
        error = report_exception(failure, self._sources, self._describe)
        stop = self._fuel.stop
        if stop is not None and not isinstance(stop, FinalAnswer):
            return report_stop(stop, failure, self._sources)
        return error

    def _describe(self, error: BaseException) -> str:
        """Return `str(error)`. SECURITY: this runs the guest's `__str__`, under the same fuel as the run."""
        try:
            text = str(error)
            return text if type(text) is str else str.__str__(text)
        except BaseException as trouble:
            return f"<{type_name(type(trouble))} while its message was made>"

    def _restore(self) -> tuple[str, ...]:
        """Drop module-level names that hide a builtin or tool, so that later steps get the real ones."""
        namespace = self._namespace
        namespace["__builtins__"] = self._builtins
        namespace["__name__"] = "__main__"
        if not self._guarded:  # plain Python reaches the dictionary itself
            self._builtins.update(self._originals)
        if self._reserved.isdisjoint(namespace):
            return ()
        hidden = sorted(self._reserved.intersection(namespace))
        for name in hidden:
            del namespace[name]
        return tuple(
            f"{name} is the builtin or tool again: choose another name to keep a value" for name in hidden
        )

    # --- final_answer

    def _final_answer(self, *args: object, **kwargs: object) -> object:
        """End the run with this answer."""
        self._fuel.check()
        answer = (self._answerer or _only)(*args, **kwargs)
        self._fuel.answer(answer)
        return answer


def _only(answer: object = None) -> object:
    return answer
