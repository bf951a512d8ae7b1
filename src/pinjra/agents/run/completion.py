"""Messages -> a completion, for a run: streamed as events, counted, and abandoned when the run is stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pinjra.agents.errors import AgentError, AgentGenerationError
from pinjra.agents.run.state import Run
from pinjra.agents.run.waiting import abandonable, abandonable_items
from pinjra.core.events import ModelDelta as DeltaEvent
from pinjra.models.base import ChatMessage, Completion, JsonSchema, ModelDelta, ToolSchema

__all__ = ["ask"]


def ask(
    run: Run,
    messages: Sequence[ChatMessage],
    *,
    stop: Sequence[str] = (),
    tools: Sequence[ToolSchema] = (),
    response_schema: JsonSchema | None = None,
    temperature: float | None = None,
) -> Completion:
    """Return the model's completion.

    Raises:
        AgentGenerationError: The model or its provider failed.
        AgentInterrupted, AgentBudgetError: The run was stopped meanwhile; the request is abandoned.
    """
    model = run.agent.model
    if not tools and any(message.tool_calls for message in messages):
        tools = (
            run.agent.tool_schemas()
        )  # providers refuse a conversation with calls of tools that are not offered
    options = {"stop": stop, "tools": tools, "response_schema": response_schema, "temperature": temperature}
    try:
        if run.options.streams and callable(getattr(model, "stream", None)):
            done = _streamed(run, abandonable_items(lambda: model.stream(messages, **options), run.stop))  # type: ignore[arg-type]  # options are the parameters, by name
        else:
            done = abandonable(lambda: model.generate(messages, **options), run.stop)  # type: ignore[arg-type]  # as above
    except AgentError:
        raise
    except Exception as error:  # whatever a model of anybody's raises
        name = getattr(model, "model_id", type(model).__name__)
        raise AgentGenerationError(f"the model {name} failed: {type(error).__name__}: {error}") from error
    run.meter.add_usage(done.usage, run.price)
    return done


def _streamed(run: Run, items: Iterator[ModelDelta | Completion]) -> Completion:
    done: Completion | None = None
    for item in items:
        if isinstance(item, ModelDelta):
            run.emit(DeltaEvent, text=item.text)
        else:
            done = item
    if done is None:
        raise AgentGenerationError("the model's stream ended without a completion")
    return done
