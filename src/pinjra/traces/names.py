"""Our words -> those of OpenTelemetry's GenAI conventions (semantic-conventions-genai, status Development, November 2026).

What the conventions have no name for is under "pinjra.".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pinjra.core.spans import Operation

__all__ = ["DURATIONS", "SECONDS_BUCKETS", "TOKEN_BUCKETS", "attribute", "provider"]

_ATTRIBUTES: Mapping[str, str] = {
    "agent": "gen_ai.agent.name",
    "agent_description": "gen_ai.agent.description",
    "call": "gen_ai.tool.call.id",
    "conversation": "gen_ai.conversation.id",
    "finish_reasons": "gen_ai.response.finish_reasons",
    "input_tokens": "gen_ai.usage.input_tokens",
    "model": "gen_ai.request.model",
    "output_tokens": "gen_ai.usage.output_tokens",
    "stop": "gen_ai.request.stop_sequences",
    "stream": "gen_ai.request.stream",
    "temperature": "gen_ai.request.temperature",
    "tool": "gen_ai.tool.name",
    "tool_description": "gen_ai.tool.description",
    "tool_type": "gen_ai.tool.type",
    # Of requests, by the conventions for HTTP.
    "method": "http.request.method",
    "route": "http.route",
    "status": "http.response.status_code",
    # Contents, only where they are wanted.
    "arguments": "gen_ai.tool.call.arguments",
    "input_messages": "gen_ai.input.messages",
    "output_messages": "gen_ai.output.messages",
    "result": "gen_ai.tool.call.result",
    "system_instructions": "gen_ai.system_instructions",
    "tool_definitions": "gen_ai.tool.definitions",
}
# Class of a model, or what its name begins with -> well-known value of gen_ai.provider.name.
_PROVIDERS = {
    "AmazonBedrock": "aws.bedrock",
    "Anthropic": "anthropic",
    "AzureOpenAI": "azure.ai.openai",
    "InferenceClient": "huggingface",
    "LiteLLM": "litellm",
    "LlamaCpp": "llama_cpp",
    "MLX": "mlx",
    "OpenAI": "openai",
    "Scripted": "scripted",
    "Transformers": "transformers",
    "VLLM": "vllm",
}
DURATIONS: Mapping[Operation, tuple[str, str]] = {
    "chat": ("gen_ai.client.operation.duration", "Seconds of a request to a model."),
    "invoke_agent": ("gen_ai.invoke_agent.duration", "Seconds of an agent's run."),
    "execute_tool": ("gen_ai.execute_tool.duration", "Seconds of a tool's call."),
    "run_code": ("pinjra.run_code.duration", "Seconds of a run of code in a session."),
}
# As the conventions want them.
SECONDS_BUCKETS: Sequence[float] = tuple(0.01 * 2**n for n in range(14))
TOKEN_BUCKETS: Sequence[float] = tuple(4**n for n in range(14))


def attribute(name: str) -> str:
    """Return the attribute's name for a fact."""
    return _ATTRIBUTES.get(name, f"pinjra.{name}")


def provider(model_class: str) -> str:
    """Return the provider's name by a model's class."""
    found = next((value for prefix, value in _PROVIDERS.items() if model_class.startswith(prefix)), "")
    return found or model_class.removesuffix("Model").lower() or "custom"
