"""Stand-ins for importlib, inspect, os, sys, uuid and warnings, and the list of state that host and guest share."""

from __future__ import annotations

import contextlib
import decimal
import functools
import importlib
import inspect
import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from pinjra.guard.errors import RefusedOperation
from pinjra.guard.replacements import Keeper, named
from pinjra.guard.replacements.numeric import own_context
from pinjra.guard.replacements.objects import is_guest_function

if TYPE_CHECKING:
    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES", "KEEPERS"]


def _importlib(session: Session) -> StandIns:
    if not session.in_process:
        return {}

    def import_module(name: str, package: object = None) -> object:
        """Return a module that the policy authorises."""
        return session.import_module(name)

    return {"import_module": named(import_module, importlib.import_module)}


def _inspect(session: Session) -> StandIns:
    if not session.in_process:
        return {}

    def signature(obj: object, **options: object) -> inspect.Signature:
        # SECURITY: defaults of a host function may be the host's service objects.
        if not (is_guest_function(obj) or session.services.is_guest(obj)):
            raise RefusedOperation("inspect.signature reads functions and classes of your own only")
        return inspect.signature(cast(Callable[..., object], obj), eval_str=False)

    return {"signature": named(signature, inspect.signature)}


def _sys(session: Session) -> StandIns:
    if not session.in_process:
        return {}

    def exc_info() -> tuple[object, object, None]:
        kind, error, _ = sys.exc_info()
        return kind, error, None

    def getsizeof(obj: object, *default: object) -> int:
        if session.services.is_guest(obj) and not isinstance(obj, type):
            return object.__sizeof__(obj)
        return cast(Callable[..., int], sys.getsizeof)(obj, *default)

    return {"exc_info": exc_info, "getsizeof": named(getsizeof, sys.getsizeof)}


def _warnings(session: Session) -> StandIns:
    """Filters are the process's: warnings go nowhere, and what would tell a program of one is refused."""
    if not session.in_process:
        return {}

    def quiet(*args: object, **options: object) -> None:
        """Do nothing: warnings are not shown here."""

    def settle(action: object = "", *args: object, record: object = False, **options: object) -> None:
        if record is not False or (type(action) is str and action == "error"):
            hint = "warnings go nowhere in the host's process; run this in another executor"
            raise RefusedOperation("warnings cannot be recorded or raised here", hint)

    def catch_warnings(**options: object) -> contextlib.AbstractContextManager[None]:
        settle(**options)
        return contextlib.nullcontext()

    settings = dict.fromkeys(("filterwarnings", "simplefilter"), settle)
    return {**settings, "warn": quiet, "resetwarnings": quiet, "catch_warnings": catch_warnings}


def _keep_decimal() -> Keeper:
    def write(context: object) -> None:
        decimal.setcontext(cast(decimal.Context, context))

    return Keeper(read=decimal.getcontext, write=write, guest=own_context(decimal.Context()))


def _keep_numpy() -> Keeper:
    numpy = sys.modules["numpy"]

    def read() -> object:
        return (numpy.geterr(), numpy.get_printoptions())

    def write(state: object) -> None:
        errors, printing = cast("tuple[dict[str, str], dict[str, object]]", state)
        numpy.seterr(**errors)
        numpy.set_printoptions(**{k: v for k, v in printing.items() if k != "override_repr" or v is not None})

    return Keeper(read=read, write=write, guest=read())


def _keep_pandas() -> Keeper:
    """pandas keeps its options in one nested dict of plain values."""
    config = importlib.import_module("pandas._config.config")
    options = cast("dict[str, object]", config._global_config)

    def read() -> object:
        return _nested_copy(options)

    def write(state: object) -> None:
        _nested_update(options, cast("dict[str, object]", state))

    return Keeper(read=read, write=write, guest=read())


def _nested_copy(tree: dict[str, object]) -> dict[str, object]:
    return {key: _nested_copy(value) if type(value) is dict else value for key, value in tree.items()}


def _nested_update(tree: dict[str, object], state: dict[str, object]) -> None:
    for key, value in state.items():
        inner = tree.get(key)
        if type(inner) is dict and type(value) is dict:
            _nested_update(inner, value)
        elif inner is not value:
            tree[key] = value


# Module whose import by the guest starts it: module, attribute that empties a cache of the process (if it is there).
_CACHES = {
    "datetime": ("_strptime", "_regex_cache.clear"),
    "fractions": ("fractions", "_hash_algorithm.cache_clear"),
    "struct": ("_struct", "_clearcache"),
    "time": ("_strptime", "_regex_cache.clear"),
    "typing": ("typing", "_cleanups"),
    "zoneinfo": ("zoneinfo", "ZoneInfo.clear_cache"),
}


def _keep_nothing(module: str, path: str) -> Keeper:
    """Return what empties a cache whenever guest code stops.

    A key of the guest's stays in it, with its own `__hash__` and `__eq__`: the host would find another's answer there, or be
    stopped when the key is asked.
    """
    empty: object = importlib.import_module(module)
    for name in path.split("."):
        empty = getattr(empty, name, ())
    every = cast("list[Callable[[], object]]", empty if isinstance(empty, (list, tuple)) else [empty])
    return Keeper(read=lambda: None, write=lambda _: [one() for one in every], guest=None)


def _keep_re() -> Keeper:
    """Flags that are made by arithmetic are kept by the class RegexFlag, under numbers that may be the guest's."""
    made = cast("dict[object, object]", getattr(re.RegexFlag, "_value2member_map_"))  # noqa: B009
    templates = next(getattr(re, n) for n in ("_compile_template", "_compile_repl") if hasattr(re, n))

    def write(size: object) -> None:
        templates.cache_clear()
        while len(made) > cast(int, size):
            made.popitem()

    return Keeper(read=lambda: len(made), write=write, guest=len(made))


# Keeper's name -> (module whose import by the guest starts it, how to make it).
KEEPERS: dict[str, tuple[str, Callable[[], Keeper]]] = {
    "decimal": ("decimal", _keep_decimal),
    "numpy": ("numpy", _keep_numpy),
    "pandas": ("pandas", _keep_pandas),
    "re": ("re", _keep_re),
    **{owner: (owner, functools.partial(_keep_nothing, *cache)) for owner, cache in _CACHES.items()},
}

FACTORIES: dict[str, Factory] = {
    "importlib": _importlib,
    "inspect": _inspect,
    "sys": _sys,
    "warnings": _warnings,
}
