"""The builtins that guest code sees: CPython's own where harmless, guarded ones where not, refusals for the rest."""

from __future__ import annotations

import builtins
import sys
import types
from collections.abc import Callable, Iterable, MutableMapping
from typing import TYPE_CHECKING, cast

from pinjra.core.execution import Stream
from pinjra.guard.errors import RefusedOperation
from pinjra.guard.metering import is_long
from pinjra.guard.modules import words
from pinjra.guard.policy import REFUSED_NAMES, Kind, kind_of

if TYPE_CHECKING:
    from pinjra.guard.runtime import Runtime

__all__ = ["REFUSED", "build_builtins"]

_Write = Callable[[Stream, str], None]

_OPTIMIZED = 1  # inspect.CO_OPTIMIZED: a function's code
_SHORT = 1 << 16  # characters that a replacement may make unpriced

_AS_THEY_ARE = words(
    "abs aiter anext ascii bin bool bytearray bytes callable chr classmethod complex dict divmod float "
    "frozenset hash hex id int isinstance issubclass len list memoryview next object oct ord property "
    "range repr round set slice staticmethod str super tuple type Ellipsis False None NotImplemented True "
    "__debug__ __name__ __doc__"
)

REFUSED = {
    "open": "files are not available; keep data in variables, or use io.StringIO",
    "eval": "write the expression itself; for data use json.loads or int()/float()",
    "exec": "write the statements themselves",
    "compile": "write the code itself",
    "input": "there is nobody to ask; use the values and tools that you have",
    "breakpoint": "use print()",
    "help": "use print(function.__doc__)",
    "exit": "raise an exception, or let the code come to its end",
    "quit": "raise an exception, or let the code come to its end",
}


def build_builtins(runtime: Runtime, write: _Write) -> dict[str, object]:
    """Return the names that guest code finds without importing anything; guards are added by `runtime`."""
    table: dict[str, object] = {
        name: getattr(builtins, name) for name in _AS_THEY_ARE if hasattr(builtins, name)
    }
    for name, value in vars(builtins).items():
        if isinstance(value, type) and issubclass(value, BaseException):
            table[name] = value
    for name, hint in REFUSED.items():
        table[name] = _refusal(name, hint)
    table.update(_consumers(runtime))
    table.update(_lazies(runtime))
    table.update(_reflection(runtime))
    table["print"] = _like(print, _printer(write))
    table["pow"] = _like(pow, lambda base, exp, mod=None: runtime.power(base, exp, mod))
    table["format"] = _like(
        format, lambda value, spec="", /: format(value, cast(str, runtime.pricing.spec(spec)))
    )
    table["$replace"] = _replacer(runtime)
    table["__name__"] = "builtins"
    table["__import__"] = _import_for_c
    return table


_NEVER = frozenset(words("builtins ctypes importlib io os posix nt pty runpy shutil socket subprocess sys"))


def _import_for_c(name: str, *args: object, **kwargs: object) -> object:
    """Import what C functions ask for by the builtins of the frame they were called from (datetime, numpy).

    Guest source cannot name `__import__`; its import statements go through the importer.
    """
    # SECURITY: should a guest find a way here all the same, the modules that matter stay closed.
    if name.partition(".")[0] in _NEVER:
        raise RefusedOperation(f"import of {name} is not available here")
    return builtins.__import__(name, *args, **kwargs)  # type: ignore[arg-type]


def _replacer(runtime: Runtime) -> Callable[..., object]:
    """Return `target.replace(old, new)` as a function: short strings without a detour, others priced."""
    load = runtime.special.load

    def replace(target: object, old: object, new: object) -> object:
        if type(target) is str and type(old) is str and type(new) is str and len(target) * len(new) < _SHORT:
            return target.replace(old, new)
        return cast(Callable[..., object], load(target, "replace"))(old, new)

    return replace


def _like(real: object, stand_in: Callable[..., object]) -> Callable[..., object]:
    """Return `stand_in` looking like the builtin it stands for."""
    function = cast(types.FunctionType, stand_in)
    name = getattr(real, "__name__", "function")
    function.__name__ = function.__qualname__ = name
    function.__module__ = "builtins"
    function.__doc__ = getattr(real, "__doc__", None)
    return function


def _refusal(name: str, hint: str) -> Callable[..., object]:
    def refused(*args: object, **kwargs: object) -> object:
        raise RefusedOperation(f"{name}() is not available here", hint)

    return _like(getattr(builtins, name, refused), refused)


def _consumers(runtime: Runtime) -> dict[str, object]:
    """Return the functions that run an iterable to its end in C, each with its iterable metered."""

    steady = runtime.steady

    def total(iterable: object, /, start: object = 0) -> object:
        return sum(steady(iterable), start)  # type: ignore[call-overload]

    def arrange(iterable: object, /, *, key: object = None, reverse: object = False) -> object:
        return sorted(steady(iterable), key=key, reverse=reverse)  # type: ignore[call-overload]

    def extreme(real: Callable[..., object]) -> Callable[..., object]:
        def pick(*args: object, **kwargs: object) -> object:
            return real(steady(args[0]), **kwargs) if len(args) == 1 else real(*args, **kwargs)

        return _like(real, pick)

    return {
        "sum": _like(sum, total),
        "sorted": _like(sorted, arrange),
        "any": _like(any, lambda iterable, /: any(steady(iterable))),
        "all": _like(all, lambda iterable, /: all(steady(iterable))),
        "min": extreme(min),
        "max": extreme(max),
    }


def _lazies(runtime: Runtime) -> dict[str, object]:
    """Return map, filter, zip, enumerate and reversed as classes that know how deeply they are nested."""

    def paid(iterable: object) -> object:
        # SECURITY: `filter` may skip all of it in C, and so may what reads the others under another name.
        return runtime.fuel.meter(cast(Iterable[object], iterable)) if is_long(iterable) else iterable

    kinds: dict[type, int] = {map: 1, filter: 1, zip: 0, enumerate: 0, reversed: 0}
    return {
        kind.__name__: runtime.lazy_class(kind, slice(skip, None), paid if kind is not reversed else None)
        for kind, skip in kinds.items()
    }


def _printer(write: _Write) -> Callable[..., object]:
    def show(
        *values: object, sep: object = " ", end: object = "\n", file: object = None, flush: object = False
    ) -> None:
        sep = " " if sep is None else sep
        end = "\n" if end is None else end
        if type(sep) is not str or type(end) is not str:
            raise TypeError("sep and end must be None or a string")
        if file is None:
            write("stdout", sep.join([str(value) for value in values]) + end)
        else:
            print(*values, sep=sep, end=end, file=file, flush=bool(flush))  # type: ignore[call-overload]

    return show


class Namespace(dict):  # type: ignore[type-arg]
    """What `globals()` gives, and `locals()` in a class body: the variables as they are at each look; writes are checked."""

    __slots__ = ("_real",)
    _real: dict[str, object]

    def __init__(self, real: dict[str, object]) -> None:
        super().__init__()
        self._real = real
        self.refresh()

    def refresh(self) -> None:
        """Take over what has changed."""
        for key in [key for key in dict.keys(self) if key not in self._real]:
            super().__delitem__(key)
        for key in self._real:
            if _is_shown(key):
                super().__setitem__(key, self._real[key])

    def __setitem__(self, key: object, value: object) -> None:
        # SECURITY: guards and `__builtins__` live under names that must not be written; host code trusts the others.
        trusted = key in ("__name__", "__module__")
        if type(key) is not str or not key.isidentifier() or not _is_shown(key) or trusted:
            raise RefusedOperation(f"the name {key!r:.100} cannot be set", "set variables by assignment")
        self._real[key] = value
        super().__setitem__(key, value)

    def __delitem__(self, key: object) -> None:
        if key == "__name__":
            raise RefusedOperation("the name '__name__' cannot be deleted")
        self.refresh()
        super().__delitem__(key)
        del self._real[cast(str, key)]

    def __ior__(self, other: object) -> Namespace:  # type: ignore[misc]
        self.update(other)  # type: ignore[call-overload]
        return self

    def pop(self, key: object, *default: object) -> object:
        """Remove and return a variable."""
        if key not in self:
            return super().pop(key, *default)
        value = self[key]
        del self[key]
        return value

    def clear(self) -> None:
        """Remove all variables."""
        for key in list(self):
            if key != "__name__":
                del self[key]


for _name in ("update", "setdefault", "popitem"):  # by the checked ways of one name
    setattr(Namespace, _name, vars(MutableMapping)[_name])


def _reading(name: str) -> Callable[..., object]:
    real = getattr(dict, name)

    def read(self: Namespace, *args: object) -> object:
        self.refresh()
        return real(self, *args)

    return _like(real, read)


for _name in words(
    "__contains__ __eq__ __getitem__ __iter__ __len__ __repr__ __reversed__ copy get items keys values"
):
    setattr(Namespace, _name, _reading(_name))


def _is_shown(key: object) -> bool:
    return type(key) is str and "$" not in key and key not in REFUSED_NAMES


def _reflection(runtime: Runtime) -> dict[str, object]:
    """Return getattr and its family under the attribute policy, and the namespaces without guards in them."""
    attributes = runtime.attributes

    module: list[Namespace] = []

    def namespace() -> Namespace:
        if not module:
            module.append(Namespace(runtime.namespace))
        module[0].refresh()
        return module[0]

    def local_names(depth: int) -> dict[str, object]:
        frame = sys._getframe(depth)
        if frame.f_globals is not runtime.namespace:
            raise RefusedOperation("locals() is available to guest code only")
        if frame.f_locals is frame.f_globals:
            return namespace()
        if not frame.f_code.co_flags & _OPTIMIZED:  # a class body
            return Namespace(frame.f_locals)
        return {key: value for key, value in frame.f_locals.items() if _is_shown(key) and key[:1] != "."}

    def show_vars(*args: object) -> object:
        return attributes.special(args[0], "__dict__") if args else local_names(2)

    def show_dir(*args: object) -> list[str]:
        names: Iterable[object] = dir(args[0]) if args else local_names(2)
        return sorted(n for n in names if type(n) is str and kind_of(n) is not Kind.DENIED)

    def iterate(*args: object) -> object:
        made = iter(*args)  # type: ignore[call-overload]
        # SECURITY: iter(int, 1) is an endless loop in C for whoever consumes it, and so is a range of 10**14.
        endless = len(args) == 2 and not runtime.attributes.is_guest(args[0])
        return runtime.fuel.meter(made) if endless or is_long(args[0]) else made

    return {
        "getattr": _like(getattr, lambda obj, name, *default: attributes.getattr(obj, name, *default)),
        "hasattr": _like(hasattr, lambda obj, name, /: attributes.hasattr(obj, name)),
        "setattr": _like(setattr, lambda obj, name, value, /: attributes.setattr(obj, name, value)),
        "delattr": _like(delattr, lambda obj, name, /: attributes.delattr(obj, name)),
        "vars": _like(vars, show_vars),
        "dir": _like(dir, show_dir),
        "globals": _like(globals, namespace),
        "locals": _like(locals, lambda: local_names(2)),
        "iter": _like(iter, iterate),
    }
