"""Pinjra runs the Python that AI agents write, without trusting it. These are the public names; importing has no effects.

Each name is imported at its first use (PEP 562), so that `import pinjra` stays fast and needs no SDK.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinjra.agents import ActionStep as ActionStep
    from pinjra.agents import AgentBudgetError as AgentBudgetError
    from pinjra.agents import AgentError as AgentError
    from pinjra.agents import AgentExecutionError as AgentExecutionError
    from pinjra.agents import AgentGenerationError as AgentGenerationError
    from pinjra.agents import AgentInterrupted as AgentInterrupted
    from pinjra.agents import AgentMaxStepsError as AgentMaxStepsError
    from pinjra.agents import AgentMemory as AgentMemory
    from pinjra.agents import AgentParsingError as AgentParsingError
    from pinjra.agents import AgentToolCallError as AgentToolCallError
    from pinjra.agents import AgentToolExecutionError as AgentToolExecutionError
    from pinjra.agents import AuditLog as AuditLog
    from pinjra.agents import Budget as Budget
    from pinjra.agents import CodeAgent as CodeAgent
    from pinjra.agents import Compaction as Compaction
    from pinjra.agents import FinalAnswerStep as FinalAnswerStep
    from pinjra.agents import LogLevel as LogLevel
    from pinjra.agents import MemoryStep as MemoryStep
    from pinjra.agents import MultiStepAgent as MultiStepAgent
    from pinjra.agents import PlanningStep as PlanningStep
    from pinjra.agents import Price as Price
    from pinjra.agents import PromptTemplates as PromptTemplates
    from pinjra.agents import RunResult as RunResult
    from pinjra.agents import SystemPromptStep as SystemPromptStep
    from pinjra.agents import TaskStep as TaskStep
    from pinjra.agents import Timing as Timing
    from pinjra.agents import ToolCallingAgent as ToolCallingAgent
    from pinjra.agents import allow as allow
    from pinjra.agents import refuse as refuse
    from pinjra.agents import replace as replace
    from pinjra.core.access import Mount as Mount
    from pinjra.core.errors import BackendError as BackendError
    from pinjra.core.errors import ConfigurationError as ConfigurationError
    from pinjra.core.errors import ExecutorClosed as ExecutorClosed
    from pinjra.core.errors import ExecutorUnavailable as ExecutorUnavailable
    from pinjra.core.errors import InterpreterError as InterpreterError
    from pinjra.core.errors import MissingDependency as MissingDependency
    from pinjra.core.errors import PinjraError as PinjraError
    from pinjra.core.errors import ProtocolViolation as ProtocolViolation
    from pinjra.core.errors import SessionLost as SessionLost
    from pinjra.core.errors import StartupFailed as StartupFailed
    from pinjra.core.execution import Artifact as Artifact
    from pinjra.core.execution import Cause as Cause
    from pinjra.core.execution import CodeOutput as CodeOutput
    from pinjra.core.execution import ErrorKind as ErrorKind
    from pinjra.core.execution import Execution as Execution
    from pinjra.core.execution import GuestError as GuestError
    from pinjra.core.execution import Usage as Usage
    from pinjra.core.limits import Limits as Limits
    from pinjra.core.values import Opaque as Opaque
    from pinjra.core.values import Record as Record
    from pinjra.executors.base import PythonExecutor as PythonExecutor
    from pinjra.executors.containers.docker import DockerExecutor as DockerExecutor
    from pinjra.executors.guarantees import Guarantees as Guarantees
    from pinjra.executors.jail import JailExecutor as JailExecutor
    from pinjra.executors.local import LocalPythonExecutor as LocalPythonExecutor
    from pinjra.executors.registry import create_executor as create_executor
    from pinjra.executors.registry import executor_names as executor_names
    from pinjra.executors.registry import sandbox as sandbox
    from pinjra.executors.remote.blaxel import BlaxelExecutor as BlaxelExecutor
    from pinjra.executors.remote.e2b import E2BExecutor as E2BExecutor
    from pinjra.executors.remote.modal import ModalExecutor as ModalExecutor
    from pinjra.fleet import Case as Case
    from pinjra.fleet import Fleet as Fleet
    from pinjra.fleet import Verdict as Verdict
    from pinjra.models import REMOVE_PARAMETER as REMOVE_PARAMETER
    from pinjra.models import AmazonBedrockModel as AmazonBedrockModel
    from pinjra.models import AmazonBedrockServerModel as AmazonBedrockServerModel
    from pinjra.models import AnthropicModel as AnthropicModel
    from pinjra.models import AzureOpenAIModel as AzureOpenAIModel
    from pinjra.models import AzureOpenAIServerModel as AzureOpenAIServerModel
    from pinjra.models import ChatMessage as ChatMessage
    from pinjra.models import InferenceClientModel as InferenceClientModel
    from pinjra.models import LiteLLMModel as LiteLLMModel
    from pinjra.models import LiteLLMRouterModel as LiteLLMRouterModel
    from pinjra.models import LlamaCppModel as LlamaCppModel
    from pinjra.models import MessageRole as MessageRole
    from pinjra.models import MLXModel as MLXModel
    from pinjra.models import Model as Model
    from pinjra.models import OpenAIModel as OpenAIModel
    from pinjra.models import OpenAIServerModel as OpenAIServerModel
    from pinjra.models import ScriptedModel as ScriptedModel
    from pinjra.models import TokenUsage as TokenUsage
    from pinjra.models import ToolCall as ToolCall
    from pinjra.models import TransformersModel as TransformersModel
    from pinjra.models import VLLMModel as VLLMModel
    from pinjra.tools import DuckDuckGoSearchTool as DuckDuckGoSearchTool
    from pinjra.tools import FinalAnswerTool as FinalAnswerTool
    from pinjra.tools import MCPClient as MCPClient
    from pinjra.tools import PythonInterpreterTool as PythonInterpreterTool
    from pinjra.tools import PythonTool as PythonTool
    from pinjra.tools import Tool as Tool
    from pinjra.tools import ToolCollection as ToolCollection
    from pinjra.tools import UserInputTool as UserInputTool
    from pinjra.tools import VisitWebpageTool as VisitWebpageTool
    from pinjra.tools import WebSearchTool as WebSearchTool
    from pinjra.tools import WikipediaSearchTool as WikipediaSearchTool
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
    "pinjra.core.access": ["Mount"],
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
    "pinjra.executors.remote.blaxel": ["BlaxelExecutor"],
    "pinjra.executors.containers.docker": ["DockerExecutor"],
    "pinjra.executors.remote.e2b": ["E2BExecutor"],
    "pinjra.executors.remote.modal": ["ModalExecutor"],
    "pinjra.tools": [
        "DuckDuckGoSearchTool",
        "FinalAnswerTool",
        "MCPClient",
        "PythonInterpreterTool",
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
        "AmazonBedrockModel",
        "AmazonBedrockServerModel",
        "LiteLLMRouterModel",
        "MLXModel",
        "VLLMModel",
        "REMOVE_PARAMETER",
        "AnthropicModel",
        "AzureOpenAIModel",
        "AzureOpenAIServerModel",
        "ChatMessage",
        "InferenceClientModel",
        "LiteLLMModel",
        "LlamaCppModel",
        "MessageRole",
        "Model",
        "OpenAIModel",
        "OpenAIServerModel",
        "ScriptedModel",
        "TokenUsage",
        "ToolCall",
        "TransformersModel",
    ],
    "pinjra.fleet": ["Case", "Fleet", "Verdict"],
    "pinjra.agents": [
        "ActionStep",
        "AgentBudgetError",
        "AgentError",
        "AgentExecutionError",
        "AgentGenerationError",
        "AgentInterrupted",
        "AgentMaxStepsError",
        "AgentMemory",
        "AgentParsingError",
        "AgentToolCallError",
        "AgentToolExecutionError",
        "AuditLog",
        "Budget",
        "CodeAgent",
        "Compaction",
        "FinalAnswerStep",
        "LogLevel",
        "MemoryStep",
        "MultiStepAgent",
        "PlanningStep",
        "Price",
        "PromptTemplates",
        "RunResult",
        "SystemPromptStep",
        "TaskStep",
        "Timing",
        "ToolCallingAgent",
        "allow",
        "refuse",
        "replace",
    ],
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}

__all__ = sorted(_MODULES)


if not TYPE_CHECKING:  # a name that is not there is an error for type checkers too

    def __getattr__(name: str) -> object:
        """Import a public name at its first use."""
        module = _MODULES.get(name)
        if module is None:
            from pinjra.core.nearest import nearest

            raise AttributeError(
                f"module 'pinjra' has no attribute {name!r}; {nearest(name, _MODULES, listed=False)}"
            )
        value = getattr(import_module(module), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
