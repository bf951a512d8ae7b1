"""OpenAIModel: OpenAI's API and every server that speaks it (llama.cpp, vLLM, Ollama, LM Studio, gateways)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from pinjra.core.optional import optional
from pinjra.models.api import ChatApiModel
from pinjra.models.errors import AuthenticationFailed


class OpenAIModel(ChatApiModel):
    """A chat model of OpenAI or of any compatible server.

    Args:
        api_base: The server's address with its "/v1"; OpenAI's own (or OPENAI_BASE_URL) unless given.
        api_key: OPENAI_API_KEY unless given; a server of your own may need none.
        client_kwargs: Further arguments of `openai.OpenAI` (timeout, default_headers, http_client, …).
        options: Sent with each request: `temperature`, `max_tokens`, `extra_body`, …

    Raises:
        MissingDependency: The `openai` package is not installed (the operator's fault).
    """

    kind: ClassVar[str] = "openai"
    _sdk_clients: ClassVar = ("OpenAI", "AsyncOpenAI")  # of the SDK, for threads and for event loops

    def __init__(
        self,
        model_id: str,
        api_base: str | None = None,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        organization: str | None = None,
        project: str | None = None,
        client_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        address = api_base or base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if address else None)
        super().__init__(
            model_id,
            secrets=(key if key != "none" else None, organization),
            base_url=address,
            options=options,
        )
        self._sdk: Any = optional("openai", "pinjra[openai]")
        self._check_options(self._sdk.resources.chat.Completions.create)
        if key is not None:
            where = {"api_key": key, "organization": organization, "project": project, **self._where()}
            more = {"max_retries": 0, **(client_kwargs or {})}  # retried here, with our limits
            made, awaited = (getattr(self._sdk, name) for name in self._sdk_clients)
            self._connect(made, awaited, where | more)

    def _where(self) -> dict[str, Any]:
        return {"base_url": self.base_url}

    def _create(self, client: Any, body: dict[str, Any]) -> Any:
        if client is None:
            raise AuthenticationFailed(f"{self!r} needs a key: set OPENAI_API_KEY or pass api_key=")
        return client.chat.completions.create(model=self.model_id, **body)

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        return (self._sdk.OpenAIError,)


class AzureOpenAIModel(OpenAIModel):
    """A deployment of Azure OpenAI.

    Args:
        model_id: The deployment's name.
        azure_endpoint: AZURE_OPENAI_ENDPOINT unless given.
        api_key: AZURE_OPENAI_API_KEY unless given.
        api_version: OPENAI_API_VERSION unless given.
    """

    kind: ClassVar[str] = "azure"
    _sdk_clients: ClassVar = ("AzureOpenAI", "AsyncAzureOpenAI")

    def __init__(
        self,
        model_id: str,
        azure_endpoint: str | None = None,
        api_key: str | None = None,
        api_version: str | None = None,
        **options: Any,
    ) -> None:
        self._api_version = api_version or os.environ.get("OPENAI_API_VERSION")
        address = azure_endpoint or os.environ.get("AZURE_OPENAI_ENDPOINT")
        super().__init__(model_id, address, api_key or os.environ.get("AZURE_OPENAI_API_KEY"), **options)

    def _where(self) -> dict[str, Any]:
        return {"azure_endpoint": self.base_url, "api_version": self._api_version}
