"""Models: hosted ones behind their SDKs, open ones in this process, and one that replays a script.

Each name is imported at its first use (PEP 562): a vendor's SDK is needed only by whoever uses that vendor.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinjra.models.anthropic import AnthropicModel as AnthropicModel
    from pinjra.models.api import REMOVE_PARAMETER as REMOVE_PARAMETER
    from pinjra.models.base import ChatMessage as ChatMessage
    from pinjra.models.base import Completion as Completion
    from pinjra.models.base import MessageRole as MessageRole
    from pinjra.models.base import Model as Model
    from pinjra.models.base import ModelDelta as ModelDelta
    from pinjra.models.base import TokenUsage as TokenUsage
    from pinjra.models.base import ToolCall as ToolCall
    from pinjra.models.bedrock import AmazonBedrockModel as AmazonBedrockModel
    from pinjra.models.elsewhere import MLXModel as MLXModel
    from pinjra.models.elsewhere import VLLMModel as VLLMModel
    from pinjra.models.errors import AuthenticationFailed as AuthenticationFailed
    from pinjra.models.errors import CompletionInvalid as CompletionInvalid
    from pinjra.models.errors import ModelError as ModelError
    from pinjra.models.errors import ProviderFailed as ProviderFailed
    from pinjra.models.errors import RateLimited as RateLimited
    from pinjra.models.errors import RequestRefused as RequestRefused
    from pinjra.models.errors import WeightsUnavailable as WeightsUnavailable
    from pinjra.models.huggingface import InferenceClientModel as InferenceClientModel
    from pinjra.models.litellm import LiteLLMModel as LiteLLMModel
    from pinjra.models.litellm import LiteLLMRouterModel as LiteLLMRouterModel
    from pinjra.models.llama_cpp import LlamaCppModel as LlamaCppModel
    from pinjra.models.openai import AzureOpenAIModel as AzureOpenAIModel
    from pinjra.models.openai import OpenAIModel as OpenAIModel
    from pinjra.models.registry import load_model as load_model
    from pinjra.models.scripted import ScriptedModel as ScriptedModel
    from pinjra.models.transformers import TransformersModel as TransformersModel
    from pinjra.models.weights import pull as pull

    OpenAIServerModel = OpenAIModel
    AzureOpenAIServerModel = AzureOpenAIModel
    AmazonBedrockServerModel = AmazonBedrockModel

_WHERE = {
    "anthropic": ["AnthropicModel"],
    "api": ["REMOVE_PARAMETER"],
    "bedrock": ["AmazonBedrockModel"],
    "elsewhere": ["MLXModel", "VLLMModel"],
    "base": ["ChatMessage", "Completion", "MessageRole", "Model", "ModelDelta", "TokenUsage", "ToolCall"],
    "errors": [
        "AuthenticationFailed",
        "CompletionInvalid",
        "ModelError",
        "ProviderFailed",
        "RateLimited",
        "RequestRefused",
        "WeightsUnavailable",
    ],
    "huggingface": ["InferenceClientModel"],
    "litellm": ["LiteLLMModel", "LiteLLMRouterModel"],
    "llama_cpp": ["LlamaCppModel"],
    "openai": ["AzureOpenAIModel", "OpenAIModel"],
    "registry": ["load_model"],
    "scripted": ["ScriptedModel"],
    "transformers": ["TransformersModel"],
    "weights": ["pull"],
}
_MODULES = {name: module for module, names in _WHERE.items() for name in names}
# Names that users of other libraries know.
_ALIASES = {
    "AmazonBedrockServerModel": "AmazonBedrockModel",
    "AzureOpenAIServerModel": "AzureOpenAIModel",
    "OpenAIServerModel": "OpenAIModel",
}

__all__ = sorted([*_MODULES, *_ALIASES])


def __getattr__(name: str) -> object:
    known = _ALIASES.get(name, name)
    if known not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[known]}"), known)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
