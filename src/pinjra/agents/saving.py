"""An agent <-> a folder: agent.json, and prompts as text files. Tools by import path; no secrets, no source.

Loading imports the modules that the folder names: load only folders that you trust.
"""

from __future__ import annotations

import importlib
import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self, cast

from pinjra.agents.arguments import tools_by_name
from pinjra.agents.familiar_folder import is_familiar, our_form
from pinjra.agents.prompts.templates import complete_templates
from pinjra.agents.run.budget import Budget, Price
from pinjra.agents.run.compaction import Compaction
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.models.registry import from_dict
from pinjra.tools.base import Tool
from pinjra.tools.library.final_answer import FinalAnswerTool

__all__ = ["Savable"]

_VERSION = 1
# Parameters that are plain data; each is saved when the agent has it.
_PLAIN = (
    "name",
    "description",
    "instructions",
    "max_steps",
    "planning_interval",
    "provide_run_summary",
    "return_full_result",
    "stream_outputs",
    "verbosity_level",
    "keep_memory",
    "vote",
    "additional_authorized_imports",
    "executor_type",
    "max_print_outputs_length",
    "use_structured_outputs_internally",
    "code_block_tags",
    "max_tool_threads",
)
_FUNCTIONS = ("step_callbacks", "final_answer_checks", "before_run", "before_tool", "after_tool", "audit")
_SECRET = re.compile(r"key|token|secret|password|passwd|credential|auth", re.IGNORECASE)


class Savable:
    """What can be saved to a folder and made again: every agent derives from it."""

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data, without secrets."""
        return agent_to_data(self)

    def save(self, folder: str | Path) -> None:
        """Write configuration and prompts to a folder; tools by import path, no secrets, no source."""
        save_agent(self, Path(folder))

    @classmethod
    def load(cls, folder: str | Path, **changes: object) -> Self:
        """Return the agent of `save`, or one that smolagents saved. Imports the modules it names: load only what you trust.

        Args:
            changes: Parameters instead of the saved ones; `model=` where the saved one cannot be made again.
        """
        return cast("Self", load_agent(Path(folder), cls, changes))

    @classmethod
    def from_folder(cls, folder: str | Path, **changes: object) -> Self:
        """Do what `load` does."""  # an alias of a class method is an error for mypy
        return cls.load(folder, **changes)

    @classmethod
    def from_dict(cls, data: Mapping[str, object], **changes: object) -> Self:
        """Return the agent of `to_dict`; as `load`."""
        return cast("Self", agent_from_data(data, cls, changes))


def agent_to_data(agent: Any) -> dict[str, object]:
    """Return the configuration as plain data, without secrets; `left_out` names what could not be put there."""
    left_out = [name for name in _FUNCTIONS if getattr(agent, name)]
    if getattr(agent, "executor", None) is not None:
        left_out.append("executor")
    kwargs, refused = _safe_options(getattr(agent, "executor_kwargs", {}))
    cls = type(agent)
    data: dict[str, object] = {
        "format": "pinjra.agent",
        "version": _VERSION,
        "class": f"{cls.__module__}:{cls.__qualname__}",
        "model": _model_data(agent.model),
        "tools": [
            _tool_data(tool) for name, tool in agent.tools.items() if name != "final_answer" or _is_own(tool)
        ],
        "managed_agents": [agent_to_data(managed) for managed in agent.managed_agents.values()],
        "prompt_templates": agent.prompt_templates,
        "budget": asdict(agent.budget),
        "compaction": asdict(agent.compaction) if agent.compaction else None,
        "executor_kwargs": kwargs,
        "left_out": [*left_out, *(f"executor_kwargs.{name}" for name in refused)],
    }
    return data | {name: getattr(agent, name) for name in _PLAIN if hasattr(agent, name)}


def save_agent(agent: Any, folder: Path) -> None:
    """Write the folder; prompts become `prompts/GROUP.NAME.md`, managed agents folders of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    data = agent_to_data(agent)
    prompts = _flat(cast("dict[str, object]", data.pop("prompt_templates")))
    (folder / "prompts").mkdir(exist_ok=True)
    for name, text in prompts.items():
        (folder / "prompts" / f"{name}.md").write_text(text + "\n", encoding="utf-8")
    data["managed_agents"] = list(agent.managed_agents)
    for name, managed in agent.managed_agents.items():
        save_agent(managed, folder / "managed_agents" / name)
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
    (folder / "agent.json").write_text(text + "\n", encoding="utf-8")


def load_agent(folder: Path, cls: type[Savable], changes: Mapping[str, object]) -> Savable:
    """Return the agent of `save_agent`.

    Raises:
        ConfigurationError: The folder is no saved agent, or a tool or the model must be passed (the caller's fault).
    """
    return agent_from_data(_gathered(folder), cls, changes, where=str(folder))


def _gathered(folder: Path) -> dict[str, Any]:
    """Return a folder as `agent_to_data` gave it: with its prompts and its managed agents."""
    data = _read(folder)
    if "prompt_templates" not in data:
        data["prompt_templates"] = _prompts(folder / "prompts")
    data["managed_agents"] = [
        _gathered(folder / "managed_agents" / name) for name in data.get("managed_agents", ())
    ]
    return data


def agent_from_data(
    saved: Mapping[str, object],
    cls: type[Savable],
    changes: Mapping[str, object],
    *,
    where: str = "the description",
) -> Savable:
    """Return the agent of `agent_to_data`.

    Raises:
        ConfigurationError: It is no saved agent, or a tool or the model must be passed (the caller's fault).
    """
    data = _checked(cast("dict[str, Any]", saved), where)
    kind = _imported(str(data["class"]))
    if not (isinstance(kind, type) and issubclass(kind, Savable) and issubclass(kind, cls)):
        raise ConfigurationError(f"{where} holds a {data['class']}, which is no {cls.__name__}")
    options: dict[str, Any] = {name: data[name] for name in _PLAIN if data.get(name) is not None}
    if "code_block_tags" in options:
        options["code_block_tags"] = tuple(options["code_block_tags"])
    options |= _records(data)
    options["prompt_templates"] = data["prompt_templates"]
    given = _given_tools(changes)
    options["tools"] = [_tool(item, given) for item in data["tools"]]
    extra = [tool for name, tool in given.items() if name not in {item["name"] for item in data["tools"]}]
    options["tools"] += extra
    options["managed_agents"] = _managed(data, changes)
    if "model" not in changes:
        options["model"] = _model(data["model"])
    _warn_left_out(where, data, changes)
    return kind(**(options | {k: v for k, v in changes.items() if k != "tools"}))


def _managed(data: Mapping[str, Any], changes: Mapping[str, object]) -> list[Savable]:
    passed_on = {name: value for name, value in changes.items() if name == "model"}
    return [agent_from_data(item, Savable, passed_on) for item in data["managed_agents"]]


def _read(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / "agent.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{folder} is no saved agent: {error}") from error
    return _checked(data, str(folder / "agent.json"))


def _checked(data: object, where: str) -> dict[str, Any]:
    if isinstance(data, dict) and is_familiar(data):
        return our_form(data)
    if not isinstance(data, dict) or data.get("format") != "pinjra.agent":
        raise ConfigurationError(f"{where} is no saved agent of Pinjra")
    if data.get("version") != _VERSION:
        raise ConfigurationError(f"{where} has version {data.get('version')!r}; this Pinjra reads {_VERSION}")
    return data


def _records(data: Mapping[str, Any]) -> dict[str, object]:
    budget = dict(data["budget"])
    price = budget.pop("price")
    kwargs = dict(data["executor_kwargs"])
    if isinstance(kwargs.get("limits"), dict):
        kwargs["limits"] = Limits(**kwargs["limits"])
    options: dict[str, object] = {
        "budget": Budget(**budget, price=Price(**price) if price else None),
        "compaction": Compaction(**data["compaction"]) if data["compaction"] is not None else None,
    }
    return options | ({"executor_kwargs": kwargs} if kwargs else {})


def _safe_options(options: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return the options that may be written, and the names of those that may not: secrets and live objects."""
    kept: dict[str, object] = {}
    refused: list[str] = []
    for name, value in options.items():
        plain = asdict(value) if isinstance(value, Limits) else value
        if _SECRET.search(name) or not _is_json(plain):
            refused.append(name)
        else:
            kept[name] = plain
    return kept, refused


def _is_json(value: object) -> bool:
    if isinstance(value, Mapping):  # SECURITY: an environment may hold keys at any depth
        return all(isinstance(k, str) and not _SECRET.search(k) and _is_json(v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return all(_is_json(item) for item in value)
    return value is None or isinstance(value, str | int | float | bool)


def _model_data(model: object) -> dict[str, object] | None:
    """Return what `models.registry.from_dict` makes the model of again; None where the model cannot say."""
    to_dict = getattr(model, "to_dict", None)
    return cast("dict[str, object]", to_dict()) if callable(to_dict) else None


def _model(data: Mapping[str, object] | None) -> object:
    if data is None:
        raise ConfigurationError("this agent was saved with a model that cannot be made again: pass model=")
    return from_dict(data)


def _is_own(tool: Tool) -> bool:
    return type(tool) is not FinalAnswerTool


def _tool_data(tool: Tool) -> dict[str, object]:
    try:
        path: str | None = tool.import_path
    except ConfigurationError:  # made where no import reaches; it must be passed to load()
        path = None
    return {"name": tool.name, "path": path}


def _tool(data: Mapping[str, Any], given: Mapping[str, Tool]) -> Tool:
    name = data["name"]
    if name in given:
        return given[name]
    if data["path"] is None:
        raise ConfigurationError(
            f"the tool {name!r} was made where no import reaches it: pass tools=[...] with it"
        )
    found = _imported(data["path"])
    try:
        made = found() if isinstance(found, type) and issubclass(found, Tool) else found
    except TypeError as error:
        raise ConfigurationError(
            f"the tool {name!r} ({data['path']}) needs arguments: pass tools=[...] with it"
        ) from error
    if not isinstance(made, Tool) and callable(made):
        made = Tool.from_function(made, name=name)
    if not isinstance(made, Tool):
        raise ConfigurationError(f"{data['path']} is no tool")
    return made


def _given_tools(changes: Mapping[str, object]) -> dict[str, Tool]:
    return tools_by_name(cast("Any", changes.get("tools") or ()))


def _imported(path: str) -> object:
    module, _, attribute = path.partition(":")
    try:
        found: object = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{path!r} cannot be imported: {error}") from error
    return found


def _flat(templates: Mapping[str, object]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for group, value in templates.items():
        if isinstance(value, Mapping):
            flat |= {f"{group}.{name}": str(text) for name, text in value.items()}
        else:
            flat[group] = str(value)
    return flat


def _prompts(folder: Path) -> dict[str, object]:
    nested: dict[str, Any] = {}
    for file in sorted(folder.glob("*.md")):
        group, _, name = file.stem.partition(".")
        text = file.read_text(encoding="utf-8").removesuffix("\n")
        if name:
            nested.setdefault(group, {})[name] = text
        else:
            nested[group] = text
    complete_templates(nested, "code")  # unknown names are told before anything is made
    return nested


def _warn_left_out(where: str, data: Mapping[str, Any], changes: Mapping[str, object]) -> None:
    missing = [name for name in data["left_out"] if name.split(".")[0] not in changes]
    if missing:
        warnings.warn(
            f"the agent in {where} was saved without {', '.join(missing)}: pass them to load()", stacklevel=4
        )
