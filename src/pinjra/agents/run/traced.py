"""Runs, requests to models, plans and calls of tools -> their spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from pinjra.agents.run.options import RunOptions
from pinjra.agents.run.results import RunResult
from pinjra.agents.run.state import AgentSpec, Run
from pinjra.core.spans import Span, span
from pinjra.models.base import ChatMessage, Completion, Model, ToolOffer


@contextmanager
def traced_run(
    agent: AgentSpec, options: RunOptions
) -> Iterator[Callable[[RunResult, BaseException | None], None]]:
    """Trace an agent's run; what came of it is told to the function that is given."""

    def facts() -> dict[str, object]:
        return {"agent": agent.name, "agent_description": agent.description, **_of_model(agent.model)}

    with span("invoke_agent", agent.name or type(agent).__name__, facts) as trace:
        trace.tell("input_messages", lambda: [_message("user", options.task)])

        def ended(result: RunResult, error: BaseException | None) -> None:
            usage = result.token_usage
            trace.note(
                conversation=result.run_id,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                state=result.state,
                money=result.money or None,
            )
            trace.tell("output_messages", lambda: [_message("assistant", result.output)])
            if error is not None:
                trace.fail(type(error).__name__, str(error))

        yield ended


@contextmanager
def traced_request(
    run: Run,
    messages: Sequence[ChatMessage],
    stop: Sequence[str],
    tools: Sequence[ToolOffer],
    temperature: float | None,
) -> Iterator[Span]:
    """Trace a request to the run's model."""

    def facts() -> dict[str, object]:
        more = {
            "stop": tuple(stop),
            "temperature": temperature,
            "stream": run.streams,
            "agent": run.agent.name,
        }
        return _of_model(run.agent.model) | more

    with span("chat", _model_id(run.agent.model), facts) as trace:
        trace.tell("system_instructions", lambda: [_part(m.content) for m in messages if m.role == "system"])
        trace.tell("input_messages", lambda: [_chat_message(m) for m in messages if m.role != "system"])
        trace.tell("tool_definitions", lambda: [_definition(tool) for tool in tools])
        yield trace


def answered(trace: Span, done: Completion) -> None:
    """Tell a request's span what the model answered."""
    trace.note(
        finish_reasons=(done.finish_reason,),
        input_tokens=done.usage.input_tokens or None,
        output_tokens=done.usage.output_tokens or None,
    )
    answer = ChatMessage(role="assistant", content=done.text, tool_calls=done.tool_calls)
    trace.tell("output_messages", lambda: [{**_chat_message(answer), "finish_reason": done.finish_reason}])


def traced_plan(run: Run) -> AbstractContextManager[Span]:
    """Trace the making of a plan."""
    return span("plan", run.label, lambda: {"agent": run.agent.name, **_of_model(run.agent.model)})


def _of_model(model: Model) -> dict[str, object]:
    return {"model": _model_id(model), "model_class": type(model).__name__}


def _model_id(model: Model) -> str:
    return str(getattr(model, "model_id", None) or type(model).__name__)


def _chat_message(message: ChatMessage) -> dict[str, object]:
    parts: list[dict[str, object]] = [_part(message.content)] if message.content else []
    if message.role == "tool":
        parts = [{"type": "tool_call_response", "id": message.tool_call_id, "response": message.content}]
    parts += [
        {"type": "tool_call", "id": call.id, "name": call.name, "arguments": dict(call.arguments)}
        for call in message.tool_calls
    ]
    return {"role": message.role, "parts": parts}


def _message(role: str, content: object) -> dict[str, object]:
    return {"role": role, "parts": [_part(content)]}


def _part(content: object) -> dict[str, object]:
    return {"type": "text", "content": content}


def _definition(tool: ToolOffer) -> dict[str, object]:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }
