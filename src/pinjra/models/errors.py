"""What goes wrong between agent and model, one class per whose fault it is. No message carries a secret."""

from __future__ import annotations

from pinjra.core.errors import ConfigurationError, PinjraError


class ModelError(PinjraError):
    """Base of all failures of a model. `retryable`: the same request may succeed later."""

    retryable = False


class AuthenticationFailed(ModelError, ConfigurationError):
    """The operator's fault: no key, a wrong key, or a key that may not use this model."""


class RequestRefused(ModelError):
    """The caller's fault: the provider refuses this request (too long, unknown model, bad schema)."""


class RateLimited(ModelError):
    """Nobody's fault: too many requests. `retry_after_seconds` is what the provider asks for, or None."""

    retryable = True

    def __init__(self, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds


class ProviderFailed(ModelError):
    """The provider's or the network's fault: no connection, a timeout, a 5xx answer, or one that cannot be read."""

    retryable = True


class CompletionInvalid(ModelError):
    """The model's fault: what came is no completion (no choice at all, arguments that are no object)."""


class WeightsUnavailable(ModelError):
    """The weights of an embedded model are not here and cannot be fetched, or are not what they should be."""


class WrongHash(ModelError):
    """The source's fault: it delivered other bytes than the pinned ones. Nothing of them is kept."""


class ModelExhausted(ModelError):
    """The caller's fault: a scripted model was asked more often than it has completions."""
