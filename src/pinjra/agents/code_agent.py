"""CodeAgent: a model that acts by writing Python, run in an executor of any kind."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copy import copy
from functools import partial
from typing import ClassVar, Literal, Unpack, cast

from pinjra.agents.agent import Agent, AgentOptions
from pinjra.agents.approval import Refuse, Replace, decided
from pinjra.agents.errors import AgentError, AgentExecutionError
from pinjra.agents.extract import extract_code
from pinjra.agents.memory.observation import describe_execution
from pinjra.agents.memory.steps import ActionStep, TaskStep
from pinjra.agents.prompts.box_text import access_of, import_words
from pinjra.agents.prompts.examples import IS_IT_DONE, example_turns
from pinjra.agents.prompts.templates import render, shipped
from pinjra.agents.run.completion import ask, check_complete, fresh_temperature
from pinjra.agents.run.loop import conversation
from pinjra.agents.run.sessions import RunSession
from pinjra.agents.run.state import Run
from pinjra.agents.run.tools import granted
from pinjra.agents.run.waiting import interrupting
from pinjra.core.errors import ConfigurationError, PinjraError, SessionLost
from pinjra.core.events import CodeReady, OutputText
from pinjra.core.execution import Execution, GuestError, error_line
from pinjra.core.limits import Limits
from pinjra.core.values import Opaque
from pinjra.executors.base import PythonExecutor
from pinjra.executors.parameters import constructor_parameters
from pinjra.executors.registry import create_executor, default_executor, executor_class
from pinjra.guard.imports import DEFAULT_AUTHORIZED
from pinjra.models.base import ChatMessage, Completion, Model, ToolCall
from pinjra.models.code_text import MARKDOWN_TAGS, Action, shown_call
from pinjra.tools.base import Tool
from pinjra.tools.library.final_answer import FinalAnswerTool

_BEGUN = "```python\n"
_SCHEMA = {
    "type": "object",
    "properties": {"thought": {"type": "string"}, "code": {"type": "string"}},
    "required": ["thought", "code"],
    "additionalProperties": False,
}


class CodeAgent(Agent):
    """An agent that writes Python. Tools and managed agents are functions in its code; they run on the host.

    Args:
        additional_authorized_imports: Modules that the code may import besides the default list.
        executor_type: "jail" (the default on Linux), "local", "docker", "e2b", … or any name of the registry.
        executor_kwargs: Further parameters of the executor (`limits`, …).
        executor: An executor to use, whose variables and end are the caller's; or a function that makes one a run.
        code_block_tags: What code stands between in the prompt: "markdown" or two texts. All usual wrappers are understood.
        show_images: Show the model images that code displays; None: where the run's task came with images, as models that
            read text only refuse them.
        use_structured_outputs_internally: Ask for {"thought", "code"} by JSON schema.
        options: As `Agent`: tools, model, instructions, managed_agents, max_steps, …
    """

    default_template: ClassVar[str] = "code"
    small_template: ClassVar[str | None] = "small"
    runs_code: ClassVar[bool] = True
    example_turns = staticmethod(example_turns)

    def __init__(
        self,
        tools: Iterable[Tool | Callable[..., object]] = (),
        model: Model | None = None,
        *,
        additional_authorized_imports: Iterable[str] | None = None,
        executor: PythonExecutor | Callable[[], PythonExecutor] | None = None,
        executor_type: str | None = None,
        executor_kwargs: Mapping[str, object] | None = None,
        code_block_tags: tuple[str, str] | Literal["markdown"] | None = None,
        use_structured_outputs_internally: bool = False,
        show_images: bool | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        self.use_structured_outputs_internally = use_structured_outputs_internally
        self.show_images = show_images
        super().__init__(tools, model, **options)
        self.additional_authorized_imports = list(additional_authorized_imports or ())
        self.code_block_tags = _tags(code_block_tags)
        self.executor_type = executor_type
        self.executor_kwargs = dict(executor_kwargs or {})
        self.executor = executor
        if executor is None:
            self.executor_type = default_executor() if executor_type is None else executor_type
            # An unknown name or parameter, or a missing SDK, is told now, not in the first run.
            cls = executor_class(self.executor_type)
            constructor_parameters(cls).check(cls.__name__, (), self.executor_kwargs)
        elif not isinstance(executor, PythonExecutor) and not callable(executor):
            raise ConfigurationError(f"executor must be a PythonExecutor or a function, not {executor!r}")

    def __setstate__(self, state: dict[str, object]) -> None:
        super().__setstate__(state)
        if isinstance(vars(self).setdefault("executor", None), PythonExecutor):
            self.executor = None

    # ------------------------------------------------------------------ the session

    def open_session(self) -> RunSession | None:
        """Return a fresh executor session, or the one around the given executor."""
        if isinstance(self.executor, PythonExecutor):
            return RunSession(self.executor, owned=False)
        options = self.session_options()
        return RunSession((self.executor or self._create)(), owned=True, made_with=options)

    def session_options(self) -> object:
        """Return what executors are made with now; lists and dicts as they are, since they may be changed in their place."""
        given = {
            name: copy(value) if isinstance(value, list | dict | set) else value
            for name, value in self.executor_kwargs.items()
        }
        return self.executor, self.executor_type, given, list(self.additional_authorized_imports)

    def disk_bytes(self) -> float | None:
        """Return what the executor's limits give to files."""
        given = self._given
        limits = getattr(given, "limits", None) if given else self.executor_kwargs.get("limits")
        return limits.disk_bytes if isinstance(limits, Limits) else Limits().disk_bytes

    def bind_session(self, run: Run) -> None:
        """Give the session this run's tools and variables, and take its output."""
        executor = _executor_of(run)
        executor.on_output = lambda stream, text: run.emit(OutputText, stream=stream, text=text)
        session = cast("RunSession", run.session)
        session.grant({name: tool.host_function() for name, tool in granted(run).items()})
        variables = self.state | run.options.variables
        if variables:
            executor.send_variables(variables)

    @property
    def python_executor(self) -> PythonExecutor | None:
        """Return the given executor, that of the last run, or before the first one that of the run to come."""
        return self._given or self.last_runs.executor(self.open_session, lambda: self.system_prompt)

    @property
    def _given(self) -> PythonExecutor | None:
        return self.executor if isinstance(self.executor, PythonExecutor) else None

    def callables(self) -> dict[str, Callable[..., object]]:
        """Return what code may call; the plain `final_answer` is the executor's own."""
        tools = {name: tool for name, tool in self.tools.items() if type(tool) is not FinalAnswerTool}
        return {**tools, **self.managed_agents}

    @property
    def authorized_imports(self) -> list[str]:
        """Return the modules that code may import: the default list's and the additional ones."""
        return sorted({*DEFAULT_AUTHORIZED, *self.additional_authorized_imports})

    def _create(self) -> PythonExecutor:
        name = self.executor_type or default_executor()
        options = dict(self.executor_kwargs)
        if "protected" in inspect.signature(executor_class(name).__init__).parameters:
            options.setdefault("protected", (*self.callables(), "final_answer"))
        return create_executor(
            name, additional_authorized_imports=self.additional_authorized_imports, executor_kwargs=options
        )

    # ------------------------------------------------------------------ the prompt

    def _template_name(self) -> str:
        if self.use_structured_outputs_internally and not self.is_small:
            return "structured"
        return super()._template_name()

    def prompt_variables(self) -> dict[str, object]:
        """Return what prompt templates may name."""
        # Of an executor that a function makes, nothing is known before it is there.
        box = self._given or (PythonExecutor if self.executor else executor_class(str(self.executor_type)))
        access = access_of(box, self.executor_kwargs)
        common = super().prompt_variables()
        return common | {
            "authorized_imports": import_words(
                box, self.executor_kwargs, self.additional_authorized_imports, access
            ),
            "box_lines": render(shipped("box_lines"), tools=common["tools"], access=access).splitlines(),
            "code_block_opening_tag": self.code_block_tags[0],
            "code_block_closing_tag": self.code_block_tags[1],
        }

    # ------------------------------------------------------------------ a step

    async def act(self, run: Run, step: ActionStep) -> None:
        """Ask for code, have it approved, run it, observe."""
        done = await self._ask(run)
        step.model_output, step.token_usage = done.text, done.usage
        check_complete(done)
        action = self._extracted(done)
        step.thought, step.code_action = action.thought, action.code
        code = await self._approved(run, action.code)
        step.code_action, step.tool_calls = code, (_call_of(code, step.step_number),)
        run.emit(CodeReady, code=code, thought=action.thought)
        run.note("code", code=code)
        execution = await self._executed(run, code + shown_call(code, run.callables))
        self._observed(run, step, execution)

    async def _ask(self, run: Run) -> Completion:
        messages = await conversation(run)
        if self.is_small:
            messages.append(ChatMessage(role="assistant", content=_BEGUN))
            return await ask(run, messages, stop=("```",), temperature=fresh_temperature(run))
        schema = _SCHEMA if self.use_structured_outputs_internally else None
        closing = () if self.code_block_tags == MARKDOWN_TAGS else (self.code_block_tags[1],)
        stop = () if schema else ("\nObservation:", *closing)  # models like to write the outcome themselves
        return await ask(
            run, messages, stop=stop, response_schema=schema, temperature=run.options.temperature
        )

    def _extracted(self, done: Completion) -> Action:
        # it goes on where "```python" began
        if self.is_small and "```" not in done.text and done.text.strip():
            return Action(thought="", code=done.text.strip("\n").rstrip())
        structured = self.use_structured_outputs_internally
        return extract_code(done.text, self.code_block_tags, structured=structured)

    async def _approved(self, run: Run, code: str) -> str:
        """Return the code as the `before_run` hook allows it."""
        hook = run.hook("before_run")
        decision = decided(await run.waits.result(hook(code, self))) if hook else None
        if isinstance(decision, Refuse):
            run.note("refusal", code=code, reason=decision.reason)
            raise AgentExecutionError(f"this code was not run, it was refused: {decision.reason}")
        if isinstance(decision, Replace):
            run.note("replaced", code=code)
            return str(decision.value)
        return code

    async def _executed(self, run: Run, code: str) -> Execution:
        executor = _executor_of(run)
        try:
            with interrupting(executor.interrupt, run.stop):
                on_loop = run.options.loop is not None
                return await executor.arun(code) if on_loop else executor.run(code)
        except SessionLost as lost:
            run.stop.check()
            await self._replace_session(run, lost)
            raise AgentExecutionError(
                f"the Python session was lost ({lost}) and a new one was started: all variables but the given ones "
                "are gone, define them again"
            ) from lost

    async def _replace_session(self, run: Run, lost: SessionLost) -> None:
        """Open a new session after a lost one, once in a row and only where the agent makes them itself."""
        session = run.session
        if session is None or not session.owned or run.failures >= _LOST_IN_A_ROW:
            raise lost
        await run.waits.do(partial(self._open_again, run, session))
        if run.session is not None:
            await run.session.acquire(run.waits)
        await run.waits.do(partial(self.bind_session, run))

    def _open_again(self, run: Run, lost: RunSession) -> None:
        with suppress(PinjraError):  # it is gone already
            lost.close()
        run.session = self.open_session()

    def _images(self, run: Run, execution: Execution) -> tuple[bytes, ...]:
        """Return the displayed images that the model is to see."""
        if self.show_images is False or (self.show_images is None and not _task_has_images(run)):
            return ()
        return tuple(a.data for a in execution.artifacts if a.media_type in ("image/png", "image/jpeg"))

    def _observed(self, run: Run, step: ActionStep, execution: Execution) -> None:
        """Write into the step what came of the code.

        Raises:
            AgentExecutionError: The code failed; what it printed is kept.
        """
        step.notes, step.artifacts = execution.notes, execution.artifacts
        run.files.update(execution.files)
        run.artifacts += execution.artifacts
        step.action_output = execution.value
        step.observations = describe_execution(execution)
        step.observations_images = self._images(run, execution)
        if execution.error is not None:
            run.stop.check()
            error = execution.error
            if error.cause is not None:
                run.note("limit", limit=error.cause.value, message=str(error))
            raise AgentExecutionError(_failure(error))
        if _is_coroutine(execution.value) and (execution.is_final_answer or execution.value is not None):
            raise AgentExecutionError(_not_awaited(execution))
        step.is_final_answer = execution.is_final_answer
        # a small model would write the same again until its steps are used up
        if self.is_small and not step.is_final_answer:
            step.observations += f"\n{IS_IT_DONE}"


def _not_awaited(execution: Execution) -> str:
    where = "final_answer was given" if execution.is_final_answer else "the last line is"
    value = cast("Opaque", execution.value)
    if value.type == "Unawaited":  # a call of a tool that was made all the same, and failed
        return f"{where} {value.repr.strip('<>')}"
    return f"{where} a coroutine that nobody awaited, so there is no value yet: write `await` before the call"


def _is_coroutine(value: object) -> bool:
    return isinstance(value, Opaque) and value.type in (
        "coroutine",
        "async_generator",
        "Task",
        "Future",
        "Unawaited",
    )


def _task_has_images(run: Run) -> bool:
    return any(isinstance(step, TaskStep) and step.task_images for step in run.memory.steps)


_LOST_IN_A_ROW = 2  # lost sessions after which the host's or provider's fault is raised


_ROLLED_BACK = "as they were before this step"


def _failure(error: GuestError) -> str:
    """Return the words for a failed execution: error, where, what to do, and what became of the variables."""
    parts = [str(error)]
    frames = error.traceback.strip().removesuffix(error_line(error.type, error.message)).rstrip()
    if frames != f"line {error.line}: {error.source_line}":  # else it is said already
        parts.append(frames)
    if error.rolled_back and _ROLLED_BACK not in parts[0]:
        parts.append(f"The variables are {_ROLLED_BACK}.")
    if error.state_lost:
        parts.append("All variables are gone: define them again.")
    return "\n".join(filter(None, parts))


def _call_of(code: str, number: int) -> ToolCall:
    """Return code as the call that users of smolagents look for; what it is called with is the code itself."""
    arguments = cast("dict[str, object]", code)
    return ToolCall(id=f"call_{number}", name="python_interpreter", arguments=arguments)


def _executor_of(run: Run) -> PythonExecutor:
    if run.session is None:
        raise AgentError("this run has no executor session")
    return run.session.executor


def _tags(tags: tuple[str, str] | str | None) -> tuple[str, str]:
    if tags is None or tags == "markdown":
        return MARKDOWN_TAGS
    if (
        isinstance(tags, tuple | list)
        and len(tags) == 2
        and all(isinstance(tag, str) and tag for tag in tags)
    ):
        return cast("tuple[str, str]", tuple(tags))
    raise ConfigurationError(f'code_block_tags must be "markdown" or two texts, not {tags!r}')
