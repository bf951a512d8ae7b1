"""Name -> model: "openai:gpt-x", "hf:owner/name", "qwen2.5-coder-1.5b"; a vendor's file is imported only when it is named."""

from __future__ import annotations

from collections.abc import Mapping
from pkgutil import resolve_name
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.core.nearest import nearest
from pinjra.models.base import Model
from pinjra.models.catalog import CATALOG

KINDS: dict[str, str] = {
    "hf": "pinjra.models.huggingface:InferenceClientModel",
    "openai": "pinjra.models.openai:OpenAIModel",
    "azure": "pinjra.models.openai:AzureOpenAIModel",
    "anthropic": "pinjra.models.anthropic:AnthropicModel",
    "bedrock": "pinjra.models.bedrock:AmazonBedrockModel",
    "litellm": "pinjra.models.litellm:LiteLLMModel",
    "transformers": "pinjra.models.transformers:TransformersModel",
    "llama-cpp": "pinjra.models.llama_cpp:LlamaCppModel",
}


def load_model(name: str, **options: Any) -> Model:
    """Return the model that `name` means: "kind:model id", a name of the catalog, or the path of a .gguf file.

    Args:
        options: For the model's class: keys, addresses, sampling.

    Raises:
        ConfigurationError: No such kind or name, or an option that the class does not know (the caller's fault).
        MissingDependency: The kind's package is not installed (the operator's fault).
        WeightsUnavailable: An embedded model whose weights are not here.
    """
    kind, model_id = named(name)
    build = resolve_name(KINDS[kind])
    try:
        model: Model = build(model_id, **options) if model_id else build(**options)
    except TypeError as error:
        raise ConfigurationError(f"model {name!r}: {error}") from error
    return model


def named(name: str) -> tuple[str, str]:
    """Return the kind and the id that a model's name means; see `load_model`.

    Raises:
        ConfigurationError: No such kind or name (the caller's fault).
    """
    kind, _, model_id = name.partition(":")
    if kind not in KINDS and (name in CATALOG or name.endswith(".gguf")):
        kind, model_id = "llama-cpp", name
    if kind not in KINDS or not (model_id or kind == "hf"):
        guess = nearest(kind, [*KINDS, *CATALOG], listed=False)
        raise ConfigurationError(
            f"there is no model {name!r}; {f'{guess}; ' if 'perhaps' in guess else ''}{_choices()}"
        )
    return kind, model_id


def from_dict(form: Mapping[str, object], **secrets: Any) -> Model:
    """Return the model that `to_dict` described; keys come from the environment or from `secrets`.

    Raises:
        ConfigurationError: `form` is not what `to_dict` makes (the caller's fault); and as `load_model` does.
    """
    kind, model_id, options = form.get("kind"), form.get("model_id"), form.get("options", {})
    if kind not in KINDS or not isinstance(model_id, str) or not isinstance(options, Mapping):
        raise ConfigurationError(f"not the description of a model: {dict(form)!r:.300}")
    return load_model(f"{kind}:{model_id}", **{**options, **secrets})


def _choices() -> str:
    kinds = ", ".join(f"{kind}:…" for kind in KINDS)
    return (
        f"write one of {kinds} with the model's id, an embedded model ({', '.join(CATALOG)}), or a .gguf file"
    )
