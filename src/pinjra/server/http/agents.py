"""Agents over HTTP, below /v1: tasks given to the agents of the settings, their events as they come, and a person's word."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any, Literal

from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse
from starlette.responses import JSONResponse, Response

from pinjra.core.errors import ConfigurationError
from pinjra.core.files import given_files
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import Forbidden, NotFound
from pinjra.server.http.hub import new_name
from pinjra.server.http.operations import Operation, StrictAnswer
from pinjra.server.http.requests import StrictBody, decoded_files
from pinjra.server.http.results import attachment
from pinjra.server.http.settings import AgentSettings, ServeSettings
from pinjra.server.runs.ag_ui import ag_ui_events
from pinjra.server.runs.note import Approval, RunFacts, RunNote
from pinjra.server.runs.run import AgentRun

_PING_SECONDS = 15
_LISTED = 200  # runs in one answer


class TaskRequest(StrictBody):
    """A task for an agent. `files` are base64. With `stream` the answer is the run's events."""

    task: str = Field(min_length=1, max_length=1 << 20)
    files: dict[str, str] = Field(default_factory=dict)
    variables: dict[str, Any] = Field(default_factory=dict)
    approval: Approval = ""
    max_steps: int | None = Field(default=None, gt=0)
    executor: str | None = None
    model: str | None = None
    tools: list[str] | None = Field(default=None, max_length=100)
    stream: bool = False
    format: Literal["pinjra", "ag-ui"] = "pinjra"


class DecisionRequest(StrictBody):
    """A person's word on what waits for it."""

    decision: Literal["approve", "refuse", "edit"]
    reason: str = Field(default="", max_length=10_000)
    code: str | None = None
    arguments: dict[str, Any] | None = None


class GoOnRequest(StrictBody):
    """Go on: with the same task, or a further one. `approval` is what waits from now on."""

    task: str = Field(default="", max_length=1 << 20)


class ApprovalRequest(StrictBody):
    """What waits for a person from now on."""

    approval: Approval


class BranchRequest(StrictBody):
    """A step whose code is another one from now on; with `goes_on` the agent goes on after it."""

    step: int = Field(gt=0)
    code: str = Field(max_length=16 << 20)
    goes_on: bool = True


class SavedRun(BaseModel):
    """A run's steps, as `pinjra replay` and `agent.resume` read them."""

    format: Literal["pinjra.memory"]
    version: int
    steps: list[dict[str, Any]]


class AgentAnswer(StrictAnswer):
    """An agent of the settings."""

    name: str
    description: str
    model: str
    tools: list[str]
    managed_agents: list[str]
    executor: str
    max_steps: int
    approval: Literal["", "code", "tools", "all"]


class AgentsAnswer(StrictAnswer):
    """The agents that tasks can be given to, and what a task may choose."""

    agents: list[AgentAnswer]
    models: list[str]
    executors: list[str]


class WrittenFile(StrictAnswer):
    """A file that a run's code wrote."""

    name: str
    size: int


class AgentRunAnswer(RunFacts):
    """A run of an agent.

    `waiting` are the questions that wait for a person, `snapshots` the steps that a branch can begin at, `session` its session
    where that is still open.
    """

    files: list[WrittenFile]
    session: str | None
    waiting: list[str]
    snapshots: list[int]


class AgentRunsAnswer(StrictAnswer):
    """The tenant's runs, the newest first."""

    runs: list[AgentRunAnswer]


def _configured(settings: ServeSettings, name: str) -> AgentSettings:
    try:
        return settings.agents[name]
    except KeyError:
        raise NotFound(f"there is no agent {name[:100]!r}") from None


def _least(wanted: Approval, settings: AgentSettings) -> Approval:
    """Return what waits for a person: what the client asks, and always what the settings say."""
    said = settings.approval
    always: Approval = ("code" if said else "") if isinstance(said, bool) else said
    both = {wanted, always} - {""}
    return "all" if len(both) > 1 or "all" in both else next(iter(both), "")


# ---------------------------------------------------------------- agents and runs


async def list_agents(request: Asked) -> dict[str, Any]:
    """List the agents that tasks can be given to, and what a task may choose."""
    settings = request.settings
    agents = [
        {
            "name": name,
            "description": agent.description,
            "model": agent.model,
            "tools": agent.tools,
            "managed_agents": agent.managed_agents,
            "executor": agent.executor or settings.executor,
            "max_steps": agent.max_steps,
            "approval": _least("", agent),
        }
        for name, agent in settings.agents.items()
    ]
    models = sorted({agent.model for agent in settings.agents.values() if agent.model})
    offered = list(dict.fromkeys((settings.executor, *settings.executors)))
    return {"agents": agents, "models": models, "executors": offered}


async def create_run(request: Asked, wanted: TaskRequest) -> Response:
    """Give an agent a task."""
    tenant, settings, name = request.tenant, request.settings, request.path_params["agent"]
    agent = _configured(settings, name)
    if wanted.executor not in (None, settings.executor, *settings.executors):
        raise Forbidden(f"executor {wanted.executor!r} is not offered here")
    if wanted.model not in (None, *(each.model for each in settings.agents.values())):
        raise Forbidden(f"model {wanted.model!r} is not offered here")
    if not set(wanted.tools or ()) <= set(agent.tools):
        raise Forbidden(
            f"agent {name!r} has the tools {', '.join(agent.tools) or 'of its own only'}, no others"
        )
    files = given_files(decoded_files(wanted.files), tenant.quota.disk_bytes)
    record = RunNote(
        id=new_name(),
        tenant=tenant.name,
        agent=name,
        task=wanted.task,
        approval=_least(wanted.approval, agent),
        executor=wanted.executor,
        model=wanted.model,
        tools=wanted.tools,
    )
    run = await request.runs.start(tenant, record, files, wanted.max_steps, wanted.variables)
    where = {"Location": f"/v1/runs/{record.id}"}
    if wanted.stream:
        return _stream(run, 0, is_ag_ui=wanted.format == "ag-ui", headers=where)
    return JSONResponse(run.described(), 201, where)


async def list_runs(request: Asked) -> dict[str, Any]:
    """List the tenant's runs, the newest first."""
    return _listed(request.runs.of(request.tenant))


async def list_agents_runs(request: Asked) -> dict[str, Any]:
    """List the tenant's runs of one agent, the newest first."""
    name = request.path_params["agent"]
    _configured(request.settings, name)
    return _listed([run for run in request.runs.of(request.tenant) if run.record.agent == name])


def _listed(runs: list[AgentRun]) -> dict[str, Any]:
    return {"runs": [run.described() for run in runs[:_LISTED]]}


async def show_run(request: Asked) -> dict[str, Any]:
    """Describe a run."""
    return request.run.described()


async def remove_run(request: Asked) -> None:
    """End a run and forget it."""
    await request.runs.remove(request.run)


# ---------------------------------------------------------------- events


async def run_events(request: Asked) -> Response:
    """Send a run's events from the beginning, or after the number in `Last-Event-ID` or `after`, until it ends."""
    run = request.run
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    if not (given.isascii() and given.isdigit() and len(given) < 16):
        raise ConfigurationError("the number of an event is digits")
    run.log.check(int(given))
    return _stream(run, int(given), is_ag_ui=request.query_params.get("format") == "ag-ui")


def _stream(
    run: AgentRun, after: int, *, is_ag_ui: bool, headers: dict[str, str] | None = None
) -> EventSourceResponse:
    events = _ag_ui(run, after) if is_ag_ui else _own(run, after)
    return EventSourceResponse(events, ping=_PING_SECONDS, headers=headers)


async def _own(run: AgentRun, after: int) -> AsyncIterator[dict[str, str]]:
    async for number, line in run.log.follow(after):
        yield {"id": str(number), "event": json.loads(line)["event"], "data": line}
    yield {"event": "end", "data": json.dumps(run.described())}


async def _ag_ui(run: AgentRun, after: int) -> AsyncIterator[dict[str, str]]:
    async for number, line in run.log.follow(after):
        made = ag_ui_events(json.loads(line))
        for event in made:
            identified = {"id": str(number)} if event is made[-1] else {}
            yield {**identified, "data": json.dumps(event)}


# ---------------------------------------------------------------- steering


async def decide(request: Asked, wanted: DecisionRequest) -> None:
    """Approve, refuse or edit what waits for a person."""
    request.run.decide(request.path_params["key"], **wanted.model_dump())


async def set_approval(request: Asked, wanted: ApprovalRequest) -> dict[str, Any]:
    """Say what waits for a person from now on; never less than the settings say."""
    run = request.run
    run.record.approval = _least(wanted.approval, _configured(request.settings, run.record.agent))
    return run.described()


async def interrupt_run(request: Asked) -> None:
    """Stop a run; its session stays."""
    await request.hub.call(request.run.interrupt)


async def go_on(request: Asked, wanted: GoOnRequest) -> dict[str, Any]:
    """Go on with a run that has ended."""
    await request.runs.go_on(request.tenant, request.run, wanted.task)
    return request.run.described()


async def create_branch(request: Asked, wanted: BranchRequest) -> Response:
    """Begin a run with other code for one step, in a fork of the session as it was then."""
    branch = await request.runs.branch(request.tenant, request.run, **wanted.model_dump())
    return JSONResponse(branch.described(), 201, {"Location": f"/v1/runs/{branch.record.id}"})


# ---------------------------------------------------------------- what came of it


async def run_file(request: Asked) -> Response:
    """Return a file that the run's code wrote, as an attachment."""
    return attachment(request.run.file(request.path_params["name"]))


async def run_memory(request: Asked) -> Response:
    """Return the run's steps, as `pinjra replay` and `agent.resume` read them."""
    headers = {"Content-Disposition": 'attachment; filename="run.json"', "X-Content-Type-Options": "nosniff"}
    return Response(request.run.memory().to_json(), media_type="application/json", headers=headers)


_A, _R = "/v1/agents/{agent}", "/v1/runs/{run}"
_RUN = AgentRunAnswer
OPERATIONS = (
    Operation(method="GET", path="/v1/agents", endpoint=list_agents, answer=AgentsAnswer),
    Operation(method="POST", path=_A + "/runs", endpoint=create_run, body=TaskRequest, answer=_RUN, status=201, streams=True),
    Operation(method="GET", path=_A + "/runs", endpoint=list_agents_runs, answer=AgentRunsAnswer),
    Operation(method="GET", path="/v1/runs", endpoint=list_runs, answer=AgentRunsAnswer),
    Operation(method="GET", path=_R, endpoint=show_run, answer=_RUN),
    Operation(method="DELETE", path=_R, endpoint=remove_run, status=204),
    Operation(method="GET", path=_R + "/events", endpoint=run_events, streams=True),
    Operation(method="POST", path=_R + "/decisions/{key}", endpoint=decide, body=DecisionRequest, status=204),
    Operation(method="PUT", path=_R + "/approval", endpoint=set_approval, body=ApprovalRequest, answer=_RUN),
    Operation(method="POST", path=_R + "/interrupt", endpoint=interrupt_run, status=204),
    Operation(method="POST", path=_R + "/resume", endpoint=go_on, body=GoOnRequest, answer=_RUN),
    Operation(method="POST", path=_R + "/branches", endpoint=create_branch, body=BranchRequest, answer=_RUN, status=201),
    Operation(method="GET", path=_R + "/memory", endpoint=run_memory, answer=SavedRun),
    Operation(method="GET", path=_R + "/files/{name:file}", endpoint=run_file, answer=bytes),
)  # fmt: skip
