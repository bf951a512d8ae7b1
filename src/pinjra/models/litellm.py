"""LiteLLMModel: the hundred providers that litellm speaks to, under its own model names ("vertex_ai/…", "bedrock/…")."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast

from pinjra.core.errors import ConfigurationError
from pinjra.core.nearest import nearest
from pinjra.core.optional import optional
from pinjra.models.api import ChatApiModel


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
        **options: Any,
    ) -> None:
        super().__init__(model_id, secrets=(api_key,), base_url=api_base or base_url, options=options)
        # Without this, importing litellm fetches a price list over the network.
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        self._sdk = cast("Any", optional("litellm", "pinjra[litellm]"))
        self._sdk.suppress_debug_info = True  # it prints help texts to stdout otherwise
        self._api_key = api_key
        self._takes_stop = self._takes_stop and self._sdk_takes_stop()
        self._connect_awaited = self._awaited

    def _sdk_takes_stop(self) -> bool:
        """Whether the library says that the model takes stop sequences; True where it does not know."""
        try:
            known = self._sdk.get_supported_openai_params(model=self.model_id)
        except Exception:  # whatever the library raises for a name that it cannot place
            return True
        return not known or "stop" in known

    def _awaited(self) -> _Awaited:
        return _Awaited((self._client or self._sdk).acompletion)

    def _create(self, client: Any, body: dict[str, Any]) -> Any:
        ask = client.completion if client is not None else self._sdk.completion
        where = {"api_base": self.base_url, "api_key": self._api_key}
        given = {name: value for name, value in where.items() if value is not None}
        # retried here, with our limits
        return ask(model=self.model_id, num_retries=0, max_retries=0, **given, **body)

    def _sdk_errors(self) -> tuple[type[Exception], ...]:
        import openai

        return (openai.OpenAIError,)  # every error of litellm derives from it


@dataclass(frozen=True, slots=True)
class _Awaited:
    """What is asked on an event loop."""

    completion: Callable[..., Any]

    async def close(self) -> None:
        """Do nothing: the library holds the connections, for all who use it."""


class LiteLLMRouterModel(LiteLLMModel):
    """A chat model behind `litellm.Router`: several deployments under one name.

    Args:
        model_id: The name that requests go to, one of the `model_name`s.
        model_list: The deployments, as litellm documents them.
        client_kwargs: Further arguments of `litellm.Router` (`routing_strategy`, …).
        options: As `LiteLLMModel`.

    Raises:
        ConfigurationError: The router does not take its arguments, or knows no such name (the caller's fault).
    """

    kind: ClassVar[str] = "litellm-router"

    def __init__(
        self,
        model_id: str,
        model_list: Sequence[Mapping[str, Any]],
        client_kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(model_id, **options)
        names = [str(each.get("model_name")) for each in model_list]
        if model_id not in names:
            raise ConfigurationError(f"the router has no model {model_id!r}: {nearest(model_id, names)}")
        keys = [each.get("litellm_params", {}).get("api_key") for each in model_list]
        self._secrets = (*self._secrets, *(key for key in keys if key))
        try:
            self._client = self._sdk.Router(
                model_list=[dict(each) for each in model_list], **(client_kwargs or {})
            )
        except (TypeError, ValueError) as error:
            raise ConfigurationError(f"litellm.Router: {error}") from error

    def to_dict(self) -> dict[str, object]:
        """Refuse: the deployments hold keys.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError("a router's deployments hold keys: pass model= where the agent is loaded")
