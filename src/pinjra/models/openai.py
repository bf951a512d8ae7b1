"""OpenAIModel: OpenAI's API and every server that speaks it (llama.cpp, vLLM, Ollama, LM Studio, gateways)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from pinjra.core.errors import ConfigurationError, MissingDependency
from pinjra.models.api import ChatApiModel
from pinjra.models.errors import AuthenticationFailed

__all__ = ["AzureOpenAIModel", "OpenAIModel"]


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
        attempts: int = 4,
        retry_wait_seconds: float = 1.0,
        **options: Any,
    ) -> None:
        address = api_base or base_url or os.environ.get("OPENAI_BASE_URL") or None
        key = api_key or os.environ.get("OPENAI_API_KEY") or ("none" if address else None)
        super().__init__(
            model_id,
            secrets=(key if key != "none" else None, organization),
            base_url=address,
            attempts=attempts,
            retry_wait_seconds=retry_wait_seconds,
            options=options,
        )
        self._sdk = _import_openai()
        self._check_options(self._sdk.resources.chat.Completions.create)
        if key is not None and self._client is None:
            where = {"api_key": key, "base_url": address, "organization": organization, "project": project}
            more = {"max_retries": 0, **(client_kwargs or {})}  # retried here, with our limits
            self._client = self._connected(self._sdk.OpenAI, **where, **more)
            if "http_client" not in more:  # a client for threads
                self._connect_awaited = partial(self._connected, self._sdk.AsyncOpenAI, **where, **more)

    def _connected(self, sdk_client: Any, **arguments: Any) -> Any:
        try:
            return self._connect(sdk_client, **arguments)
        except TypeError as error:
            raise ConfigurationError(f"client_kwargs of {type(self).__name__}: {error}") from error

    def _connect(self, sdk_client: Any, **arguments: Any) -> Any:
        return sdk_client(**arguments)

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

    def _connect(self, sdk_client: Any, **arguments: Any) -> Any:
        endpoint = arguments.pop("base_url")
        azure = self._sdk.AzureOpenAI if sdk_client is self._sdk.OpenAI else self._sdk.AsyncAzureOpenAI
        return azure(azure_endpoint=endpoint, api_version=self._api_version, **arguments)


def _import_openai() -> Any:
    try:
        import openai
    except ImportError:
        raise MissingDependency("the openai package", "pip install 'pinjra[openai]'") from None
    return openai
