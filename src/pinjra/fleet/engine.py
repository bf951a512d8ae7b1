"""Tasks -> futures, on boxes of this process: as many as the processors can use, replaced when they die."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, InternalError, PinjraError
from pinjra.core.execution import Cause, Execution
from pinjra.core.limits import Limits
from pinjra.fleet.boxes import Box, BoxLost, BoxUseless
from pinjra.fleet.cases import Case, CaseResult
from pinjra.fleet.concurrency import Concurrency
from pinjra.fleet.foresight import Foresight
from pinjra.fleet.requests import (
    MOST_STARVING,
    Reason,
    Request,
    SnippetResult,
    infrastructure,
    result_of,
    seconds,
)
from pinjra.fleet.scoring import ask, failed, is_unforeseen, judge, judge_test, request_of

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

_log = logging.getLogger("pinjra.fleet")

# A program whose process, or whose box while it is in there alone, ends so often that nobody else can be the reason has ended it
# itself. On a machine where something kills at random a long program meets that one time in twenty, its box one time in four.
_MOST_KILLS, _MOST_LOSSES = 5, 10
_EXPLAINED = 4  # losses that one counts for whose reason is known (memory), or that takes long and hardly happens to others
# in which no box comes up, until tasks are given back as failed by the infrastructure
_PATIENCE_SECONDS = 60.0
_PAUSE_SECONDS = 1.0  # between two openings of one thread meanwhile
_FOR_EVER = (BoxUseless, ConfigurationError, ExecutorUnavailable)  # it will be the same the next time
_USES = 2000  # snippets, after which a box is replaced: what they leave in its interpreter stays small


@dataclass(slots=True, kw_only=True, eq=False)
class Task:
    """One program to run, or one case to judge.

    Args:
        lost: How often its box has ended while it was in there alone.
        killed: How often its process was killed, and nobody knows by whom.
        starved: How often it could not be judged, for the machine had too much to do.
        spent_seconds, spent_cpu_seconds: In runs whose process or box was ended.
        earlier_cpu_seconds: In all runs but the last, and its share of boxes that ended with others in them.
    """

    request: Request
    case: Case | None = None
    future: Future[Any] = field(default_factory=Future)
    lost: int = 0
    attempts: int = 1
    killed: int = 0
    starved: int = 0
    spent_seconds: float = 0.0
    spent_cpu_seconds: float = 0.0
    earlier_cpu_seconds: float = 0.0


class Engine(Protocol):
    """Whatever runs tasks."""

    def submit(self, task: Task) -> None:
        """Take a task; its future gets a `SnippetResult` or a `CaseResult`."""

    def open(self) -> PythonExecutor:
        """Return a session of its own."""

    @property
    def room(self) -> int:
        """Return how many tasks are worth having here at one time."""

    def close(self) -> None:
        """End everything."""


class LocalEngine:
    """Boxes of this process, one thread for each.

    Args:
        make: Opens an executor for a box.
        least, most: Boxes; more than `least` are opened while tasks wait and the processors are idle.
        tell: Called with a box's executor and how many snippets ended how, when they have.
        test_seed: Of random numbers of tests; None: any, the same for all.
    """

    def __init__(
        self,
        make: Callable[[], PythonExecutor],
        *,
        preload: tuple[str, ...] = (),
        least: int | None = None,
        most: int | None = None,
        uses: int | None = None,
        tell: Callable[[PythonExecutor, Mapping[str, int]], None] | None = None,
        test_seed: int | None = None,
    ) -> None:
        self.open = make
        self.tell = tell
        self._preload = preload
        processors = os.cpu_count() or 1
        least = least or processors
        most = most or least * 4
        self._concurrency = Concurrency(min(least, most), most, processors)
        self._uses = uses or _USES
        self._tasks: deque[Task] = deque()
        self._change = threading.Condition()
        self._lanes: set[_Lane] = set()
        self._count = self._idle = 0  # of the threads those that go on, and those that wait
        self._failing_since, self._failed_last, self._failing_because = 0.0, 0.0, ""
        self._closing = threading.Event()
        self.foresight = Foresight(test_seed)

    @property
    def room(self) -> int:
        """Return how many tasks are worth having here at one time: enough to keep the boxes busy."""
        return self._concurrency.room

    def submit(self, task: Task) -> None:
        """Take a task; its future gets a `SnippetResult` or a `CaseResult`."""
        with self._change:
            if self._closing.is_set():
                raise RuntimeError("this fleet is closed")
            self._tasks.append(task)
            if self._idle:
                self._change.notify()
            else:
                self._start_if_worth_it()

    def _start_if_worth_it(self) -> None:
        if self._count >= self._concurrency.limit:
            return
        lane = _Lane(self)
        self._lanes.add(lane)
        self._count += 1
        lane.start()

    def close(self) -> None:
        """End all boxes, whatever runs in them; tasks that were not done are given up."""
        with self._change:
            self._closing.set()
            _cancel(self._tasks)
            self._tasks.clear()
            self._change.notify_all()
            lanes = set(self._lanes)
        for lane in lanes:
            lane.end()
        for lane in lanes:
            lane.join()

    @property
    def is_closed(self) -> bool:
        """Return whether it is, or is about to be."""
        return self._closing.is_set()

    # ------------------------------------------------------------ one box

    def _work(self, lane: _Lane) -> None:
        try:
            while (batch := self._next()) is not None:
                batch = [task for task in batch if not task.future.cancelled()]
                if not batch:
                    continue
                try:
                    with lane.working(batch):
                        self._done(lane, batch)
                except Exception as error:  # our own bug must not take the thread with it, and whoever waits
                    lane.close()
                    for task in batch:
                        with suppress(InvalidStateError):  # it was done before
                            task.future.set_exception(InternalError(f"{type(error).__name__}: {error}"))
        finally:
            lane.close()
            with self._change:
                self._lanes.discard(lane)

    def _next(self) -> list[Task] | None:
        """Return the tasks for a box; None: its thread is to end, for the fleet is closed or has more boxes than do good."""
        with self._change:
            while not self._tasks and not self._closing.is_set():
                self._idle += 1
                self._change.wait()
                self._idle -= 1
            if not self._tasks or self._count > self._concurrency.limit:
                self._count -= 1
                self._change.notify()  # what woke this one is for another
                return None
            fair = max(1, len(self._tasks) // self._count)
            most = min(fair, self._concurrency.batch, self._uses)
            batch = [self._first()]
            while len(batch) < most and self._tasks and self._fit(batch[0], self._tasks[0]):
                batch.append(self._tasks.popleft())
            if self._tasks and not self._idle:
                self._start_if_worth_it()
            return batch

    def _first(self) -> Task:
        """Take a task from the front; rather none of a test that a box asks for the first time, for it will be known soon."""
        self._tasks.rotate(
            -next((i for i, task in enumerate(self._tasks) if not self.foresight.is_asked(task.case)), 0)
        )
        return self._tasks.popleft()

    def _fit(self, *tasks: Task) -> bool:
        """Return whether tasks may go to a box together."""
        return all(task.attempts == 1 and self.foresight.is_enough(task.case) for task in tasks)

    def _done(self, lane: _Lane, batch: list[Task]) -> None:
        begun = time.monotonic()
        try:
            results = lane.results(batch)
        except (BoxLost, PinjraError) as error:
            lane.close()
            if self.is_closed or lane.is_left:
                _cancel(batch)
            elif isinstance(error, BoxLost):
                self._again(batch, error)
            else:
                self._not_opened(batch, error, begun)
            return
        self._failing_since, self._failing_because = 0.0, ""
        wall, cpu = sum(each.wall_seconds for each in results), sum(each.cpu_seconds for each in results)
        with self._change:
            self._concurrency.learn(
                len(batch),
                wall_seconds=wall,
                cpu_seconds=cpu,
                delay_seconds=(time.monotonic() - begun - wall) / len(batch),
            )
        ends: list[tuple[Task, SnippetResult | CaseResult]] = []
        for task, result in zip(batch, results, strict=True):
            if result.is_killed and task.killed + 1 < _MOST_KILLS:
                task.killed += 1
                task.spent_seconds += result.wall_seconds
                task.spent_cpu_seconds += result.cpu_seconds
                self._return(task, result.total_cpu_seconds)
            elif end_of(result) == "infrastructure" and _may_starve_again(task):
                task.starved += 1
                self._return(task, result.total_cpu_seconds)
            else:
                ends.append((task, _in_time(task, result)))
        if self.tell is not None and ends:  # of what runs again nobody has judged anything
            self.tell(lane.executor, Counter(end_of(result) for _, result in ends))
        for task, result in ends:
            give(task, result)

    def _again(self, batch: list[Task], lost: BoxLost) -> None:
        """Put tasks whose box has ended back to the front, each to be run alone; or say that they ended it."""
        is_for_memory = (
            isinstance(lost.end, Execution)
            and lost.end.error is not None
            and lost.end.error.cause is Cause.MEMORY
        )
        for task in reversed(batch):
            if len(batch) == 1:
                task.lost += _EXPLAINED if lost.is_stuck or is_for_memory else 1
                task.spent_seconds += lost.seconds
                task.spent_cpu_seconds += lost.seconds  # at most: nobody has counted it
            if task.lost < _MOST_LOSSES:
                self._return(task, lost.seconds / len(batch))
                continue
            reason: Reason = "memory" if is_for_memory else "exception"
            how = "by its memory" if is_for_memory else f"each time: {lost}"
            said = f"it ended the box that it ran in, {how}"
            give(task, SnippetResult(ok=False, reason=reason, message=said, cpu_seconds=lost.seconds))

    def _return(self, task: Task, cpu_seconds: float) -> None:
        """Put a task back to the front, to be run alone, for which so much processor time was used."""
        task.attempts += 1
        task.earlier_cpu_seconds += cpu_seconds
        self._put_back([task])

    def _put_back(self, tasks: list[Task]) -> None:
        with self._change:
            if self.is_closed:
                _cancel(tasks)
                return
            self._tasks.extendleft(reversed(tasks))
            self._change.notify(len(tasks))

    def _not_opened(self, batch: list[Task], error: PinjraError, begun: float) -> None:
        """Put tasks back to the front until a box comes up; or give them up, where none has for long or none ever will."""
        now = time.monotonic()
        # a failure after which nothing was tried for long says nothing of now
        if not self._failing_since or begun - self._failed_last > _PATIENCE_SECONDS:
            self._failing_since = now
        self._failed_last = now
        if str(error) != self._failing_because:  # it is tried again and again: each reason is told once
            _log.warning("a box could not be opened: %s", error)
        self._failing_because = str(error)
        if isinstance(error, _FOR_EVER) or now - self._failing_since > _PATIENCE_SECONDS:
            for task in batch:
                give(task, infrastructure(str(error)))
            return
        with self._change:
            self._concurrency.shrink()
        self._put_back(batch)
        self._closing.wait(_PAUSE_SECONDS)


def end_of(result: SnippetResult | CaseResult) -> str:
    """Return in one word how a task has ended."""
    return result.status if isinstance(result, CaseResult) else result.reason or "ok"


def give(task: Task, result: SnippetResult | CaseResult) -> None:
    """Give a task's future its result; of a case it is a `CaseResult`."""
    if task.case is not None and isinstance(result, SnippetResult):
        result = failed(result)
    elif isinstance(result, SnippetResult) and task.earlier_cpu_seconds:
        result = replace(result, earlier_cpu_seconds=task.earlier_cpu_seconds)
    with suppress(InvalidStateError):  # whoever waited has cancelled it
        task.future.set_result(result)


def _cancel(tasks: Iterable[Task]) -> None:
    for task in tasks:
        task.future.cancel()


def _in_time(task: Task, result: SnippetResult | CaseResult) -> SnippetResult | CaseResult:
    """Return a result; none for a success that had more time than there is.

    SECURITY: else a program that kills itself when it has found nothing would search as often as it is repeated.
    """
    if end_of(result) not in ("ok", "passed") or not task.spent_seconds:
        return result
    limits = task.request.limits
    if task.spent_seconds + result.wall_seconds <= seconds(limits) and (
        limits.cpu_seconds is None or task.spent_cpu_seconds + result.cpu_seconds <= limits.cpu_seconds
    ):
        return result
    why = "its process was killed, and all of its runs together took more than its limit"
    return replace(infrastructure(why), cpu_seconds=result.total_cpu_seconds)


def _may_starve_again(task: Task) -> bool:
    return not task.starved and task.request.most_starving == MOST_STARVING


class _Lane(threading.Thread):
    """One thread, and its boxes: one for programs, and one more for tests once there is a test."""

    def __init__(self, engine: LocalEngine) -> None:
        super().__init__(target=engine._work, args=(self,), name="pinjra-fleet", daemon=True)
        self._engine = engine
        self._boxes: dict[str, Box] = {}
        self._used: dict[str, int] = {}
        self._lock = threading.Lock()
        self._batch: list[Task] = []
        self.is_left = False

    @contextmanager
    def working(self, batch: list[Task]) -> Iterator[None]:
        """Have the boxes ended when all of a batch is cancelled meanwhile: what nobody waits for holds up nobody."""
        self._batch, self.is_left = batch, False
        for task in batch:
            task.future.add_done_callback(self._leave)
        try:
            yield
        finally:
            with self._lock:
                self._batch = []
            if self.is_left:  # also where a box had done its work before
                self.close()

    def _leave(self, future: Future[Any]) -> None:
        with self._lock:
            if future.cancelled() and self._batch and all(task.future.cancelled() for task in self._batch):
                self.is_left = True
                for box in list(self._boxes.values()):
                    box.leave()

    def _box(self, name: str, count: int = 1) -> Box:
        """Return a box for so many more snippets."""
        if self._used.get(name, 0) >= self._engine._uses:
            self._boxes.pop(name).close()
        if name not in self._boxes:
            self._boxes[name] = Box(self._engine.open(), self._engine._preload)
            self._used[name] = 0
            if self._engine.is_closed or self.is_left:  # who ends the boxes may not have seen this one
                raise BoxLost("nobody waits for it")
        self._used[name] += count
        return self._boxes[name]

    @property
    def executor(self) -> PythonExecutor:
        """The one that programs run in, once there was one."""
        return self._boxes["program"].executor

    def results(self, batch: list[Task]) -> list[SnippetResult | CaseResult]:
        """Return what came of each.

        Raises:
            BoxLost: A box has ended; all are closed.
            PinjraError: A box could not be opened.
        """
        if batch[0].lost or batch[0].killed or batch[0].starved:
            self.close()  # in a box that no other snippet has seen, on another service where there is one
        try:
            if all(self._engine.foresight.is_enough(task.case) for task in batch):
                return self._foreseen(batch)
            if len(batch) == 1:
                return [self._asked(batch[0])]
            # one that was not known from the start is alone; of several, another box has missed one meanwhile
            return [result for task in batch for result in self.results([task])]
        except BoxLost:
            self.close()
            raise

    def _foreseen(self, batch: list[Task]) -> list[SnippetResult | CaseResult]:
        """Run all programs together, and then all tests that must be run on what the programs have said."""
        plans = [self._engine.foresight.of(task.case) for task in batch]
        requests = [
            replace(task.request, calls=plan.calls or task.request.calls)
            for task, plan in zip(batch, plans, strict=True)
        ]
        said = self._box("program", len(batch)).run(requests)
        found = [*map(judge, [task.case for task in batch], plans, requests, said)]
        tests = {at: each for at, each in enumerate(found) if isinstance(each, Request)}
        ends = self._box("test", len(tests)).run([*tests.values()]) if tests else ()
        for (at, test), end in zip(tests.items(), ends, strict=True):
            if is_unforeseen(end):
                self._engine.foresight.missed(cast("Case", batch[at].case))
                found[at] = self._asked(batch[at])
            else:
                found[at] = judge_test(result_of(requests[at], said[at]), test, end)
        return cast("list[SnippetResult | CaseResult]", found)

    def _asked(self, task: Task) -> CaseResult:
        """Run a test, and let it ask the program call by call."""
        foresight, case = self._engine.foresight, cast("Case", task.case)
        with foresight.asking(case):
            boxes = self._box("program"), self._box("test")
            result, asked = ask(*boxes, task.request, case, foresight.of(case))
            if result.status == "passed":
                foresight.learn(case, asked)
        return result

    def close(self) -> None:
        """End the boxes."""
        self.end()
        self._boxes.clear()
        self._used.clear()

    def end(self) -> None:
        """End the boxes while their thread waits for them."""
        for box in list(self._boxes.values()):
            box.close()


def task_of(code: str, case: Case, limits: Limits, seed: int | None) -> Task:
    """Return the task of judging one case."""
    return Task(request=request_of(code, case, limits, seed), case=case)
