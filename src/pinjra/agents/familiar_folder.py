"""The description of an agent that smolagents saved -> ours. Its tools' source is never run: tools of one's own are passed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CLASSES = {
    "CodeAgent": "pinjra.agents.code_agent:CodeAgent",
    "ToolCallingAgent": "pinjra.agents.tool_calling_agent:ToolCallingAgent",
}
_TOOLS = {
    "final_answer": "pinjra.tools:FinalAnswerTool",
    "python_interpreter": "pinjra.tools:PythonTool",
    "user_input": "pinjra.tools:UserInputTool",
    "visit_webpage": "pinjra.tools:VisitWebpageTool",
    "web_search": "pinjra.tools:WebSearchTool",
    "wikipedia_search": "pinjra.tools:WikipediaTool",
}
_MODELS = {
    "AmazonBedrockModel": "bedrock",
    "AzureOpenAIModel": "azure",
    "HfApiModel": "hf",
    "InferenceClientModel": "hf",
    "LiteLLMModel": "litellm",
    "OpenAIModel": "openai",
    "OpenAIServerModel": "openai",
    "TransformersModel": "transformers",
}
_MODEL_OPTIONS = ("api_base", "max_tokens", "provider", "temperature", "timeout", "top_p")


def is_familiar(data: Mapping[str, Any]) -> bool:
    """Whether this is what smolagents writes into `agent.json`."""
    return "format" not in data and "tools" in data and "prompt_templates" in data


def our_form(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the description as `Agent.to_dict` makes it; what cannot be had again is named in `left_out`."""
    names = [tool["name"] if isinstance(tool, Mapping) else str(tool) for tool in data["tools"]]
    managed = data.get("managed_agents") or {}
    kind = str(data.get("class") or ("CodeAgent" if "authorized_imports" in data else "ToolCallingAgent"))
    ours: dict[str, Any] = {
        "format": "pinjra.agent",
        "version": 1,
        "class": _CLASSES.get(kind, kind),
        "model": _model(data.get("model") or {}),
        "tools": [{"name": name, "path": _TOOLS.get(name)} for name in names if name != "final_answer"],
        "managed_agents": list(managed)
        if isinstance(managed, Mapping)
        else [our_form(item) for item in managed],
        "budget": {"price": None},
        "compaction": {},
        "executor_kwargs": {},
        "left_out": [],
    }
    if "authorized_imports" in data:
        ours["additional_authorized_imports"] = sorted(data["authorized_imports"])
    return {**data, **ours}


def _model(model: Mapping[str, Any]) -> dict[str, object] | None:
    """Return what `models.registry.from_dict` takes; None where the model must be passed."""
    said = model.get("data") or {}
    kind = _MODELS.get(str(model.get("class")))
    if kind is None or not isinstance(said.get("model_id"), str):
        return None
    options = {name: said[name] for name in _MODEL_OPTIONS if said.get(name) is not None}
    return {"kind": kind, "model_id": said["model_id"], "options": options}
