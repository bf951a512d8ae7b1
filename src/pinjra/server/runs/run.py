"""One run of an agent in a service: its folder, its thread's events, its questions to a person, its snapshots."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pinjra.agents.agent import Agent
from pinjra.agents.approval import Decision, Refuse, Replace, decided
from pinjra.agents.memory.json import MEMORY_VERSION
from pinjra.agents.memory.memory import AgentMemory
from pinjra.agents.memory.steps import step_to_data
from pinjra.agents.run.driver import execute
from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.state import CURRENT_RUN, Run
from pinjra.core import events as e
from pinjra.core.coroutines import at_once
from pinjra.core.errors import ConfigurationError, PinjraError
from pinjra.core.execution import Artifact
from pinjra.core.json_data import plain
from pinjra.core.redaction import settled
from pinjra.executors.base import PythonExecutor
from pinjra.server.http.errors import NotFound
from pinjra.server.runs.events import record_of
from pinjra.server.runs.log import RunLog
from pinjra.server.runs.note import RunNote, State

if TYPE_CHECKING:
    from pinjra.server.http.hub import Held

_MERGE_SECONDS = 0.03  # text that comes within so long is one event: a model writes a word at a time
_HOLD_SECONDS = 0.5  # without more, for the rest of a word, which may be a secret's
_TEXT = 100_000  # characters of one text event
_SNAPSHOTS = 4  # sessions kept as they were before each of the last steps
_NO_DECISION = "answer with approve, refuse (and a reason) or edit (and the new code or arguments)"
_ENDINGS = {
    "image/png": "png",
    "image/jpeg": "jpg",
    "image/gif": "gif",
    "image/webp": "webp",
    "image/svg+xml": "svg",
    "text/html": "html",
}


class AgentRun:
    """A run, live or of the past.

    Attributes:
        held: Its session among those of the service; None where it has none, or where that is closed.
        first_code: Code that a person wrote for the first step: it needs no approval.
        stops_after_step: End after the first step.
        charge: Told the seconds that code ran, step by step, tool calls left out.
        refusal: Says why no more code may run; "" where it may.
    """

    def __init__(self, folder: Path, record: RunNote) -> None:
        self.folder = folder
        self.record = record
        self.log = RunLog(folder / "events.jsonl")
        self.agent: Agent | None = None
        self.held: Held | None = None
        self.first_code: str | None = None
        self.stops_after_step = False
        self.charge: Callable[[float], None] = lambda seconds: None
        self.refusal: Callable[[], str] = str
        self._began: dict[str, float] = {}  # run -> when its code began, moved on by what tools took
        self.snapshots: dict[int, PythonExecutor] = {}
        self.task: asyncio.Task[None] | None = None  # that drives it, while it goes on
        self._stops = False  # also where its thread has not begun yet
        self._waiting: dict[str, Callable[[Decision], None]] = {}
        self._text: e.ModelDelta | e.OutputText | None = None  # the text event that may still grow
        self._pieces: list[str] = []  # of its text
        self._timer: threading.Timer | None = None
        self._is_holding = False  # it waits for the rest of a word
        self._lock = threading.RLock()
        self._written_steps: int | None = None  # of `steps.jsonl`; None: nobody has counted them yet
        self._hooked: Agent | None = None

    # ------------------------------------------------------------ what is known of it

    @property
    def is_live(self) -> bool:
        """Return whether it goes on at this moment."""
        return self.record.state == "running"

    def described(self) -> dict[str, Any]:
        """Return what a client is told of it."""
        return self.record.model_dump(exclude={"tenant"}) | {
            "files": [{"name": name, "size": size} for name, size in self.record.files],
            "session": self.held.id if self.held else None,
            "waiting": sorted(self._waiting),
            "snapshots": sorted(self.snapshots),
        }

    def save(self) -> None:
        """Write `run.json`."""
        new = self.folder / "run.json.new"
        new.write_text(self.record.model_dump_json(), encoding="utf-8")
        os.replace(new, self.folder / "run.json")

    def memory(self) -> AgentMemory:
        """Return the steps so far.

        Raises:
            ConfigurationError: No step was recorded.
        """
        try:
            lines = (self.folder / "steps.jsonl").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise ConfigurationError("this run has no steps") from None
        head = f'"format": "pinjra.memory", "version": {MEMORY_VERSION}'
        return AgentMemory.from_json(f'{{{head}, "steps": [{",".join(lines)}]}}')

    def file(self, name: str) -> bytes:
        """Return a file that its code wrote.

        Raises:
            NotFound: There is none of that name.
        """
        for number, (known, _) in enumerate(self.record.files):
            if known == name:
                return (self.folder / "files" / str(number)).read_bytes()
        raise NotFound(f"this run has no file {name[:100]!r}")

    # ------------------------------------------------------------ a thread of its own

    def work(self, options: RunOptions) -> None:
        """Drive the agent until the run ends; in a thread. Whatever happens stands in the record."""
        agent = self.agent
        assert agent is not None  # noqa: S101 (whoever starts a run has set it)
        self._hook(agent)
        try:
            result, _ = at_once(execute(agent, options, self.take))
        except Exception as error:  # before the first event: the session, the files
            self.end("error", f"{type(error).__name__}: {error}")
            return
        self._keep_files(result)
        self._write_steps(result.memory)
        self.record.state = result.state
        self.record.error = result.error
        self.save()

    def take(self, event: e.Event) -> None:
        """Write an event; called from the run's threads."""
        if self._stops and isinstance(event, e.RunStarted) and self.agent is not None:
            self.agent.interrupt()
        if isinstance(event, e.ModelDelta | e.OutputText):
            self._take_text(event)
            return
        record = record_of(event, self._keep)
        self._measure(event)
        if event.depth == 0:
            self._note(event, record)
        with self._lock:
            self._flush()
            self.log.append(record)

    def end(self, state: State, error: str) -> None:
        """Write the end of a run that cannot write it itself."""
        with self._lock:
            self._flush()
            where: dict[str, Any] = {"run_id": self.record.id, "agent": self.record.agent, "depth": 0}
            self.log.append(record_of(e.RunFinished(**where, state=state, error=error), self._keep))
        self.record.state, self.record.error, self.record.ended = state, error, time.time()
        self.save()

    def begin(self) -> None:
        """Note that it goes on from now."""
        self._stops = False
        self.record.state, self.record.ended, self.record.error = "running", None, ""
        self.log.open()
        self.save()

    def interrupt(self) -> None:
        """Stop it, at once."""
        self._stops = True
        if self.agent is not None:
            self.agent.interrupt()

    def forget_session(self) -> None:
        """Note that the session is closed, and close what was kept of it."""
        self.held = None
        kept, self.snapshots = list(self.snapshots.values()), {}
        for executor in kept:
            executor.close()

    def _take_text(self, event: e.ModelDelta | e.OutputText) -> None:
        with self._lock:
            if self._text is None or replace(event, text="") != self._text:
                self._flush()
                self._text = replace(event, text="")
            self._pieces.append(event.text)
            if len(self._pieces) == 1 or self._is_holding:
                self._call_later(_MERGE_SECONDS, self._show)

    def _show(self) -> None:
        """Write the text that has come, but for what may be half a secret: of two halves neither is known for one."""
        with self._lock:
            if self._text is None:
                return
            text = "".join(self._pieces)
            at = settled(text)
            self._append_text(text[:at])
            self._pieces = [text[at:]] if text[at:] else []
            if self._pieces:
                self._call_later(_HOLD_SECONDS, self._flush)
                self._is_holding = True

    def _flush(self) -> None:
        """Write all the text that has come."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            self._append_text("".join(self._pieces))
            self._text, self._pieces = None, []

    def _append_text(self, text: str) -> None:
        while self._text is not None and text:
            at = settled(text[:_TEXT]) if len(text) > _TEXT else len(text)
            self.log.append(record_of(replace(self._text, text=text[:at]), self._keep))
            text = text[at:]

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._is_holding = False
        self._timer = threading.Timer(seconds, call)
        self._timer.daemon = True
        self._timer.start()

    def _measure(self, event: e.Event) -> None:
        """Charge the time for which code ran. Its processor time is known to executors only; a team's runs count each."""
        if isinstance(event, e.CodeReady):
            self._began[event.run_id] = time.monotonic()
        elif isinstance(event, e.ToolReturned) and event.run_id in self._began:
            self._began[event.run_id] += event.seconds
        elif isinstance(event, e.StepFinished) and (began := self._began.pop(event.run_id, None)) is not None:
            self.charge(max(time.monotonic() - began, 0.0))

    def _note(self, event: e.Event, record: dict[str, Any]) -> None:
        """Keep the figures of the outermost run, and its steps for a later one to go on with."""
        own = self.record
        own.steps = max(own.steps, event.step)
        if isinstance(event, e.StepFinished):
            own.input_tokens += event.input_tokens
            own.output_tokens += event.output_tokens
            own.money += event.money
            if self.agent is not None:
                self._write_steps(self.agent.memory)
            self.save()
            if self.stops_after_step and self.agent is not None:
                self.stops_after_step = False
                self.agent.interrupt()
        if isinstance(event, e.RunFinished):
            own.input_tokens, own.output_tokens = event.input_tokens, event.output_tokens
            own.money = event.money
            own.seconds += event.seconds
            own.ended = time.time()

    def _write_steps(self, memory: AgentMemory) -> None:
        steps = memory.all_steps
        with (self.folder / "steps.jsonl").open("a+", encoding="utf-8") as file:
            if self._written_steps is None:
                file.seek(0)
                self._written_steps = sum(1 for _ in file)
            for step in steps[self._written_steps :]:
                file.write(json.dumps(step_to_data(step), allow_nan=False) + "\n")
        self._written_steps = max(self._written_steps, len(steps))

    def _keep(self, artifact: Artifact) -> dict[str, Any]:
        """Store a picture or page under a name that nobody guesses: frames are read without a token."""
        place = self.folder / "artifacts"
        place.mkdir(exist_ok=True)
        name = f"{secrets.token_hex(16)}.{_ENDINGS.get(artifact.media_type, 'txt')}"
        (place / name).write_bytes(artifact.data)
        known = {"media_type": artifact.media_type, "name": artifact.name[:200], "size": len(artifact.data)}
        return {"frame": f"/frames/{self.record.id}/{name}", **known}

    def _keep_files(self, result: RunResult) -> None:
        place = self.folder / "files"
        place.mkdir(exist_ok=True)
        found: list[tuple[str, int]] = []
        for file in result.files.values():
            try:
                data = file.read()
            except (OSError, PinjraError):  # removed since, or the session is lost
                continue
            (place / str(len(found))).write_bytes(data)
            found.append((file.name, len(data)))
        self.record.files = found

    # ------------------------------------------------------------ a person's word

    def _hook(self, agent: Agent) -> None:
        """Put this run's questions behind the hooks that the agent has itself."""
        if self._hooked is agent:
            return
        self._hooked = agent
        before_run, before_tool = agent.before_run, agent.before_tool

        def code(code: str, who: object) -> object:
            self._snapshot(agent)
            if refusal := self.refusal():
                return Refuse(refusal)
            own = decided(_resolved(before_run(code, who))) if before_run else None
            if own is not None or not self._asks_for("code") or code == self.first_code:
                return own
            return self._ask("code", code=code)

        def tool(name: str, arguments: dict[str, object], who: object) -> object:
            own = decided(_resolved(before_tool(name, arguments, who))) if before_tool else None
            if own is not None or not self._asks_for("tools"):
                return own
            return self._ask("tool", name=name, arguments=arguments)

        agent.before_run, agent.before_tool = code, tool

    def _asks_for(self, what: str) -> bool:
        return self.record.approval in (what, "all")

    def _ask(self, kind: str, **what: Any) -> Decision:
        """Wait for a person's decision; a run that is stopped meanwhile is refused."""
        key, done, answers = secrets.token_hex(8), threading.Event(), list[Decision]()

        def answer(decision: Decision) -> None:
            answers.append(decision)
            done.set()

        run = CURRENT_RUN.get()
        where = _where(run)
        shown = {name: plain(value) for name, value in what.items()}
        self._waiting[key] = answer
        self._say("ApprovalAsked", where, {"key": key, "kind": kind, **shown})
        try:
            with run.stop.calling(lambda: answer(Refuse("the run was stopped"))) if run else nullcontext():
                done.wait()
        finally:
            self._waiting.pop(key, None)
        decision = answers[0]
        words = {Refuse: "refuse", Replace: "edit"}.get(type(decision), "approve")
        reason = decision.reason if isinstance(decision, Refuse) else ""
        self._say("ApprovalGiven", where, {"key": key, "decision": words, "reason": reason})
        return decision

    def decide(
        self, key: str, decision: str, *, reason: str, code: str | None, arguments: dict[str, Any] | None
    ) -> None:
        """Answer a question.

        Raises:
            NotFound: It is not asked, or was answered.
            ConfigurationError: This is no decision (the client's fault).
        """
        new = code if code is not None else arguments
        made: dict[str, Decision] = {"approve": None, "refuse": Refuse(reason or "a person refused it")}
        if new is not None:
            made["edit"] = Replace(new)
        if decision not in made:
            raise ConfigurationError(_NO_DECISION)
        answer = self._waiting.pop(key, None)
        if answer is None:
            raise NotFound("nobody waits for this decision; it was given, or the run has ended")
        answer(made[decision])

    def _say(self, event: str, where: dict[str, Any], details: dict[str, Any]) -> None:
        with self._lock:
            self._flush()
            self.log.append({"event": event, "time": round(time.time(), 3), **where, **details})

    def _snapshot(self, agent: Agent) -> None:
        """Keep the session as it is before a step of the outermost run, for a branch; only the last few."""
        run = CURRENT_RUN.get()
        if (
            run is None
            or run.agent is not agent
            or not agent.runs_code
            or run.session is None
            or not run.session.executor.guarantees.fork
        ):
            return
        try:
            self.snapshots[run.step_number] = run.session.executor.fork()
        except PinjraError:  # no room for one: the run goes on without
            return
        while len(self.snapshots) > _SNAPSHOTS:
            self.snapshots.pop(min(self.snapshots)).close()


def _where(run: Run | None) -> dict[str, Any]:
    if run is None:
        return {"run_id": "", "agent": "", "depth": 0, "parent": None, "step": 0}
    above = run.parent.id if run.parent else None
    return {
        "run_id": run.id,
        "agent": run.label,
        "depth": run.depth,
        "parent": above,
        "step": run.step_number,
    }


def _resolved(value: object) -> object:
    run = CURRENT_RUN.get()
    return at_once(run.waits.result(value)) if run is not None else value
