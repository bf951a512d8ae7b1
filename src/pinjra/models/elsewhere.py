"""Models that other libraries load into the caller's process; here each is a server of its own, and this says how."""

from __future__ import annotations

from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.models.base import Model

_SAID = (
    "{name} is not loaded into this process: start its server, `{command}`, and use "
    'OpenAIModel({model!r}, api_base="http://127.0.0.1:{port}/v1")'
)


class VLLMModel(Model):
    """Says, when it is made, how vLLM is used here: by its own server, which serves many runs at once."""

    def __init__(self, model_id: str = "OWNER/NAME", *args: Any, **kwargs: Any) -> None:
        raise ConfigurationError(
            _SAID.format(name="vLLM", command=f"vllm serve {model_id}", model=model_id, port=8000)
        )


class MLXModel(Model):
    """Says, when it is made, how MLX is used here: by its own server."""

    def __init__(self, model_id: str = "OWNER/NAME", *args: Any, **kwargs: Any) -> None:
        command = f"mlx_lm.server --model {model_id}"
        raise ConfigurationError(_SAID.format(name="MLX", command=command, model=model_id, port=8080))
