"""Import statements of guest code -> modules, or one short refusal that says what would allow it.

Where imports are "standard" or "all", guest code gets the real modules. Where they are "listed" it gets a view of each:
its public names, no modules that were not authorised. Only guest code is asked: what a library imports is its own business.

Does not work: a finder on `sys.meta_path`. It is not asked for what is loaded already, so preloading would be visible.
"""

from __future__ import annotations

import builtins
import difflib
import functools
import importlib
import importlib.util
import os
import pkgutil
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from weakref import WeakKeyDictionary

from pinjra.guard.errors import RefusedAttribute, RefusedImport
from pinjra.guard.policy import DEFAULT_AUTHORIZED, Policy
from pinjra.guard.policy.modules import LISTED, MEANT, UNFIT
from pinjra.guard.policy.names import NAMES_ALLOWED_BY, REFUSED_ATTRIBUTES

__all__ = ["DEFAULT_AUTHORIZED", "Importer"]

_ALIKE = 0.75  # of difflib.get_close_matches: one letter in four may differ
_VOLATILE = frozenset(["sys"])  # its names are bound anew while a program runs
_ZONED = frozenset(["time"])  # so are its constants (`tzset`)
# Not True and False, which are often states.
_CONSTANT = (int, float, complex, str, bytes, tuple, frozenset)


class Importer:
    """One interpreter's import statement."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._authorized = {name.removesuffix(".*") for name in policy.authorized_imports}
        self._allowed: set[str] = set()
        self._views: dict[str, types.ModuleType] = {}

    # ------------------------------------------------------------------ what import statements call

    def statement(self) -> object:
        """Return what stands as `__import__` in the guest's builtins; None where everything may be imported."""
        mode = self._policy.mode
        return None if mode == "all" else self._view_of_import if mode == "listed" else self._checked_import

    def import_module(self, name: str, package: str | None = None) -> object:
        """Return what `importlib.import_module` gives to guest code.

        Raises:
            RefusedImport: The policy does not authorise it (the guest's fault).
        """
        name = str.__str__(name)  # SECURITY: a subclass could be equal to any name
        if name.startswith("."):
            return importlib.import_module(name, package)
        self.check(name)
        module = importlib.import_module(name)
        return self._view(name) if self._policy.mode == "listed" else module

    def _checked_import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (the real one's names)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> object:
        name = str.__str__(name)  # SECURITY: a subclass could be equal to any name
        # C code (PyImport_Import) asks by the builtins of the frame that called it, with an empty list: no statement does.
        is_statement = type(fromlist) is not list or fromlist
        if is_statement and name and not level and name not in self._allowed:
            self.check(name, fromlist or ())
        return builtins.__import__(name, globals, locals, fromlist, level)

    def _view_of_import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 (the real one's names)
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> object:
        module = self._checked_import(name, globals, locals, fromlist, level)
        if level or type(fromlist) is list:
            return module
        if not fromlist:
            return self._view(name.partition(".")[0])
        view = self._view(name)
        for item in fromlist:
            try:
                getattr(view, item)
            except RefusedAttribute as refused:
                raise RefusedImport(str(refused), refused.hint) from None
            except AttributeError:  # the statement itself says so
                pass
        return view

    # ------------------------------------------------------------------ policy

    def check(self, name: str, items: Iterable[str] = ()) -> None:
        """Refuse a module that may not be imported; `items` are asked of it.

        Raises:
            RefusedImport: With the nearest name, whether it is installed, and the parameter that allows it.
        """
        if self.is_allowed(name):
            self._allowed.add(name)
        elif self._policy.mode == "standard" and _is_own(name.partition(".")[0]):
            importlib.invalidate_caches()  # the program may have written it just now
        elif not items or not all(self.is_allowed(f"{name}.{item}") for item in items):
            raise self._refusal(name)

    def is_allowed(self, name: str) -> bool:
        """Return whether this dotted name may be imported."""
        mode = self._policy.mode
        if mode == "all" or (mode == "listed" and name in LISTED):
            return True
        top = name.partition(".")[0]
        if mode == "standard" and (name == "__main__" or top in sys.stdlib_module_names) and top not in UNFIT:
            return True
        return self._is_authorized(name)

    def _is_authorized(self, name: str) -> bool:
        """Return whether the name, or a package that it lies below, was authorised; or else its distribution was."""
        top = name
        while name:
            if name in self._authorized:
                return True
            top, name = name, name.rpartition(".")[0]
        return any(_is_part(top, other) for other in self._authorized if "." not in other)

    def _refusal(self, name: str) -> RefusedImport:
        top = name.partition(".")[0]
        allow = _allowing(name)
        if top in sys.stdlib_module_names:
            why = f": {UNFIT[top]}" if self._policy.mode == "standard" and top in UNFIT else ""
            return RefusedImport(f"import of {name} is not authorised{why}", allow, name=name)
        if _is_installed(top):
            return RefusedImport(
                f"import of {name} is not authorised", f"{top} is installed; {allow}", name=name
            )
        meant = self._nearest(name) or self._nearest(top)
        hint = f"did you mean {meant}?" if meant else "only what the executor was given can be imported"
        return RefusedImport(
            f"import of {name} is not authorised, and {top} is not installed", hint, name=name
        )

    def _nearest(self, name: str) -> str:
        """Return the module that this was perhaps meant to be; "" where none is near."""
        if name in MEANT:
            return MEANT[name]
        known = {*self._authorized, *_installed()}
        known |= set(LISTED if self._policy.mode == "listed" else sys.stdlib_module_names)
        return next(iter(difflib.get_close_matches(name, known, 1, _ALIKE)), "")

    # ------------------------------------------------------------------ views of modules, where imports are "listed"

    def _view(self, name: str) -> types.ModuleType:
        """Return the one view of a loaded module."""
        view = self._views.get(name)
        if view is None:
            view = self._views[name] = _View(name)
            _fill(view, self, importlib.import_module(name))
        return view

    def resolve(self, name: str, module: types.ModuleType, item: str) -> object:
        """Return what a view of `module`, imported as `name`, shows under `item`.

        Raises:
            RefusedAttribute: It is private, or a module that is not authorised.
        """
        is_dunder = item[:2] == item[-2:] == "__"
        if not self.is_shown(name, item):
            allow = NAMES_ALLOWED_BY if item in REFUSED_ATTRIBUTES else _allowing(name)
            raise RefusedAttribute(f"{name}.{item} is private", allow)
        value = getattr(module, item)
        full = f"{name}.{item}"
        if isinstance(value, types.ModuleType):
            return self._inner(name, full, value)
        if not self.is_allowed(name) and not is_dunder and not self.is_allowed(full):
            raise RefusedAttribute(f"{full} is not authorised", _allowing(full))
        return value

    def is_shown(self, name: str, item: str) -> bool:
        """Return whether a name of a module may be asked for: public, or of a module that its caller authorised by name."""
        if item[:1] != "_":
            return True
        return item not in REFUSED_ATTRIBUTES and (item[:2] == item[-2:] == "__" or self._is_authorized(name))

    def _inner(self, name: str, full: str, value: types.ModuleType) -> object:
        """Return the view of a module that another holds."""
        if sys.modules.get(full) is value and (self.is_allowed(full) or self._leads_on(full)):
            return self._view(full)
        own, top = value.__name__, name.partition(".")[0]
        # An installed package shows modules of its own under names of its choice (matplotlib.pyplot.style).
        is_shown = top not in sys.stdlib_module_names and self.is_allowed(name) and own.startswith(top + ".")
        if is_shown:
            self._authorized.add(own)
        if self.is_allowed(own):
            return self._view(own)
        raise RefusedAttribute(f"{full} is the module {own}, which is not authorised", _allowing(own))

    def _leads_on(self, name: str) -> bool:
        """Return whether something below `name` was authorised."""
        return any(entry.startswith(name + ".") for entry in self._authorized)


class _View(types.ModuleType):
    """What guest code sees of one module. What it sets on it is set on the module.

    No method of its own: it would hide what the module has under that name (`pyplot.show`).
    """

    def __setattr__(self, name: str, value: object) -> None:
        module = _MODULES.get(self)
        if module is None:  # a program's own, of the class that it found
            super().__setattr__(name, value)
        else:
            vars(self).pop(name, None)
            setattr(module, name, value)

    def __delattr__(self, name: str) -> None:
        module = _MODULES.get(self)
        if module is None:
            super().__delattr__(name)
        else:
            vars(self).pop(name, None)
            delattr(module, name)


class _Viewed(types.ModuleType):
    """A module that has views: what a library sets on it (`mock.patch("json.loads")`) they tell anew."""

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        _forget(self, name)

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        _forget(self, name)


def _forget(module: types.ModuleType, name: str) -> None:
    for view in _views_of(module):
        vars(view).pop(name, None)


def _views_of(module: types.ModuleType) -> list[types.ModuleType]:
    views = [reference() for reference in _MODULES.keyrefs()]  # a list: other threads may import
    return [view for view in views if view is not None and _MODULES.get(view) is module]


_MODULES: WeakKeyDictionary[types.ModuleType, types.ModuleType] = WeakKeyDictionary()
"""View -> module. Beside the views: among their variables a program would find it."""


def _fill(view: _View, importer: Importer, module: types.ModuleType) -> None:
    """Let a view have the names of `module` from now on (PEP 562: no attribute guard of Python).

    Of the standard library those that are loaded, so that `vars()` tells them; of others each when it is asked for.
    """
    name, space = view.__name__, vars(view)
    is_own = name.partition(".")[0] in sys.stdlib_module_names and importer.is_allowed(name)

    def resolve(item: str) -> object:
        is_list = item == "__all__" and item not in vars(module)
        value = _public(module) if is_list else importer.resolve(name, module, item)
        if is_settled(item, value):
            space[item] = value
        return value

    def is_settled(item: str, value: object) -> bool:
        if name in _VOLATILE or isinstance(value, bool):
            return False
        if isinstance(value, types.ModuleType) or callable(value):
            return getattr(value, "__module__", "") != "__main__"  # what the program has set may be set anew
        # other modules may count in theirs, and any module in private ones
        return is_own and item[:1] != "_" and name not in _ZONED and isinstance(value, _CONSTANT)

    def names() -> list[str]:
        return [item for item in dir(module) if importer.is_shown(name, item)]

    def is_copied(item: str, value: object) -> bool:
        is_plain = is_own and is_settled(item, value) and not isinstance(value, types.ModuleType)
        return importer.is_shown(name, item) and (is_plain or item[:2] == item[-2:] == "__")

    # `object` has some of those with two underscores, which is therefore not asked for them
    space.update({item: value for item, value in vars(module).items() if is_copied(item, value)})
    space.update(__getattr__=resolve, __dir__=names, __spec__=getattr(module, "__spec__", None))
    _MODULES[view] = module
    if type(module) is types.ModuleType and name not in _VOLATILE:
        module.__class__ = _Viewed
    if name == "dataclasses":
        _know_views(module)


def _know_views(dataclasses: types.ModuleType) -> None:
    """Let dataclasses take `typing.ClassVar` in a text for what it is: it looks whether `typing` there is its own."""
    is_type = vars(dataclasses)["_is_type"]
    if hasattr(is_type, "__wrapped__"):
        return

    @functools.wraps(is_type)
    def is_type_of_view(
        text: str, cls: type, module: types.ModuleType, kind: object, is_kind: Callable[..., bool]
    ) -> bool:
        modules = [module, *_views_of(module)]
        return any(
            is_type(text, cls, each, kind, lambda found, _: is_kind(found, module)) for each in modules
        )

    vars(dataclasses)["_is_type"] = is_type_of_view


def _public(module: types.ModuleType) -> list[str]:
    """Return what `from module import *` binds where the module has no list: nothing is loaded for it."""
    space = vars(module)
    return [item for item in space if item[:1] != "_" and not isinstance(space[item], types.ModuleType)]


def _allowing(name: str) -> str:
    return f"authorized_imports=[{name!r}] allows it (agents: additional_authorized_imports)"


def _is_own(top: str) -> bool:
    """Return whether the program, or its host by `put_file`, has put this module into its folder, or below it, or made it."""
    if top in sys.modules and getattr(sys.modules[top], "__spec__", None) is None:
        return True  # nothing that was loaded, also where the program wants it not to be there (None)
    if os.path.isfile(f"{top}.py") or os.path.isfile(os.path.join(top, "__init__.py")):
        return True
    importlib.invalidate_caches()
    places = [os.path.join(os.path.abspath(folder), "") for folder in _folders(top)]
    here, installed = os.path.join(os.getcwd(), ""), os.path.join(sys.prefix, "")
    return any(place.startswith(here) and not place.startswith(installed) for place in places)


@functools.cache
def _is_part(top: str, other: str) -> bool:
    """Return whether the distribution that has the name of the module `other` brings `top` too (matplotlib: mpl_toolkits)."""
    if top == other or top[:1] == "_" or not sys.stdlib_module_names.isdisjoint((top, other)):
        return False
    from importlib.metadata import distributions

    # SECURITY: of one folder only, since what the program has written says nothing about what is installed elsewhere.
    folders = _folders(top) & _folders(other)
    lists = [found.read_text("RECORD") or "" for found in distributions(name=other, path=[*folders])]
    return any(line.startswith((f"{top}/", f"{top}.py,")) for text in lists for line in text.splitlines())


def _folders(top: str) -> set[str]:
    """Return the folders that a module would be loaded from."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return set()
    places = [] if spec is None else spec.submodule_search_locations or [spec.origin or ""]
    return {os.path.dirname(place) for place in places}


def _is_installed(top: str) -> bool:
    try:
        return top in sys.modules or importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False


@functools.cache
def _installed() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules() if module.name[:1] != "_")
