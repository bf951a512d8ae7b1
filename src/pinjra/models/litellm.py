"""LiteLLMModel: the hundred providers that litellm speaks to, under its own model names ("vertex_ai/…", "bedrock/…")."""

from __future__ import annotations

import os
from typing import Any, ClassVar

from pinjra.core.errors import MissingDependency
from pinjra.models.api import ChatApiModel

__all__ = ["LiteLLMModel"]


class LiteLLMModel(ChatApiModel):
    """A chat model behind `litellm.completion`.

    Args:
        model_id: In litellm's spelling, provider first.
        api_base: The server's address, where it is not the provider's own.
        api_key: The provider's environment variable (as litellm documents it) unless given.
        options: Sent with each request: `temperature`, `max_tokens`, …

    Raises:
        MissingDependency: The `litellm` package is not installed (the operator's fault).
    """

    kind: ClassVar[str] = "litellm"

    def __init__(
        self,
        model_id: str,
        api_base: str | None = None,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        attempts: int = 4,
        retry_wait_seconds: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__(
            model_id,
            secrets=(api_key,),
            base_url=api_base or base_url,
            attempts=attempts,
            retry_wait_seconds=retry_wait_seconds,
            options=options,
        )
        self._sdk = _import_litellm()
        self._api_key = api_key

    def _create(self, body: dict[str, Any]) -> Any:
        return self._sdk.completion(
            model=self.model_id,
            api_base=self.base_url,
            api_key=self._api_key,
            num_retries=0,  # retried here, with our limits
            max_retries=0,
            **body,
        )

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        import openai

        return (openai.OpenAIError,)  # every error of litellm derives from it


def _import_litellm() -> Any:
    # Without this, importing litellm fetches a price list over the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm
    except ImportError as error:
        raise MissingDependency(f"litellm ({error})", "pip install 'pinjra[litellm]'") from None
    litellm.suppress_debug_info = True  # it prints help texts to stdout otherwise
    return litellm
