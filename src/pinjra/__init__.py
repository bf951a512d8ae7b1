"""Pinjra runs the Python that AI agents write, without trusting it. These are the public names; importing has no effects.

Each name is imported at its first use (PEP 562), so that `import pinjra` stays fast and needs no SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinjra.agents import CodeAgent as CodeAgent
    from pinjra.agents import RunResult as RunResult
    from pinjra.agents import ToolCallingAgent as ToolCallingAgent
    from pinjra.core.execution import Artifact as Artifact
    from pinjra.core.execution import CodeOutput as CodeOutput
    from pinjra.core.execution import Execution as Execution
    from pinjra.core.execution import GuestError as GuestError
    from pinjra.core.limits import Limits as Limits
    from pinjra.executors.base import PythonExecutor as PythonExecutor
    from pinjra.executors.jail import JailExecutor as JailExecutor
    from pinjra.executors.local import LocalPythonExecutor as LocalPythonExecutor
    from pinjra.executors.registry import create_executor as create_executor
    from pinjra.executors.registry import sandbox as sandbox
    from pinjra.models import InferenceClientModel as InferenceClientModel
    from pinjra.models import LlamaCppModel as LlamaCppModel
    from pinjra.models import OpenAIModel as OpenAIModel
    from pinjra.models import ScriptedModel as ScriptedModel
    from pinjra.tools import FinalAnswerTool as FinalAnswerTool
    from pinjra.tools import PythonTool as PythonTool
    from pinjra.tools import Tool as Tool
    from pinjra.tools import ToolCollection as ToolCollection
    from pinjra.tools import UserInputTool as UserInputTool
    from pinjra.tools import VisitWebpageTool as VisitWebpageTool
    from pinjra.tools import WebSearchTool as WebSearchTool
    from pinjra.tools import WikipediaTool as WikipediaTool
    from pinjra.tools import tool as tool

__version__ = "0.1.0"

_WHERE = {
    "pinjra.core.execution": [
        "Artifact",
        "Cause",
        "CodeOutput",
        "ErrorKind",
        "Execution",
        "GuestError",
        "Usage",
    ],
    "pinjra.core.limits": ["Limits"],
    "pinjra.core.values": ["Opaque", "Record"],
    "pinjra.core.errors": [
        "BackendError",
        "ConfigurationError",
        "ExecutorClosed",
        "ExecutorUnavailable",
        "InterpreterError",
        "MissingDependency",
        "PinjraError",
        "ProtocolViolation",
        "SessionLost",
        "StartupFailed",
    ],
    "pinjra.executors.base": ["PythonExecutor"],
    "pinjra.executors.guarantees": ["Guarantees"],
    "pinjra.executors.registry": ["create_executor", "executor_names", "sandbox"],
    "pinjra.executors.local": ["LocalPythonExecutor"],
    "pinjra.executors.jail": ["JailExecutor"],
    "pinjra.tools": [
        "DuckDuckGoSearchTool",
        "FinalAnswerTool",
        "MCPClient",
        "PythonTool",
        "Tool",
        "ToolCollection",
        "UserInputTool",
        "VisitWebpageTool",
        "WebSearchTool",
        "WikipediaSearchTool",
        "WikipediaTool",
        "tool",
    ],
    "pinjra.models": [
        "AnthropicModel",
        "ChatMessage",
        "InferenceClientModel",
        "LiteLLMModel",
        "LlamaCppModel",
        "Model",
        "OpenAIModel",
        "ScriptedModel",
        "TransformersModel",
    ],
    "pinjra.agents": ["CodeAgent", "RunResult", "ToolCallingAgent"],
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULES)


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module 'pinjra' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
