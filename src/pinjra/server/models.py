"""What settings say of models and agents -> those objects. A model is loaded at its first use, once for agents and clients."""

from __future__ import annotations

import threading
from importlib import import_module
from typing import Any, cast

from pinjra.core.errors import ConfigurationError
from pinjra.models.adapted import AskedModel
from pinjra.models.base import Question
from pinjra.models.registry import load_model

__all__ = ["LoadedModels", "arguments_of", "imported"]

_PYTHON = "python:"


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
                own = said.removeprefix(_PYTHON)
                made = load_model(said) if own == said else imported(own, AskedModel)
                self._loaded[said] = cast("AskedModel", made)
            return self._loaded[said]


def imported(place: str, kind: type) -> Any:
    """Return what stands in Python at "module:name": an object of this kind, or what a function there makes.

    Raises:
        ConfigurationError: It cannot be imported (the operator's fault).
    """
    module, _, attribute = place.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"{place!r} cannot be imported: {error}") from error
    return found if isinstance(found, kind) else found()


def arguments_of(question: Question) -> dict[str, Any]:
    """Return the keyword arguments of `generate` and `stream` that ask a question."""
    given = {
        "stop": question.stop,
        "tools": question.tools,
        "response_schema": question.response_schema,
        "temperature": question.temperature,
    }
    return {**question.options, **{name: value for name, value in given.items() if value is not None}}
