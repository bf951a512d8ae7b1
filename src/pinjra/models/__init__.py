"""Models: hosted ones behind their SDKs, open ones in this process, and one that replays a script.

A vendor's SDK is imported when a model of that vendor is made, not here.
"""

from __future__ import annotations

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

# Names that users of other libraries know.
AmazonBedrockServerModel = AmazonBedrockModel
AzureOpenAIServerModel = AzureOpenAIModel
OpenAIServerModel = OpenAIModel
