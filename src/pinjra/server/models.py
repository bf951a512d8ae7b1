"""What settings say of models and agents -> those objects. A model is loaded at its first use, once for agents and clients."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, cast

from pinjra.core.errors import ConfigurationError
from pinjra.models.adapted import AskedModel
from pinjra.models.base import Question
from pinjra.models.registry import load_model

PYTHON = "python:"  # before a model that stands in Python


class LoadedModels:
    """The models of one service. Used from any thread."""

    def __init__(self) -> None:
        self._loaded: dict[str, AskedModel] = {}
        self._lock = threading.Lock()

    def get(self, said: str) -> AskedModel:
        """Return the model of `pinjra run --model`, or a Python one: "python:module:name". Blocking: it may be loaded.

        Raises:
            ConfigurationError: There is none (the operator's fault).
        """
        with self._lock:
            if said not in self._loaded:
                own = said.removeprefix(PYTHON)
                made = load_model(said) if own == said else imported(own, AskedModel)
                self._loaded[said] = cast("AskedModel", made)
            return self._loaded[said]


def imported(place: str, kind: type) -> Any:
    """Return what stands in Python at "module:name": an object of this kind, or what a function there makes.

    Raises:
        ConfigurationError: It cannot be imported (the operator's fault).
    """
    found = found_at(place)
    return found if isinstance(found, kind) else found()


def found_at(place: str) -> Any:
    """Return what stands in Python at "module:name".

    Raises:
        ConfigurationError: It cannot be imported (the operator's fault).
    """
    module, colon, attribute = place.partition(":")
    if not (module and colon and attribute):
        raise ConfigurationError(f'what stands in Python is "module:name", not {place!r}')
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:  # a module of the operator's raises what it likes
        raise ConfigurationError(f"{place!r} cannot be imported: {type(error).__name__}: {error}") from error


def arguments_of(question: Question) -> dict[str, Any]:
    """Return the keyword arguments of `generate` and `stream` that ask a question."""
    given = {
        "stop": question.stop,
        "tools": question.tools,
        "response_schema": question.response_schema,
        "temperature": question.temperature,
    }
    return {**question.options, **{name: value for name, value in given.items() if value is not None}}
