"""A call to a provider -> its result, with retries and backoff, and errors named by blame with no secret in them."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from pinjra.core.redaction import MASK, without
from pinjra.models.errors import AuthenticationFailed, ModelError, ProviderFailed, RateLimited, RequestRefused

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

# The root of each HTTP client's errors. SDKs change their client between versions and let its errors through.
_CLIENT_ERRORS = (("httpx", "HTTPError"), ("httpx2", "HTTPError"), ("requests", "RequestException"))

_LONGEST_WAIT_SECONDS = 60.0  # a provider that asks for more is reported instead of waited for
_MESSAGE_CHARACTERS = 2000
_SHORTEST = 4  # characters of a secret that the caller gave
_KEY_SHAPED = re.compile(
    r"\b(?:sk|hf|pk|gsk|xai|key)[-_][A-Za-z0-9_\-*.]{8,}|(?i:bearer)\s+[A-Za-z0-9_\-.=+/]{8,}"
)


async def retrying(
    call: Callable[[], Awaitable[T]], sleep: Sleep, *, attempts: int, wait_seconds: float
) -> T:
    """Return the result of `call`, tried again after retryable model errors with growing, random pauses.

    Args:
        sleep: `asyncio.sleep`, or `hold`, which holds the thread.
        attempts: In all, the first included.
        wait_seconds: Upper bound of the first pause; doubles each time. 0 for none.
    """
    import tenacity

    backoff = tenacity.wait_random_exponential(multiplier=wait_seconds, max=_LONGEST_WAIT_SECONDS)

    def pause(state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after_seconds if isinstance(error, RateLimited) else None
        return backoff(state) if asked is None else asked

    retries = tenacity.AsyncRetrying(
        sleep=sleep,
        stop=tenacity.stop_after_attempt(max(1, attempts)),
        wait=pause,
        retry=tenacity.retry_if_exception(_is_worth_a_retry),
        reraise=True,
    )
    return await retries(call)


async def hold(seconds: float) -> None:
    """Sleep in this thread."""
    time.sleep(seconds)


def _is_worth_a_retry(error: BaseException) -> bool:
    if isinstance(error, RateLimited) and (error.retry_after_seconds or 0) > _LONGEST_WAIT_SECONDS:
        return False
    return isinstance(error, ModelError) and error.retryable


def client_errors() -> tuple[type[Exception], ...]:
    """Return the base class of errors of every HTTP client that is loaded in this process."""
    loaded = ((sys.modules.get(module), name) for module, name in _CLIENT_ERRORS)
    found = (getattr(module, name, None) for module, name in loaded)
    return tuple(kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception))


def blame(error: Exception, who: str, secrets: Sequence[str] = ()) -> ModelError:
    """Return the model error that says whose fault an SDK's error is.

    Args:
        who: The model, for the message.
        secrets: Texts that must not be in the message, whoever put them there.
    """
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    text = f"{who}: {redact(f'{type(error).__name__}: {error}', secrets)[:_MESSAGE_CHARACTERS]}"
    if status in (401, 403):
        return AuthenticationFailed(text)
    if status == 429:
        return RateLimited(text, _retry_after(getattr(response, "headers", None)))
    # the SDK's own word for an option that it does not know
    if isinstance(error, TypeError) and "keyword argument" in text:
        return RequestRefused(text)
    if isinstance(status, int) and 400 <= status < 500 and status not in (408, 409, 425):
        return RequestRefused(text)
    return ProviderFailed(text)


def redact(text: str, secrets: Sequence[str] = ()) -> str:
    """Return `text` without the given secrets and without anything of the shape of a key."""
    text = without(text, (secret for secret in secrets if len(secret) >= _SHORTEST))
    return _KEY_SHAPED.sub(MASK, text)


def _retry_after(headers: object) -> float | None:
    """Return the seconds of a Retry-After header (RFC 9110 10.2.3); its date form is left to the backoff."""
    get = getattr(headers, "get", None)
    value = get("retry-after") if callable(get) else None
    return float(value) if isinstance(value, str) and re.fullmatch(r"\d{1,6}(\.\d+)?", value) else None
