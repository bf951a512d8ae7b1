"""What a guest is told of a callable's parameters, and what it may give."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal

import pytest

from pinjra.core.calls import describe
from pinjra.core.errors import ToolRefused

SECRET = "sk-SECRET-0123456789"  # what must not be told


def fetch(
    url: str,
    kind: Literal["sk-SECRET-0123456789", "b"] = "b",
    *,
    token: Annotated[str, SECRET] = SECRET,
    limit: int | None = 31337,
) -> str:
    return f"{url} {token}"


class Client:
    def __init__(self, host: str, key: str = SECRET) -> None:
        self.key = key

    def __repr__(self) -> str:
        return f"Client({self.key})"

    def __call__(self, path: str, retries: int = 31337) -> str:
        return path

    def send(self, path: str, body: bytes = SECRET.encode()) -> str:
        return path

    post = functools.partialmethod(send, body=SECRET.encode())


def around(function: Callable[..., object]) -> Callable[..., object]:
    @functools.wraps(function)
    def inner(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return inner


bound = functools.partial(fetch, token=SECRET)
client = Client("host")


@pytest.mark.parametrize(
    ("function", "shown"),
    [
        (fetch, "(url: str, kind=..., *, token=..., limit: int | None = ...)"),
        (bound, "(url: str, kind=..., *, limit: int | None = ...)"),
        (functools.partial(bound, SECRET), "(kind=..., *, limit: int | None = ...)"),
        (functools.partial(fetch, kind=SECRET), "(url: str, *, token=..., limit: int | None = ...)"),
        (functools.update_wrapper(functools.partial(bound), fetch), "(url: str, kind=..., *, limit: int | None = ...)"),
        (around(bound), "(url: str, kind=..., *, limit: int | None = ...)"),
        (functools.lru_cache(around(bound)), "(url: str, kind=..., *, limit: int | None = ...)"),
        (Client, "(host: str, key: str = ...)"),
        (client, "(path: str, retries: int = ...)"),
        (client.send, "(path: str, body: bytes = ...)"),
        (client.post, "(path: str)"),
        (functools.partial(client, retries=31337), "(path: str)"),
        (functools.partial(Client.send, client), "(path: str, body: bytes = ...)"),
        (lambda path, client=client: path, "(path, client=...)"),
        (len, "(obj, /)"),
    ],
)  # fmt: skip
def test_a_refusal_names_parameters_and_types_and_nothing_that_the_host_gave(
    function: Callable[..., object], shown: str
) -> None:
    check = describe("tool", function).check
    assert check is not None
    with pytest.raises(ToolRefused) as refused:
        check((1, 2, 3, 4, 5), {})
    assert str(refused.value) == f"tool{shown}: too many positional arguments"
    with pytest.raises(ToolRefused) as refused:
        check((), {"nonsense": 1})
    assert str(refused.value).startswith(f"tool{shown}: ")
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "function",
    [bound, around(bound), functools.partial(around(bound), limit=1), functools.partial(dict, token=SECRET)],
)
def test_what_the_host_bound_cannot_be_given_anew(function: Callable[..., object]) -> None:
    check = describe("tool", function).check
    assert check is not None
    with pytest.raises(ToolRefused, match="unexpected keyword argument 'token'"):
        check((), {"url": "a", "token": "mine"})


def test_a_wrapper_that_gives_an_argument_itself_is_asked_for_its_own_signature() -> None:
    @functools.wraps(fetch)
    def inner(url: str) -> object:
        return fetch(url, token=SECRET)

    check = describe("tool", inner).check
    assert check is not None
    check(("a",), {})
    with pytest.raises(ToolRefused, match=r"^tool\(url: str\): got an unexpected keyword argument 'token'$"):
        check(("a",), {"token": "mine"})


def test_a_partials_description_is_that_of_what_it_calls() -> None:
    def documented() -> None:
        """Say hello."""

    assert describe("tool", functools.partial(documented)).doc == "Say hello."


def test_async_functions_are_concurrent_and_plain_ones_are_not() -> None:
    async def waits() -> None:
        pass

    def plain() -> None:
        pass

    assert (describe("a", waits).is_concurrent, describe("b", plain).is_concurrent) == (True, False)
    plain.concurrent, waits.concurrent = True, False  # type: ignore[attr-defined]
    assert (describe("a", waits).is_concurrent, describe("b", plain).is_concurrent) == (False, True)


@dataclass
class Asked:
    url: str
    token: str = SECRET

    def __call__(self) -> str:
        return self.url


class Inherited(Asked):
    pass


@functools.wraps(Asked)
def wrapped(*args: object) -> object:
    return args


@pytest.mark.parametrize(
    "function", [Asked, Asked("x"), Inherited, functools.partial(Asked, "x"), wrapped], ids=type
)
def test_what_dataclass_writes_of_its_defaults_is_not_told(function: Callable[..., object]) -> None:
    assert describe("tool", function).doc == ""
