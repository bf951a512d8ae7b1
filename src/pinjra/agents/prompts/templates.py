"""Prompt templates: names -> jinja2 texts, rendered in a sandbox. The shipped ones are files here, GROUP.NAME.md."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import TypedDict

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pinjra.core.errors import ConfigurationError


class PlanningTemplates(TypedDict, total=False):
    """Asked before the first step, and every `planning_interval` steps after."""

    initial_plan: str
    update_plan_pre_messages: str
    update_plan_post_messages: str


class ManagedAgentTemplates(TypedDict, total=False):
    """Around a managed agent's task and its answer."""

    task: str
    report: str


class FinalAnswerTemplates(TypedDict, total=False):
    """Asked when the steps are used up."""

    pre_messages: str
    post_messages: str


class PromptTemplates(TypedDict, total=False):
    """The texts that an agent is made of. What is left out is taken from the shipped ones."""

    system_prompt: str
    planning: PlanningTemplates
    managed_agent: ManagedAgentTemplates
    final_answer: FinalAnswerTemplates


_GROUPS: dict[str, type] = {
    "planning": PlanningTemplates,
    "managed_agent": ManagedAgentTemplates,
    "final_answer": FinalAnswerTemplates,
}
# SECURITY: templates come from saved agents too; the sandbox keeps them from reaching Python's internals.
_ENVIRONMENT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=False,
    autoescape=False,
)


_compiled = lru_cache(64)(_ENVIRONMENT.from_string)


@cache
def shipped(name: str, kind: str = "md") -> str:
    """Return the text of a shipped file."""
    return (files("pinjra.agents") / "prompts" / f"{name}.{kind}").read_text(encoding="utf-8").strip()


def complete_templates(given: Mapping[str, object] | None, system: str) -> dict[str, object]:
    """Return templates with every text: those given, and the shipped ones for the rest.

    Args:
        system: Name of the shipped system prompt.

    Raises:
        ConfigurationError: A name is unknown or a text is no text (the caller's fault).
    """
    given = given or {}
    unknown = [str(name) for name in given if name not in ("system_prompt", *_GROUPS)]
    if unknown:
        raise ConfigurationError(
            f"unknown prompt templates {unknown}; there are system_prompt, {sorted(_GROUPS)}"
        )
    complete: dict[str, object] = {"system_prompt": given.get("system_prompt") or shipped(system)}
    for group in sorted(_GROUPS):
        complete[group] = _complete_group(group, given.get(group) or {})
    return complete


def _complete_group(group: str, given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise ConfigurationError(f"prompt_templates[{group!r}] must be a dict, not {type(given).__name__}")
    names = _GROUPS[group].__annotations__
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise ConfigurationError(
            f"unknown prompt templates {unknown} in {group!r}; there are {sorted(names)}"
        )
    return {name: str(given.get(name) or shipped(f"{group}.{name}")) for name in names}


def render(template: str, **variables: object) -> str:
    """Return a template with its variables filled in.

    Raises:
        ConfigurationError: The template is wrong or names an unknown variable (its author's fault).
    """
    try:
        return _compiled(template).render(**variables).strip()
    except TemplateError as error:
        known = ", ".join(sorted(variables))
        raise ConfigurationError(f"a prompt template failed: {error} (variables: {known})") from error
