"""For inspect: `sandbox="pinjra"`, an environment in a box, and `verdict()`, a scorer by cases. Found by its entry point.

    Task(dataset=…, solver=…, scorer=verdict(), sandbox="pinjra")

What a sample must do is in its metadata: the fields of a line of HumanEval, of MBPP, or `cases`; see `datasets`.
"""

from __future__ import annotations

import builtins
import json
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import anyio
import anyio.to_thread

from pinjra.core.errors import ConfigurationError, MissingDependency, SessionLost
from pinjra.core.execution import Cause, Execution
from pinjra.core.limits import Limits
from pinjra.executors.registry import sandbox
from pinjra.executors.session.executor import SessionExecutor
from pinjra.fleet.cases import PER_CASE, Case
from pinjra.fleet.datasets import cases_of, code_of
from pinjra.fleet.fleet import shared_fleet

try:
    from inspect_ai.scorer import CORRECT, INCORRECT, Score, Scorer, Target, accuracy, scorer, stderr
    from inspect_ai.solver import TaskState
    from inspect_ai.util import (
        ExecResult,
        OutputLimitExceededError,
        SandboxEnvironment,
        SandboxEnvironmentLimits,
        SandboxUserUnsupportedError,
        sandboxenv,
    )
    from inspect_ai.util._sandbox.environment import SandboxUnavailableError
    from pydantic import BaseModel
except ImportError:
    raise MissingDependency("inspect_ai", "pip install 'pinjra[inspect]'") from None

__all__ = ["PinjraSandbox", "PinjraSandboxEnvironment", "verdict"]

T = TypeVar("T")

_FILE_BYTES = 128 << 20  # of one file or standard input; inspect's own limit for reading is 100 MiB
_SHELL = 'cd -- "$1" && shift && exec "$@"'
_NOT_EXECUTABLE = 126  # the status of a shell that may not execute what it was told to
_READ = """
import os
if os.stat(_name).st_size > _most:
    raise OverflowError(_name)
with open(_name, "rb") as _file:
    _data = _file.read(_most)
_data
"""
_WRITE = """
import os
os.makedirs(os.path.dirname(_name) or ".", exist_ok=True)
with open(_name, "wb") as _file:
    _file.write(_data)
del _data
"""


class PinjraSandbox(BaseModel, frozen=True, extra="forbid"):
    """What `sandbox=("pinjra", "FILE.json")` says, or `SandboxEnvironmentSpec("pinjra", PinjraSandbox(…))`.

    Args:
        executor: What the box is made of: any that starts programs.
        programs, packages, network, mounts, env: As for `sandbox()`; see docs/sandbox.md.
        processes, memory_bytes, disk_bytes: Limits of a sample's box. Time is inspect's: `timeout=`, `time_limit=`.
    """

    executor: str = "jail"
    programs: tuple[str, ...] = ("*",)
    packages: tuple[str, ...] = ()
    network: tuple[str, ...] = ()
    mounts: dict[str, str] = {}
    env: dict[str, str] = {}
    processes: int = 128
    memory_bytes: int = 2 << 30
    disk_bytes: int = 1 << 30

    def open(self) -> SessionExecutor:
        """Return a box.

        Raises:
            ConfigurationError: The executor has not what is asked for (the caller's fault).
            PinjraError: No box could be opened; its class says why.
        """
        access = {name: getattr(self, name) for name in ("programs", "packages", "network", "mounts", "env")}
        limits = Limits(
            wall_seconds=None,
            cpu_seconds=None,
            operations=None,
            memory_bytes=self.memory_bytes,
            disk_bytes=self.disk_bytes,
            output_bytes=2 * SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE + 4096,
            value_bytes=_FILE_BYTES,
            processes=self.processes,
        )
        wanted = {name: value for name, value in access.items() if value}
        box = sandbox(self.executor, guard=False, rollback=False, limits=limits, **wanted)
        if not isinstance(box, SessionExecutor):
            raise ConfigurationError(f"executor={self.executor!r} has no files and programs")
        return box


def _config(given: BaseModel | str | None) -> PinjraSandbox:
    if given is None or isinstance(given, PinjraSandbox):
        return given or PinjraSandbox()
    try:
        return PinjraSandbox(**json.loads(Path(cast("str", given)).read_text("utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ConfigurationError(f"sandbox=('pinjra', {given!r}): {error}") from error


@sandboxenv(name="pinjra")
class PinjraSandboxEnvironment(SandboxEnvironment):  # type: ignore[misc]  # inspect is not followed here
    """One box for each sample. It does one thing at a time: a second `exec` waits for the first."""

    def __init__(self, box: SessionExecutor) -> None:
        super().__init__()
        self._box = box
        self._turn = anyio.CapacityLimiter(1)

    # ------------------------------------------------------------ life

    @classmethod
    def default_concurrency(cls) -> int | None:
        """Return how many boxes there are at one time unless `max_sandboxes=` says otherwise."""
        return 2 * (os.cpu_count() or 1)

    @classmethod
    async def sample_init(
        cls, task_name: str, config: BaseModel | str | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        """Open a sample's box."""
        return {"default": cls(await anyio.to_thread.run_sync(_config(config).open))}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: BaseModel | str | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """End a sample's box, with everything in it."""
        for each in environments.values():
            box = each.as_type(cls)._box
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(box.close)

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        """Return what a log says of a configuration."""
        return PinjraSandbox(**config)

    # ------------------------------------------------------------ programs

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,  # noqa: A002  (inspect's name)
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """Run a program; see inspect's `SandboxEnvironment.exec`. What it leaves running ends with it."""
        if user is not None:
            raise SandboxUserUnsupportedError(f"a box has one user without a name, and no {user!r}")
        variables = [f"{name}={value}" for name, value in (env or {}).items()]
        argv = ["env", *variables, "sh", "-c", _SHELL, "sh", cwd or ".", *cmd]
        stdin = b"" if input is None else input
        return _exec_result(await self._do(lambda: self._box.exec(argv, stdin=stdin, timeout=timeout)))

    # ------------------------------------------------------------ files

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """Write a file, by a name relative to the box's folder or absolute; see inspect's `SandboxEnvironment.write_file`."""
        data = contents.encode() if isinstance(contents, str) else contents
        await self._do(lambda: self._in_python(_WRITE, _name=file, _data=data))

    async def read_file(self, file: str, text: bool = True) -> Any:
        """Return a file's contents; see inspect's `SandboxEnvironment.read_file`."""
        most = min(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE, _FILE_BYTES)
        data = await self._do(lambda: self._in_python(_READ, _name=file, _most=most))
        return bytes(data).decode() if text else bytes(data)

    def _in_python(self, code: str, **variables: object) -> Any:
        """Return the value of our own code in the box's interpreter, which nothing else uses."""
        self._box.send_variables(variables)
        done = self._box.run(code)
        if done.error is None:
            return done.value
        if done.error.type == "OverflowError":
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
        kind = getattr(builtins, done.error.type, None)
        if isinstance(kind, type) and issubclass(kind, OSError):
            raise kind(done.error.message)
        raise RuntimeError(str(done.error))

    async def _do(self, call: Callable[[], T]) -> T:
        """Return what a call returns on another thread; when the sample is cancelled, what runs in the box is stopped.

        Raises:
            SandboxUnavailableError: The box is gone.
        """
        begun = threading.Event()

        def work() -> T:
            begun.set()
            return call()

        try:
            return await anyio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=self._turn)
        except SessionLost as error:
            raise SandboxUnavailableError(str(error)) from error
        except anyio.get_cancelled_exc_class():
            if begun.is_set():  # else it has waited for its turn, and what runs is another's
                self._box.interrupt()
            raise


def _exec_result(done: Execution) -> ExecResult[str]:
    if done.error is not None and done.error.cause is Cause.WALL:
        raise TimeoutError(done.error.message)
    for stream in (done.stdout, done.stderr):
        if len(stream.encode()) > SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR, stream)
    status = done.status
    if status == _NOT_EXECUTABLE and "ermission denied" in done.stderr:
        raise PermissionError(done.stderr)
    if status is None:  # memory, processes, …: the box says which limit
        return ExecResult(False, 128 + 9, done.stdout, f"{done.stderr}{done.error}")
    return ExecResult(status == 0, status if status >= 0 else 128 - status, done.stdout, done.stderr)


# ---------------------------------------------------------------- the scorer


@scorer(metrics=[accuracy(), stderr()])  # type: ignore[misc]  # inspect is not followed here
def verdict(
    cases: Callable[[TaskState], Sequence[Case]] | None = None,
    *,
    engine: str = "local",
    limits: Limits = PER_CASE,
    **options: Any,
) -> Scorer:
    """Score the program in an answer by its cases: correct when all pass. Works with any `sandbox=`, and without.

    What the infrastructure prevented has no score: it is in the log and counts in no metric.

    Args:
        cases: What a sample must do; None: its metadata says it, or its target is what a program prints.
        engine, options: Of the `Fleet`, which is one for all samples.
        limits: Of each case.
    """

    async def score(state: TaskState, target: Target) -> Score:
        found = cases(state) if cases is not None else _cases(state.metadata, target)
        code = code_of(state.output.completion)
        fleet = shared_fleet(engine, **options)
        judged = await fleet.score(code, found, per_case=limits)
        about = {"status": judged.status, "cases": [case.status for case in judged.cases]}
        why = next((case.message for case in judged.cases if case.status != "passed"), "")
        if judged.status == "infrastructure":
            return Score.unscored(reason="infrastructure", answer=code, explanation=why, metadata=about)
        value = CORRECT if judged.passed else INCORRECT
        return Score(value=value, answer=code, explanation=why, metadata=about)

    return cast("Scorer", score)


def _cases(metadata: Mapping[str, Any], target: Target) -> Sequence[Case]:
    return cases_of(metadata) or (Case(stdin=str(metadata.get("stdin", "")), stdout=target.text),)
