"""InferenceClientModel: any model that Hugging Face's inference providers serve, or an endpoint of your own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pinjra.models.api import ChatApiModel
from pinjra.models.errors import AuthenticationFailed

DEFAULT_MODEL_ID = "Qwen/Qwen3-Coder-480B-A35B-Instruct"


class InferenceClientModel(ChatApiModel):
    """A chat model behind `huggingface_hub.InferenceClient`.

    Args:
        model_id: On the hub, as "owner/name".
        provider: Which provider serves it; the hub chooses unless given.
        token: HF_TOKEN or the token of `hf auth login` unless given; an endpoint of your own may need none.
        base_url: An endpoint of your own that speaks the chat completion form.
        bill_to: Organisation that pays.
        options: Sent with each request: `temperature`, `max_tokens`, …
    """

    kind: ClassVar[str] = "hf"

    def __init__(
        self,
        model_id: str = DEFAULT_MODEL_ID,
        provider: str | None = None,
        token: str | None = None,
        timeout: float = 120,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        bill_to: str | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        from huggingface_hub import AsyncInferenceClient, InferenceClient, get_token

        own = token or api_key
        # SECURITY: the hub's token goes to the hub only; an endpoint of your own gets what you give it.
        self._token = own or (None if base_url else get_token())
        super().__init__(model_id, secrets=(self._token,), base_url=base_url, options=options)
        self.provider = provider
        where: dict[str, Any] = {"base_url": base_url} if base_url else {"model": model_id}
        if provider is not None and not base_url:
            where["provider"] = provider
        self._check_options(InferenceClient.chat_completion)
        where |= {"token": self._token or "", "timeout": timeout, "bill_to": bill_to, **(client_kwargs or {})}
        self._connect(InferenceClient, AsyncInferenceClient, where)

    def to_dict(self) -> dict[str, object]:
        """Return the configuration as plain data, without the token."""
        form = super().to_dict()
        options = form["options"]
        if self.provider is not None and isinstance(options, dict):
            options["provider"] = self.provider
        return form

    def _create(self, client: Any, body: dict[str, Any]) -> Any:
        if self._token is None and self.base_url is None:
            raise AuthenticationFailed(
                f"{self!r} needs a token: set HF_TOKEN, run `hf auth login`, or pass token="
            )
        where = {"model": self.model_id} if self.base_url else {}
        return client.chat_completion(**where, **body)

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        from huggingface_hub.errors import HfHubHTTPError, InferenceTimeoutError, TextGenerationError

        return (HfHubHTTPError, InferenceTimeoutError, TextGenerationError)
