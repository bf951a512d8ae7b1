"""Settings of an agent and what a request chooses -> an agent, fresh for each run."""

from __future__ import annotations

import copy
from collections.abc import Iterator

from pinjra.agents.agent import Agent
from pinjra.agents.approval import AuditLog
from pinjra.agents.code_agent import CodeAgent
from pinjra.agents.run.budget import Budget, Price
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.models.adapted import AskedModel, adapted
from pinjra.models.base import Completion, Model, ModelDelta, Question
from pinjra.server.http.settings import ServeSettings, TenantSettings
from pinjra.server.models import LoadedModels, arguments_of, imported
from pinjra.tools.shipped import shipped_tools


class AgentMaker:
    """Makes the agents that settings name."""

    def __init__(self, settings: ServeSettings, models: LoadedModels) -> None:
        self._settings = settings
        self._models = models

    def make(
        self,
        name: str,
        quota: TenantSettings,
        *,
        executor: str | None = None,
        model: str | None = None,
        tools: list[str] | None = None,
    ) -> Agent:
        """Return a fresh agent. Blocking: a model may be loaded.

        Args:
            executor, model, tools: Instead of those of the settings; the caller has checked that they are offered.

        Raises:
            ConfigurationError: The settings name something that is not there (the operator's fault).
        """
        wanted = self._settings.agents[name]
        if wanted.agent:
            return _own(wanted.agent, quota)
        team = [self.make(each, quota) for each in wanted.managed_agents]
        price = _price(wanted.price)
        log = self._settings.audit_log
        return CodeAgent(
            tools=shipped_tools(wanted.tools if tools is None else tools),
            model=self._models.get(model or wanted.model),
            name=name.replace("-", "_"),
            description=wanted.description or name,
            instructions=wanted.instructions or None,
            additional_authorized_imports=wanted.authorized_imports,
            executor_type=executor or wanted.executor or self._settings.executor,
            executor_kwargs={"limits": quota.capped(Limits())},
            max_steps=wanted.max_steps,
            planning_interval=wanted.planning_interval,
            managed_agents=team,
            budget=Budget(price=price),
            verbosity_level=0,
            audit=AuditLog(log) if log else None,
        )


def _own(place: str, quota: TenantSettings) -> Agent:
    """Return a fresh agent from what stands at "module:name": an agent, or a function that makes one."""
    found = imported(place, Agent)
    if not isinstance(found, Agent):
        raise ConfigurationError(f"agent {place!r} is no agent and makes none")
    made = _capped(found, quota)
    made.verbosity_level = 0
    return made


def _capped(agent: Agent, quota: TenantSettings) -> Agent:
    """Return a copy of an agent whose sessions, and those of its team, may use what the tenant may."""
    made = copy.copy(agent)
    made.managed_agents = {name: _capped(each, quota) for name, each in agent.managed_agents.items()}
    if isinstance(made, CodeAgent):
        limits = made.executor_kwargs.get("limits")
        capped = quota.capped(limits if isinstance(limits, Limits) else Limits())
        made.executor_kwargs = {**made.executor_kwargs, "limits": capped}
    return made


def _price(price: tuple[float, float] | None) -> Price | None:
    return Price(input_per_million=price[0], output_per_million=price[1]) if price else None


class FirstSaid(AskedModel):
    """A model whose first answer is given, and the others its own: a person has written a step."""

    def __init__(self, model: Model, text: str) -> None:
        super().__init__(model_id=getattr(model, "model_id", type(model).__name__))
        self.prompt_style = getattr(model, "prompt_style", "full")
        self._model = adapted(model)
        self._text: str | None = text

    def answer(self, question: Question) -> Completion:
        """Return the text that was given, then what the model says."""
        text, self._text = self._text, None
        if text is not None:
            return Completion(text=text)
        done: Completion = self._model.generate(question.messages, **arguments_of(question))
        return done

    def pieces(self, question: Question) -> Iterator[ModelDelta | Completion]:
        """Yield the same in pieces."""
        if self._text is not None or not callable(getattr(self._model, "stream", None)):
            yield self.answer(question)
            return
        yield from self._model.stream(question.messages, **arguments_of(question))
