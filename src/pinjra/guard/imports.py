"""Import requests of guest code -> module proxies with the public names of what the policy authorises.

A proxy holds real classes and functions (so `is`, isinstance, subclassing and `except` work) and nothing else: no modules that
were not authorised, no gates, no dunders. It is frozen. Where a real function would walk attributes, evaluate text, change host
state or explode, the proxy holds a stand-in (see `replacements/`).

Proxies belong to one importer (one session): what one guest does to one is never seen by another.

Does not work: handing out real modules and checking each attribute load (every module leads to sys in two hops);
copying modules (their functions keep their globals).
"""

from __future__ import annotations

import copy
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pinjra.guard.audit import guest_running, host_section
from pinjra.guard.errors import RefusedAttribute, RefusedImport
from pinjra.guard.modules import (
    DEFAULT_AUTHORIZED,
    NEVER,
    PUBLIC,
    REFUSED_IN_PROCESS,
    REFUSED_NAMES,
    SUBMODULES,
)

if TYPE_CHECKING:
    import asyncio

    from pinjra.guard.policy import Policy
    from pinjra.guard.services import GuardServices

__all__ = ["DEFAULT_AUTHORIZED", "Importer", "has_libraries"]


def has_libraries(policy: Policy) -> bool:
    """Return whether modules beyond the reviewed ones may be loaded into the host's process."""
    return policy.in_process and not {*DEFAULT_AUTHORIZED, *PUBLIC}.issuperset(policy.authorized_imports)


class ModuleProxy:
    """What guest code sees of one module: its public names, frozen."""

    __slots__ = ("__dict__", "__weakref__")

    def __setattr__(self, name: str, value: object) -> None:
        raise RefusedAttribute(f"module {self.__name__} is read-only", "bind a variable of your own instead")

    def __delattr__(self, name: str) -> None:
        raise RefusedAttribute(f"module {self.__name__} is read-only")

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}>"

    def __reduce_ex__(self, protocol: object) -> str:
        raise TypeError("cannot pickle 'module' object")

    def __dir__(self) -> list[str]:
        raise NotImplementedError  # made per importer, where the names are known

    __name__: str


def _gates() -> dict[int, object]:
    """Return id -> object of the interpreter's own gates that are loaded. The objects are kept, so the ids stay theirs."""
    found: dict[int, object] = {}
    for module, names in NEVER:
        loaded = sys.modules.get(module)
        for name in names:
            value = getattr(loaded, name, None)
            if value is not None:
                found[id(value)] = value
    return found


def _copied(value: object) -> object:
    """Return a module-level container as a copy of the session's own; anything else as it is."""
    kind = type(value)
    if kind is dict and isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if kind is list and isinstance(value, list):
        return [_copied(item) for item in value]
    if kind.__module__ in ("uuid", "calendar") and not isinstance(value, type):
        return copy.copy(value)  # `UUID.__init__(NAMESPACE_DNS, int=0)` writes into it
    if (kind is set and isinstance(value, set)) or (kind is bytearray and isinstance(value, bytearray)):
        return value.copy()
    return value


class Importer:
    """One session's import statement.

    Args:
        policy: `authorized_imports` (entries `pkg`, `pkg.sub`, `pkg.*`, `*`) and `in_process`.
        services: The runtime's guards, for the stand-ins.
    """

    def __init__(self, policy: Policy, *, services: GuardServices) -> None:
        from pinjra.guard.replacements import Session

        self._authorized = frozenset(policy.authorized_imports)
        self._in_process = policy.in_process
        self.has_libraries = has_libraries(policy)
        self._proxies: dict[str, ModuleProxy] = {}
        self._names: dict[int, str] = {}
        self._shown: dict[str, dict[str, object]] = {}
        self._stand_ins: dict[str, dict[str, object]] = {}
        self._proxy_type = self._make_type()
        in_process, leaf = policy.in_process, self._import_leaf
        self.session = Session(services=services, in_process=in_process, import_module=leaf)

    # ------------------------------------------------------------------ what the runtime calls

    def import_module(self, name: str, fromlist: tuple[str, ...] = (), level: int = 0) -> object:
        """Return what `__import__` would: the top-level proxy, or the leaf when names are imported from it.

        Raises:
            RefusedImport: The policy does not authorise it (the guest's fault).
            ImportError: The module, or a name in it, does not exist.
        """
        if type(name) is not str or level:
            raise RefusedImport("relative imports are not possible here", "import a module by its full name")
        leaf = self._leaf(name)
        if not fromlist:
            return self._proxy(name.partition(".")[0], bare=not self._is_allowed(name.partition(".")[0]))
        for item in fromlist:
            if type(item) is str and item != "*":
                self._check_from(leaf, name, item)
        return leaf

    def import_star(self, name: str) -> dict[str, object]:
        """Return the names that `from name import *` binds."""
        leaf = self._leaf(name)
        names = self._public_names(name)
        return {
            item: getattr(leaf, item) for item in names if not item.startswith("_") and hasattr(leaf, item)
        }

    def is_proxy(self, obj: object) -> bool:
        """Return whether `obj` is a module proxy of this importer."""
        return type(obj) is self._proxy_type

    @contextmanager
    def running(self, *readable: str) -> Iterator[None]:
        """Guest code runs inside: audit events are looked at, and shared state (decimal context, options) is the guest's.

        Args:
            readable: Real folders below which the guest may read, besides those of the interpreter.
        """
        if not self._in_process:
            yield
            return
        self.session.enter()
        try:
            with guest_running(readable):
                yield
        finally:
            self.session.leave()

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        """Return a loop for a program that awaits at its top level; whoever runs it closes it."""
        from pinjra.guard.replacements.coroutines import guest_loop

        return guest_loop(self.session)

    def end_event_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cancel what is left on a loop and close it."""
        from pinjra.guard.replacements.coroutines import end_loop

        end_loop(loop)

    def guarded_method(self, obj: object, name: str) -> object:
        """Return what guest code gets for attribute `name` (one of METHOD_NAMES) of any object."""
        from pinjra.guard.replacements.science import guard_method

        value = getattr(obj, name)
        # A proxy holds what was reviewed already.
        return value if self.is_proxy(obj) else guard_method(self.session, obj, name, value)

    # ------------------------------------------------------------------ policy

    def _is_allowed(self, name: str) -> bool:
        """Return whether the policy authorises exactly this dotted name."""
        if "*" in self._authorized or name in self._authorized:
            return True
        parts = name.split(".")
        if any(".".join(parts[:n]) + ".*" in self._authorized for n in range(1, len(parts) + 1)):
            return True
        parent, _, last = name.rpartition(".")
        return bool(parent) and last in SUBMODULES.get(parent, ()) and self._is_allowed(parent)

    def _check(self, name: str) -> None:
        """Refuse a dotted name that is not authorised, private, or never given in this process."""
        parts = name.split(".")
        if not all(
            part.isidentifier() and not part.startswith("_") for part in parts
        ) or not self._is_allowed(name):
            listed = ", ".join(sorted(self._authorized)) or "nothing"
            raise RefusedImport(f"import of {name} is not authorised; authorised: {listed}")
        if self._in_process:
            why = REFUSED_IN_PROCESS.get(parts[0]) or REFUSED_IN_PROCESS.get(name)
            last = REFUSED_NAMES.get(".".join(parts[:-1]), {}).get(parts[-1])
            if why or last:
                raise RefusedImport(f"import of {name} is refused in the host's process", why or last or "")

    def _import_leaf(self, name: str) -> object:
        """Return the proxy of a dotted name (the guest's `importlib.import_module`)."""
        return self.import_module(name, ("*",))

    def _leaf(self, name: str) -> ModuleProxy:
        self._check(name)
        if name not in self._proxies:
            self._load(name)
            # `import a.b` also binds b on a's proxy, as Python does.
        proxy = self._proxy(name)
        parent, _, last = name.rpartition(".")
        child = proxy
        while parent:
            holder = self._proxy(parent, bare=not self._is_allowed(parent))
            vars_of(holder).setdefault(last, child)
            child = holder
            parent, _, last = parent.rpartition(".")
        return proxy

    def _check_from(self, leaf: ModuleProxy, name: str, item: str) -> None:
        """Make `item` available on `leaf`: an attribute, or a submodule that is authorised."""
        if item.startswith("_"):
            raise RefusedImport(f"import of {item} from {name} is not authorised: it is private")
        if hasattr(leaf, item):
            return
        full = f"{name}.{item}"
        if self._in_process and item in REFUSED_NAMES.get(name, {}):
            raise RefusedImport(f"{full} is refused in the host's process: {REFUSED_NAMES[name][item]}")
        if self._is_allowed(full) and self._exists(full):
            self._leaf(full)
            return
        value = getattr(sys.modules.get(name), item, None)
        if value is None:
            raise ImportError(f"cannot import name {item!r} from {name!r}")
        raise RefusedImport(f"import of {full} is not authorised", f"it is no public name of {name}")

    # ------------------------------------------------------------------ loading and showing

    def _load(self, name: str) -> types.ModuleType:
        """Return the real module, imported as the host would: libraries read their own files while they load."""
        with host_section():
            try:
                module = importlib.import_module(name)
            except RefusedImport:
                raise
            except ImportError as error:
                raise type(error)(str(error), name=name) from None
        self.session.loaded(name)
        return module

    def _exists(self, name: str) -> bool:
        try:
            self._load(name)
        except ImportError:
            return False
        return True

    def _proxy(self, name: str, *, bare: bool = False) -> ModuleProxy:
        """Return the one proxy of a module; `bare`: only a holder of authorised submodules."""
        known = self._proxies.get(name)
        if known is not None:
            return known
        module = self._load(name)
        proxy = self._proxy_type()
        self._proxies[name] = proxy
        self._names[id(proxy)] = "" if bare else name
        space = vars_of(proxy)
        doc = module.__doc__
        space.update({"__name__": name, "__doc__": doc if type(doc) is str and not bare else None})
        if not bare:
            space.update(self._reviewed(name, module))
        return proxy

    def _reviewed(self, name: str, module: types.ModuleType) -> dict[str, object]:
        """Return the names of a reviewed module at once; of others only the stand-ins (the rest comes on demand)."""
        stand_ins = self.session.stand_ins(name)
        if not self._has_table(name):
            return stand_ins
        found: dict[str, object] = {}
        for item in PUBLIC[name].split():
            if item in stand_ins:
                found[item] = stand_ins[item]
            elif item in vars(module):
                found[item] = _copied(vars(module)[item])
        return {**found, **{item: value for item, value in stand_ins.items() if item in found}}

    def _has_table(self, name: str) -> bool:
        """Return whether this module is given by its table; user-authorised system modules are, in-process only."""
        system = name in {"os", "sys", "os.path", "importlib", "inspect", "warnings"}
        return name in PUBLIC and (self._in_process or not system)

    def _public_names(self, name: str) -> list[str]:
        if self._has_table(name):
            return [item for item in vars_of(self._proxies[name]) if not item.startswith("__")]
        module = self._load(name)
        listed = getattr(module, "__all__", None)
        names = list(listed) if isinstance(listed, (list, tuple)) else list(vars(module))
        return [item for item in names if type(item) is str]

    def _resolve(self, proxy: ModuleProxy, item: str) -> object:
        """Return a public name on demand, or refuse it; asked only when the proxy does not hold it yet."""
        name = self._names.get(id(proxy), "")
        where = vars_of(proxy)["__name__"]
        if type(item) is not str or item.startswith("_") or not name or self._has_table(name):
            return self._sub(proxy, f"{where}.{item}", item)
        refused = REFUSED_NAMES.get(name, {}).get(item) if self._in_process else None
        if refused:
            raise RefusedAttribute(f"{name}.{item} is refused in the host's process: {refused}")
        module = self._load(name)
        try:
            value = getattr(module, item)
        except AttributeError:
            return self._sub(proxy, f"{name}.{item}", item)
        # SECURITY: a module reached through another module is never given; the policy decides on its own name.
        if isinstance(value, types.ModuleType):
            return self._sub(proxy, f"{name}.{item}", item)
        # SECURITY: eval, exec, open and their like stay out, whatever module re-exports them.
        if self._in_process and id(value) in _gates():
            raise RefusedAttribute(f"{name}.{item} is refused: it is a gate of the interpreter")
        value = _copied(value) if self._in_process else value
        vars_of(proxy)[item] = value
        return value

    def _sub(self, proxy: ModuleProxy, full: str, item: str) -> object:
        """Return the proxy of a submodule that comes with its package, or refuse the name."""
        parent = full.rpartition(".")[0]
        comes_along = item in SUBMODULES.get(parent, ()) or full in self._authorized
        if type(item) is str and comes_along and self._is_allowed(full) and self._exists(full):
            return self._leaf(full)
        real = sys.modules.get(parent)
        hint = f"module {parent} gives its public names only"
        if real is not None and type(item) is str and hasattr(real, item):
            raise RefusedAttribute(f"{full} is not authorised", hint)
        raise AttributeError(f"module {parent!r} has no attribute {item!r}")

    def _make_type(self) -> type[ModuleProxy]:
        """Return the proxies' class: its functions close over the importer, so no proxy holds a way to it."""
        importer = self

        def resolve(proxy: ModuleProxy, item: str) -> object:
            return importer._resolve(proxy, item)

        def names(proxy: ModuleProxy) -> list[str]:
            name = importer._names.get(id(proxy), "")
            public = importer._public_names(name) if name else []
            return sorted({*public, *(item for item in vars_of(proxy) if not item.startswith("__"))})

        # SECURITY: __dict__ is hidden, so that vars() and C code that asks for it by name do not get the live namespace.
        hidden = property(_hide)
        body: dict[str, object] = {
            "__slots__": (),
            "__getattr__": resolve,
            "__dir__": names,
            "__dict__": hidden,
        }
        return type("module", (ModuleProxy,), {**body, "__module__": "builtins"})


def _hide(proxy: ModuleProxy) -> object:
    raise RefusedAttribute("__dict__ of a module is not given")


_namespace: Callable[[ModuleProxy], dict[str, object]] = ModuleProxy.__dict__["__dict__"].__get__


def vars_of(proxy: ModuleProxy) -> dict[str, object]:
    """Return a proxy's live namespace; host code only."""
    return _namespace(proxy)
