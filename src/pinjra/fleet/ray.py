"""A Ray cluster -> an engine: one actor a node, which owns that node's boxes. Ray places and carries; limits are the jail's.

Ray's own ports run whatever they are sent, so a guest must not reach them: boxes have no network unless it is asked for.
"""

from __future__ import annotations

import itertools
import secrets
import threading
from collections import OrderedDict, deque
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from pinjra.core.errors import BackendError, ConfigurationError, MissingDependency
from pinjra.executors.registry import sandbox
from pinjra.fleet.cases import Case, CaseResult
from pinjra.fleet.engine import LocalEngine, Task, end_of, give
from pinjra.fleet.requests import Request, SnippetResult

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor

_LEAST_BATCH, _MOST_BATCH = 64, 256
_UNDER_WAY = 2  # batches at one node: one being done, one there already
_REMEMBERED = 4096  # results that a node keeps, so that a batch that is sent again is not done again
_ATTEMPTS = 10  # of a task on nodes that die

Item = tuple[str, Request, Case | None]


class _Node:
    """The actor: this node's boxes."""

    def __init__(self, executor: str, parameters: dict[str, Any], settings: dict[str, Any]) -> None:
        self._engine = LocalEngine(lambda: sandbox(executor, **parameters), **settings)
        self._known: OrderedDict[str, Future[Any]] = OrderedDict()

    def run(self, items: list[Item]) -> list[SnippetResult | CaseResult]:
        """Return the results of the items; one that was given before is not run again."""
        return [future.result() for future in [self._begun(*item) for item in items]]

    def _begun(self, name: str, request: Request, case: Case | None) -> Future[Any]:
        if name not in self._known:
            task = Task(request=request, case=case)
            self._engine.submit(task)
            self._known[name] = task.future
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return self._known[name]


class RayEngine:
    """Tasks go in batches to one actor on each node; what a dead node had goes to another.

    Args:
        address: Of a running cluster; None: the one that this process is connected to, else one is started here.
    """

    def __init__(self, executor: str, parameters: dict[str, Any], settings: dict[str, Any]) -> None:
        try:
            import ray
        except ImportError:
            raise MissingDependency("ray", "pip install 'pinjra[ray]'") from None
        self._ray = ray
        address = parameters.pop("address", None)
        if not ray.is_initialized():
            ray.init(address=address, include_dashboard=False, log_to_driver=False)
        self._executor, self._parameters = executor, parameters
        self._actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0, max_concurrency=4)(_Node)
        # of all nodes: a test draws the same random numbers wherever a program is judged
        self._arguments = (executor, parameters, {**settings, "test_seed": secrets.randbits(32)})
        self._nodes: dict[str, Any] = {}
        self._busy: dict[str, int] = {}
        self._tasks: deque[tuple[str, Task]] = deque()
        self._numbers = itertools.count(1)
        self._change = threading.Condition()
        self._is_closed = False
        self._find_nodes()
        if not self._nodes:
            raise ConfigurationError("the Ray cluster has no node that is alive")
        threading.Thread(target=self._send, name="pinjra-fleet-ray", daemon=True).start()

    @property
    def room(self) -> int:
        """Return how many tasks are worth having here at one time."""
        return _MOST_BATCH * (_UNDER_WAY + 1) * max(len(self._nodes), 1)

    def _find_nodes(self) -> None:
        """Have an actor on each node that is alive, and none on others."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        alive = {node["NodeID"] for node in self._ray.nodes() if node["Alive"]}
        for gone in set(self._nodes) - alive:
            del self._nodes[gone]
        for name in alive - set(self._nodes):
            place = NodeAffinitySchedulingStrategy(node_id=name, soft=False)
            self._nodes[name] = self._actor.options(scheduling_strategy=place).remote(*self._arguments)
            self._busy.setdefault(name, 0)

    def submit(self, task: Task) -> None:
        """Take a task; see `Engine.submit`."""
        with self._change:
            if self._is_closed:
                raise RuntimeError("this fleet is closed")
            self._tasks.append((f"{id(self):x}-{next(self._numbers)}", task))
            self._change.notify()

    def _send(self) -> None:
        """Give waiting tasks to the node with the least to do, for as long as the engine is open."""
        while True:
            with self._change:
                while not self._is_closed and not (self._tasks and self._free()):
                    self._change.wait(1.0)
                if self._is_closed:
                    return
                name = min(self._free(), key=lambda node: self._busy[node])
                share = -(-len(self._tasks) // (len(self._nodes) * _UNDER_WAY))
                count = min(max(share, _LEAST_BATCH), _MOST_BATCH, len(self._tasks))
                batch = [self._tasks.popleft() for _ in range(count)]
                self._busy[name] += 1
            threading.Thread(
                target=self._follow, args=(name, batch), name="pinjra-fleet-batch", daemon=True
            ).start()

    def _free(self) -> list[str]:
        return [name for name in self._nodes if self._busy[name] < _UNDER_WAY]

    def _follow(self, name: str, batch: list[tuple[str, Task]]) -> None:
        """Wait for one batch; what a lost node did not answer is sent again under the same name."""
        from ray.exceptions import RayError

        items: list[Item] = [(each, task.request, task.case) for each, task in batch]
        results = None
        try:
            results = self._ray.get(self._nodes[name].run.remote(items))
        except (RayError, KeyError) as error:
            problem = str(error)
        with self._change:
            self._busy[name] -= 1
            if results is None:
                self._lost(batch, problem)
                self._find_nodes()
            self._change.notify()
        for (_, task), result in zip(batch, results or (), strict=False):
            if (
                end_of(result) == "infrastructure"
                and task.attempts == 1
                and len(self._nodes) > 1
                and not self._is_closed
            ):
                task.attempts += 1
                # under a new name, for it is to be done again: by whoever has the least to do
                self.submit(task)
            else:
                give(task, result)

    def _lost(self, batch: list[tuple[str, Task]], problem: str) -> None:
        for name, task in reversed(batch):
            task.attempts += 1
            if task.attempts > _ATTEMPTS:
                task.future.set_exception(BackendError(f"nodes died {_ATTEMPTS} times: {problem:.500}"))
            else:
                self._tasks.appendleft((name, task))

    def open(self) -> PythonExecutor:
        """Return a session of this machine: its tools are here."""
        return sandbox(self._executor, **self._parameters)

    def close(self) -> None:
        """End the actors; the cluster stays."""
        with self._change:
            self._is_closed = True
            for _, task in self._tasks:
                task.future.cancel()
            self._change.notify_all()
        for actor in self._nodes.values():
            self._ray.kill(actor)
