"""What the native API answers, as models: the OpenAPI description is made from these, and the property test holds us to them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

__all__ = [
    "AgentRunAnswer",
    "AgentRunsAnswer",
    "AgentsAnswer",
    "ExecutorsAnswer",
    "FilesAnswer",
    "ForkAnswer",
    "OpenedAnswer",
    "ProgramAnswer",
    "RunAnswer",
    "SessionAnswer",
    "SessionsAnswer",
    "StreamAnswer",
    "TableAnswer",
    "VariablesAnswer",
]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class GuaranteesAnswer(_Answer):
    """What a session enforces and by which mechanism; "" where it does not."""

    boundary: Literal["kernel", "container", "vm", "wasm", "remote", "none"]
    isolation: list[str]
    memory: str
    wall: str
    cpu: str
    operations: str
    disk: str
    processes: str
    network: str
    files: str
    rollback: str
    fork: str
    missing: list[str]


class SessionAnswer(_Answer):
    """An open session."""

    id: str
    executor: str
    started: float
    idle_seconds: float
    in_use: bool


class OpenedAnswer(SessionAnswer):
    """An open session with what it enforces; where it is asked for, also what a run may use."""

    guarantees: GuaranteesAnswer
    limits: dict[str, float | None] = {}


class SessionsAnswer(_Answer):
    """The tenant's open sessions, the oldest first."""

    sessions: list[SessionAnswer]


class ForkAnswer(_Answer):
    """A stream that was forked from another one."""

    id: str


class StreamAnswer(_Answer):
    """A box whose stream is at the WebSocket `/v1/streams/ID`; the last four are what a host says to its worker."""

    id: str
    idle_seconds: float
    scratch: str
    links: list[Any]
    environment: list[Any]
    modules: list[str]


class GuestErrorAnswer(_Answer):
    """How guest code failed."""

    kind: str
    type: str
    message: str
    line: int | None
    source_line: str | None
    traceback: str
    hint: str | None
    cause: str | None
    rolled_back: bool
    state_lost: bool


class UsageAnswer(_Answer):
    """What a run used; null where the executor cannot tell."""

    wall_seconds: float
    tool_seconds: float
    cpu_seconds: float | None
    operations: int | None
    memory_peak_bytes: int | None
    output_bytes: int
    tool_calls: int


class ArtifactAnswer(_Answer):
    """Something to look at. `data` is base64."""

    media_type: str
    name: str
    data: str


class RunAnswer(_Answer):
    """Everything that came of a run.

    `files` has name -> size of those that it wrote, `status` the exit status of a program in another language.
    """

    value: Any
    stdout: str
    stderr: str
    error: GuestErrorAnswer | None
    artifacts: list[ArtifactAnswer]
    usage: UsageAnswer
    is_final_answer: bool
    notes: list[str]
    status: int | None
    files: dict[str, int]


class ProgramAnswer(_Answer):
    """How a program ended; a negative `returncode` is the signal that ended it."""

    returncode: int | None
    stdout: str
    stderr: str


class FilesAnswer(_Answer):
    """Name -> size in bytes."""

    files: dict[str, int]


class ExecutorsAnswer(_Answer):
    """What a session may ask for."""

    default: str
    executors: list[str]


class AgentAnswer(_Answer):
    """An agent of the settings."""

    name: str
    description: str
    model: str
    tools: list[str]
    managed_agents: list[str]
    executor: str
    max_steps: int
    approval: Literal["", "code", "tools", "all"]


class AgentsAnswer(_Answer):
    """The agents that tasks can be given to, and what a task may choose."""

    agents: list[AgentAnswer]
    models: list[str]
    executors: list[str]


class WrittenFile(_Answer):
    """A file that a run's code wrote."""

    name: str
    size: int


class AgentRunAnswer(_Answer):
    """A run of an agent.

    `waiting` are the questions that wait for a person, `snapshots` the steps that a branch can begin at, `session` its session
    where that is still open.
    """

    id: str
    agent: str
    task: str
    approval: Literal["", "code", "tools", "all"]
    state: Literal["running", "success", "max_steps_error", "budget_error", "interrupted", "error"]
    started: float
    ended: float | None
    seconds: float
    steps: int
    input_tokens: int
    output_tokens: int
    money: float
    error: str
    parent: str | None
    branch_step: int | None
    executor: str | None
    model: str | None
    tools: list[str] | None
    files: list[WrittenFile]
    session: str | None
    waiting: list[str]
    snapshots: list[int]


class AgentRunsAnswer(_Answer):
    """The tenant's runs, the newest first."""

    runs: list[AgentRunAnswer]


class VariableAnswer(_Answer):
    """A variable of a session, as the guest tells of it."""

    name: str
    type: str
    size: str
    text: str
    is_table: bool


class VariablesAnswer(_Answer):
    """A session's variables."""

    variables: list[VariableAnswer]


class TableAnswer(_Answer):
    """Rows of a table, each with its index first, and how many there are in all."""

    columns: list[str]
    rows: list[list[str]]
    total: int
