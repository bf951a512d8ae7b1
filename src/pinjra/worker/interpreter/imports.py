"""Module names -> something done to these modules: now where they are loaded, otherwise once they are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

Adapt = Callable[[ModuleType], None]


def adapt_modules(adapt: Mapping[str, Adapt]) -> None:
    """Call each with its module. Nothing is imported for it: some of these modules cost 40 ms."""
    for name in adapt.keys() & sys.modules.keys():  # loaded in advance, for all sessions
        adapt[name](sys.modules[name])
    sys.meta_path.insert(0, _Finder(adapt))


class _Finder(MetaPathFinder):
    """Finds the modules that are adapted, as Python would, and no others."""

    def __init__(self, adapt: Mapping[str, Adapt]) -> None:
        self._adapt = adapt

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        adapt = self._adapt.get(fullname)
        spec = None if adapt is None else PathFinder.find_spec(fullname, path, target)
        if adapt is not None and spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                execute(module)
                if module.__name__ == fullname:  # the modules of a zip share their loader
                    adapt(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
