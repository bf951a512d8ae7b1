"""Messages -> a completion, for a run: streamed as events, counted, and abandoned when the run is stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from pinjra.agents.errors import AgentError, AgentGenerationError, AgentParsingError
from pinjra.agents.run.state import Run
from pinjra.agents.run.traced import answered, traced_request
from pinjra.agents.run.waiting import OnLoop
from pinjra.core.coroutines import at_once
from pinjra.core.events import ModelDelta as DeltaEvent
from pinjra.models.adapted import adapted, completion_from
from pinjra.models.base import ChatMessage, Completion, JsonSchema, ModelDelta, ToolOffer
from pinjra.models.errors import CompletionInvalid

_FRESH_TEMPERATURES = (0.0, 0.6, 0.9, 1.0)  # of attempts one after the other, for small models


async def ask(
    run: Run,
    messages: Sequence[ChatMessage],
    *,
    stop: Sequence[str] = (),
    tools: Sequence[ToolOffer] = (),
    response_schema: JsonSchema | None = None,
    temperature: float | None = None,
) -> Completion:
    """Return the model's completion.

    Raises:
        AgentParsingError: What the model gave is no completion; it may do better when it is told.
        AgentGenerationError: The model or its provider failed.
        AgentInterrupted, AgentBudgetError: The run was stopped meanwhile; the request is abandoned.
    """
    run.meter.check()
    model = adapted(run.agent.model)
    if not tools and any(message.tool_calls for message in messages):
        # providers refuse a conversation with calls of tools that are not offered
        tools = run.agent.tool_schemas()
    safe = [message.encodable() for message in messages]
    options = {"stop": stop, "tools": tools, "response_schema": response_schema, "temperature": temperature}
    try:
        with traced_request(run, safe, stop, tools, temperature) as trace:
            done = completion_from(await _answer(run, model, safe, options))
            answered(trace, done)
    except AgentError:
        raise
    except CompletionInvalid as error:
        raise AgentParsingError(f"your answer could not be read: {error}") from error
    except Exception as error:  # whatever a model of anybody's raises
        name = getattr(model, "model_id", type(model).__name__)
        raise AgentGenerationError(f"the model {name} failed: {type(error).__name__}: {error}") from error
    run.meter.add_usage(done.usage, run.price)
    return done


async def _answer(
    run: Run, model: Any, messages: Sequence[ChatMessage], options: dict[str, Any]
) -> Completion:
    """Return what the model gives: without a thread where the run is on an event loop and the model can be awaited."""
    streams = run.streams and callable(getattr(model, "stream", None))
    awaited = getattr(model, "astream" if streams else "agenerate", None)
    if isinstance(run.waits, OnLoop) and callable(awaited) and getattr(model, "can_be_awaited", True):
        given = awaited(messages, **options)
        return await run.waits.unless_stopped(_read(run, given) if streams else given)
    if streams:
        return await run.waits.call(lambda: at_once(_read(run, _as_async(model.stream(messages, **options)))))
    return await run.waits.call(lambda: model.generate(messages, **options))


async def _read(run: Run, items: AsyncIterator[ModelDelta | Completion]) -> Completion:
    """Return the completion that a stream ends with; its pieces become events. A stopped run closes it at the next piece."""
    done: Completion | None = None
    text = ""
    try:
        async for item in items:
            run.stop.check()
            if isinstance(item, Completion):
                done = item
            else:
                text += item.text
                run.emit(DeltaEvent, text=item.text)
    finally:
        if callable(close := getattr(items, "aclose", None)):
            await close()
    return done or Completion(text=text)  # a model of the user's own may give pieces only


async def _as_async(items: Iterator[ModelDelta | Completion]) -> AsyncIterator[ModelDelta | Completion]:
    try:
        for item in items:
            yield item
    finally:
        if callable(close := getattr(items, "close", None)):
            close()


def fresh_temperature(run: Run) -> float:
    """Return the temperature for a small model: it does not mend what it is shown, it gets another attempt."""
    if run.failures == 0 and run.options.temperature is not None:
        return run.options.temperature
    return _FRESH_TEMPERATURES[min(run.failures, len(_FRESH_TEMPERATURES) - 1)]


def check_complete(done: Completion) -> None:
    """Raise where the output limit cut the model's answer: half of an action may do something else than the whole.

    Raises:
        AgentParsingError: Tells the model so.
    """
    if done.finish_reason == "length":
        tokens = f" after {done.usage.output_tokens} tokens" if done.usage.output_tokens else ""
        raise AgentParsingError(
            f"your answer was cut{tokens}, because it reached the longest that it may have; nothing of it was run. Write less: "
            "a shorter thought, and the work in several steps"
        )
