"""Fleet: many snippets at once, on this machine, on Ray, or on services of other machines."""

from __future__ import annotations

import asyncio
import atexit
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence, Sized
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, Self

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.executors.parameters import CheckedMethods, constructor_parameters
from pinjra.executors.registry import executor_class, sandbox
from pinjra.fleet.boxes import WARDEN
from pinjra.fleet.cases import PER_CASE, Case, CaseResult, Status, Verdict, check_files, check_size
from pinjra.fleet.engine import Engine, LocalEngine, Task, task_of
from pinjra.fleet.requests import Request, SnippetResult
from pinjra.fleet.results import Results

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

# A box forks the snippets' processes, so its own limits are those of the machine it is on; each snippet has its own besides.
_BOX = Limits(
    wall_seconds=None,
    cpu_seconds=None,
    operations=None,
    memory_bytes=4 << 30,
    disk_bytes=512 << 20,
    output_bytes=None,
    value_bytes=256 << 20,
    processes=128,
    tool_calls=None,
)
_PODS = 2  # at once at first


class Fleet(metaclass=CheckedMethods):
    """Runs snippets and judges programs, as many at once as the machines can take.

    Args:
        engine: "local" (this machine), "ray" (every node of the running or given cluster), "kubernetes" (a pod for each box, or a
            claim with `warm_pool=`), or addresses of `pinjra serve`, separated by commas.
        isolation: "fork": each snippet in a process forked from one warm jail, which has seen other snippets of this fleet but
            nothing of them is left; "fresh": each in a jail of its own, which costs some milliseconds more.
        executor: What a box is made of: any that can fork processes.
        preload: Modules that every snippet finds imported.
        boxes: How many at once at first; None: one a processor. It grows up to `most_boxes` while tasks wait and processors idle.
        limits: Of each snippet, unless a call says others.
        box_limits: Of a whole box.
        seed: Of the random numbers of each snippet; None: others for each.
        options: Further parameters of `sandbox()` for each box (`packages`, `python_path`, `env`, …), or of the engine.
    """

    def __init__(
        self,
        engine: str = "local",
        *,
        isolation: Literal["fork", "fresh"] = "fork",
        executor: str = "jail",
        preload: Iterable[str] = (),
        boxes: int | None = None,
        most_boxes: int | None = None,
        limits: Limits = PER_CASE,
        box_limits: Limits = _BOX,
        seed: int | None = None,
        **options: Any,
    ) -> None:
        self.limits = limits
        self.seed = seed
        self._most_bytes = box_limits.value_bytes
        preload = tuple(preload)
        settings: dict[str, Any] = {
            "preload": preload,
            "least": boxes,
            "most": most_boxes,
            "uses": 1 if isolation == "fresh" else None,
        }
        # What a jail of this machine has imported before it is opened, all of them share.
        shared = (WARDEN, *preload) if executor == "jail" and engine in ("local", "ray") else ()
        parameters = {
            "authorized_imports": ["*", *shared],
            "guard": False,
            "rollback": False,
            "limits": box_limits,
            **options,
        }
        if engine == "local":
            of_box = constructor_parameters(executor_class(executor))
            known = of_box.under("additional_authorized_imports", "authorized_imports")
            own = constructor_parameters(type(self)).kinds  # so that the nearest name may be one of these
            replace(known, kinds={**known.kinds, **own}).check("Fleet", (), parameters)
        self._engine = _engine(engine, executor, parameters, settings)

    # ------------------------------------------------------------ snippets

    def submit(
        self, code: str, *, stdin: str | bytes = "", files: Mapping[str, bytes] | None = None, limits: Limits | None = None,
        fetch: Iterable[str] = (),
    ) -> Future[SnippetResult]:  # fmt: skip
        """Return the future result of one snippet. In asyncio: `await asyncio.wrap_future(...)`."""
        check_files(files or {})
        data = stdin.encode() if isinstance(stdin, str) else stdin
        return self.submit_request(
            Request(
                code=code,
                stdin=data,
                files=dict(files or {}),
                limits=limits or self.limits,
                fetch=tuple(fetch),
                seed=self.seed,
            )
        )

    def submit_request(self, request: Request) -> Future[SnippetResult]:
        """Return the future result of one snippet, or program, that is already described as a `Request`."""
        check_size(self._most_bytes, request.code, request.stdin, files=request.files)
        task = Task(request=request)
        self._engine.submit(task)
        return task.future

    def map(
        self,
        codes: Iterable[str],
        *,
        inputs: Iterable[str | bytes] | None = None,
        files: Mapping[str, bytes] | None = None,
        limits: Limits | None = None,
        ordered: bool = False,
        fetch: Iterable[str] = (),
        progress: bool = False,
    ) -> Results[SnippetResult]:
        """Return the results of many snippets, for `for` and for `async for`, as they come.

        Never more are under way than the boxes can use: `codes` is read as results are taken.

        Args:
            inputs: Standard input of each; as many as codes. One text of code may be repeated with `itertools.repeat`; of two
                that have no length the shorter one ends it.
            files: Given to each.
            ordered: In the order of `codes`.
            progress: Show a bar on a terminal.

        Raises:
            ConfigurationError: There are more inputs than codes, or fewer (the caller's fault).
        """
        if isinstance(codes, Sized) and isinstance(inputs, Sized) and len(codes) != len(inputs):
            raise ConfigurationError(f"map: {len(codes)} codes have {len(inputs)} inputs; as many are needed")
        names = tuple(fetch)
        calls = (
            partial(self.submit, code, stdin=stdin, files=files, limits=limits, fetch=names)
            for code, stdin in zip(codes, itertools.repeat("") if inputs is None else inputs, strict=False)
        )
        return Results(calls, self._engine.room, _indexed, ordered=ordered, progress=progress)

    def session(self) -> PythonExecutor:
        """Return a session that lives on one machine until it is closed: an ordinary executor."""
        return self._engine.open()

    # ------------------------------------------------------------ verdicts

    async def score(
        self,
        code: str,
        cases: Sequence[Case],
        *,
        stop_at: Literal["first"] | None = "first",
        per_case: Limits | None = None,
    ) -> Verdict:
        """Return the verdict of a program on its cases; see `score_sync`."""
        return await asyncio.wrap_future(self.score_soon(code, cases, stop_at=stop_at, per_case=per_case))

    def score_sync(
        self,
        code: str,
        cases: Sequence[Case],
        *,
        stop_at: Literal["first"] | None = "first",
        per_case: Limits | None = None,
    ) -> Verdict:
        """Return the verdict of a program on its cases.

        Args:
            stop_at: "first": later cases are not run after one that does not pass.
            per_case: Limits of each case.
        """
        return self.score_soon(code, cases, stop_at=stop_at, per_case=per_case).result()

    def score_soon(
        self,
        code: str,
        cases: Sequence[Case],
        *,
        stop_at: Literal["first"] | None = "first",
        per_case: Limits | None = None,
    ) -> Future[Verdict]:
        """Return the future verdict of a program on its cases."""
        if not cases:
            raise ConfigurationError("a program is scored by at least one Case")
        for case in cases:
            check_size(self._most_bytes, code, case.stdin, files=case.files)
            check_size(self._most_bytes, case.setup, case.test)
        limits = per_case or self.limits
        tasks = [partial(task_of, code, case, limits, self.seed) for case in cases]
        return _Scoring(self._engine, tasks, is_stopping=stop_at == "first").future

    def score_many(
        self,
        programs: Iterable[tuple[str, Sequence[Case]]],
        *,
        stop_at: Literal["first"] | None = "first",
        per_case: Limits | None = None,
        ordered: bool = True,
        progress: bool = False,
    ) -> Results[Verdict]:
        """Return the verdicts of many programs, each with its cases, for `for` and `async for`."""
        calls = (
            partial(self.score_soon, code, cases, stop_at=stop_at, per_case=per_case)
            for code, cases in programs
        )
        return Results(calls, self._engine.room, _indexed, ordered=ordered, progress=progress)

    # ------------------------------------------------------------ end

    def close(self) -> None:
        """End all boxes; results that nobody has taken are given up."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.to_thread(self.close)


def _engine(name: str, executor: str, parameters: dict[str, Any], settings: dict[str, Any]) -> Engine:
    if name == "local":
        return LocalEngine(lambda: sandbox(executor, **parameters), **settings)
    if name == "kubernetes":
        settings["least"] = settings["least"] or _PODS
        return LocalEngine(lambda: sandbox(name, **parameters), **settings)
    if name.startswith(("http://", "https://")):
        from pinjra.fleet.services import service_engine

        return service_engine(name, executor, parameters, settings)
    if name == "ray":
        from pinjra.fleet.ray import RayEngine

        return RayEngine(executor, parameters, settings)
    raise ConfigurationError(
        f'engine= is "local", "ray", "kubernetes" or addresses like "http://a:8700,http://b:8700", not {name!r}'
    )


_SHARED: dict[object, Fleet] = {}
_SHARED_LOCK = threading.Lock()


def shared_fleet(engine: str, **options: Any) -> Fleet:
    """Return the fleet of this process with these parameters, for adapters that are called for each answer; it ends with it."""
    key = (os.getpid(), engine, repr(sorted(options.items())))
    with _SHARED_LOCK:
        if key not in _SHARED:
            _SHARED[key] = Fleet(engine, **options)
            atexit.register(_SHARED[key].close)
        return _SHARED[key]


def _indexed(index: int, result: Any) -> Any:
    return replace(result, index=index)


class _Scoring:
    """The cases of one program, one after the other; or all at once where none stops the others."""

    def __init__(self, engine: Engine, tasks: Sequence[Callable[[], Task]], *, is_stopping: bool) -> None:
        self.future: Future[Verdict] = Future()
        self._engine, self._tasks, self._is_stopping = engine, tasks, is_stopping
        self._found: dict[int, CaseResult] = {}
        self._attempts = 1
        for index in range(1 if is_stopping else len(tasks)):
            self._begin(index)

    def _begin(self, index: int) -> None:
        try:
            task = self._tasks[index]()
            task.future.add_done_callback(lambda done: self._take(index, task, done))
            self.future.add_done_callback(lambda done: task.future.cancel() if done.cancelled() else None)
            self._engine.submit(task)
        # Arguments of a case that cannot be sent, a fleet that is closed: nobody else would tell whoever waits
        except (ConfigurationError, RuntimeError) as error:
            if not self.future.done():
                self.future.set_exception(error)

    def _take(self, index: int, task: Task, done: Future[CaseResult]) -> None:
        if done.cancelled() or self.future.done():
            self.future.cancel()
            return
        if (error := done.exception()) is not None:  # our own bug, or nodes that die: nobody else would tell
            self.future.set_exception(error)
            return
        self._found[index] = done.result()
        self._attempts = max(self._attempts, task.attempts)
        is_over = len(self._found) == len(self._tasks)
        if self._is_stopping and not is_over and self._found[index].status == "passed":
            self._begin(index + 1)
        elif (is_over or self._is_stopping) and not self.future.done():
            cases = tuple(self._found[i] for i in sorted(self._found))
            status: Status = next((case.status for case in cases if case.status != "passed"), "passed")
            self.future.set_result(Verdict(status=status, cases=cases, attempts=self._attempts))
