"""An agent <-> a folder: agent.json, and prompts as text files. Tools by import path; no secrets, no source.

Loading imports the modules that the folder names: load only folders that you trust.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Self, cast

from pinjra.agents.arguments import tools_by_name
from pinjra.agents.familiar_folder import is_familiar, our_form
from pinjra.agents.memory.json import from_data
from pinjra.agents.prompts.templates import complete_templates
from pinjra.agents.run.budget import Budget
from pinjra.agents.run.compaction import Compaction
from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.executors.parameters import constructor_parameters
from pinjra.models.registry import from_dict
from pinjra.tools.base import Tool
from pinjra.tools.library.final_answer import FinalAnswerTool

_VERSION = 1
# Parameters that are written in a form of their own; the others as they are, where JSON can hold them.
_OWN = {"model", "tools", "managed_agents", "budget", "compaction", "executor_kwargs"}
_SECRET = re.compile(r"key|token|secret|password|passwd|credential|auth", re.IGNORECASE)


class Savable:
    """What can be saved to a folder and made again: every agent derives from it."""

    tools: dict[str, Tool]

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data, without secrets; `left_out` names what could not be put there."""
        cls: Any = type(self)
        own = vars(self)
        names = [name for name in constructor_parameters(cls).kinds if name in own and name not in _OWN]
        plain = {name: own[name] for name in names if own[name] != () and _is_json(own[name])}
        kwargs, refused = _safe_options(own.get("executor_kwargs", {}))
        left_out = [name for name in names if own[name] and name not in plain]
        return plain | {
            "format": "pinjra.agent",
            "version": _VERSION,
            "class": f"{cls.__module__}:{cls.__qualname__}",
            "model": _model_data(own["model"]),
            "tools": [_tool_data(tool) for tool in self.tools.values() if type(tool) is not FinalAnswerTool],
            "managed_agents": [managed.to_dict() for managed in own["managed_agents"].values()],
            "budget": asdict(own["budget"]),
            "compaction": asdict(own["compaction"]) if own["compaction"] else None,
            "executor_kwargs": kwargs,
            "left_out": [*left_out, *(f"executor_kwargs.{name}" for name in refused)],
        }

    def save(self, folder: str | Path) -> None:
        """Write configuration and prompts to a folder; tools by import path, no secrets, no source.

        Prompts become `prompts/GROUP.NAME.md`, managed agents folders of their own.
        """
        folder, data = Path(folder), self.to_dict()
        (folder / "prompts").mkdir(parents=True, exist_ok=True)
        for name, text in _flat(cast("dict[str, object]", data.pop("prompt_templates"))).items():
            (folder / "prompts" / f"{name}.md").write_text(text + "\n", encoding="utf-8")
        managed: dict[str, Savable] = vars(self)["managed_agents"]
        for name, agent in managed.items():
            agent.save(folder / "managed_agents" / name)
        data["managed_agents"] = list(managed)
        text = json.dumps(data, ensure_ascii=False, allow_nan=False, indent=2, sort_keys=True)
        (folder / "agent.json").write_text(text + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: str | Path, **changes: object) -> Self:
        """Return the agent of `save`, or one that smolagents saved. Imports the modules it names: load only what you trust.

        Args:
            changes: Parameters instead of the saved ones; `model=` where the saved one cannot be made again.

        Raises:
            ConfigurationError: The folder is no saved agent, or a tool or the model must be passed (the caller's fault).
        """
        return cast("Self", _made(_gathered(Path(folder)), cls, changes, str(folder)))

    @classmethod
    def from_folder(cls, folder: str | Path, **changes: object) -> Self:
        """Do what `load` does."""  # an alias of a class method is an error for mypy
        return cls.load(folder, **changes)

    @classmethod
    def from_dict(cls, data: Mapping[str, object], **changes: object) -> Self:
        """Return the agent of `to_dict`; as `load`."""
        return cast("Self", _made(data, cls, changes, "the description"))


def _gathered(folder: Path) -> dict[str, Any]:
    """Return a folder as `to_dict` gave it: with its prompts and its managed agents."""
    data = _read(folder)
    if "prompt_templates" not in data:
        data["prompt_templates"] = _prompts(folder / "prompts")
    data["managed_agents"] = [
        _gathered(folder / "managed_agents" / name) for name in data.get("managed_agents", ())
    ]
    return data


def _made(saved: object, cls: type[Savable], changes: Mapping[str, object], where: str) -> Savable:
    data = _checked(saved, where)
    kind = _imported(str(data["class"]))
    if not (isinstance(kind, type) and issubclass(kind, Savable) and issubclass(kind, cls)):
        raise ConfigurationError(f"{where} holds a {data['class']}, which is no {cls.__name__}")
    names = constructor_parameters(cast("Any", kind)).kinds
    options = {name: data[name] for name in names if data.get(name) is not None} | _records(data)
    given = tools_by_name(cast("Any", changes.get("tools") or ()))
    saved_tools = {item["name"]: _tool(item, given) for item in data["tools"]}
    options["tools"] = list((saved_tools | given).values())
    shared = {name: value for name, value in changes.items() if name == "model"}
    options["managed_agents"] = [
        _made(item, Savable, shared, "the description") for item in data["managed_agents"]
    ]
    if "model" not in changes:
        options["model"] = _model(data["model"])
    missing = [name for name in data["left_out"] if name.split(".")[0] not in changes]
    if missing:
        warnings.warn(
            f"the agent in {where} was saved without {', '.join(missing)}: pass them to load()", stacklevel=3
        )
    return kind(**(options | {k: v for k, v in changes.items() if k != "tools"}))


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
    kwargs = dict(data["executor_kwargs"])
    if isinstance(kwargs.get("limits"), dict):
        kwargs["limits"] = Limits(**kwargs["limits"])
    return {
        "budget": from_data(Budget, data["budget"]),
        "compaction": from_data(Compaction | None, data["compaction"]),
    } | ({"executor_kwargs": kwargs} if kwargs else {})


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


def _imported(path: str) -> object:
    try:
        return resolve_name(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{path!r} cannot be imported: {error}") from error


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
