"""Runtime: the guards of one interpreter, and the dict of builtins that guest code runs with. Implements GuardServices."""

# ruff: noqa: D102

from __future__ import annotations

import builtins
import types
from collections.abc import Callable, Iterable, Mapping
from types import MemberDescriptorType
from typing import cast
from weakref import WeakKeyDictionary

from pinjra.core.execution import Stream
from pinjra.core.limits import Limits
from pinjra.guard import policy as policies
from pinjra.guard.attributes import Attributes, class_lookup
from pinjra.guard.births import Births
from pinjra.guard.builtins import build_builtins
from pinjra.guard.calls import DIRECT
from pinjra.guard.compiler import RESULT, compile_guarded
from pinjra.guard.errors import RefusedOperation
from pinjra.guard.foreign import foreign
from pinjra.guard.formatting import Formatting
from pinjra.guard.fuel import Fuel
from pinjra.guard.imports import Importer
from pinjra.guard.metering import C_LAZY, SIZED, TEE, Metering
from pinjra.guard.policy import REFUSED_NAMES, Policy
from pinjra.guard.pricing import Pricing
from pinjra.guard.shield import shield
from pinjra.guard.special import Special

__all__ = ["Runtime"]

_DEPTH = 100  # levels of lazy iterators: each takes about 200 bytes of C stack, far below what overflows it
_CONSUMERS = (list, tuple, set, frozenset, dict)


class Runtime:
    """What guards share: namespace, fuel, prices, attributes, imports."""

    def __init__(self, policy: Policy, limits: Limits, write: Callable[[Stream, str], None]) -> None:
        self.namespace: dict[str, object] = {}
        self._policy = policy
        self.fuel = Fuel(limits)
        self.pricing = Pricing(limits, self.fuel)
        self.importer = Importer(policy, services=self)
        self.attributes = Attributes(self.namespace, self.importer.is_proxy)
        self._formatting = Formatting(self.pricing, self.attributes.getattr)
        self.special = Special(self.attributes, self.pricing, self._formatting, self.importer.guarded_method)
        self.attributes.special = self.special.load
        self.births = Births(self.register_guest_type, self.namespace, shields=self.importer.has_libraries)
        self._depths: dict[type, MemberDescriptorType] = {}
        self._tees: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._sources: set[type] = set()
        self.metering = Metering(self.fuel, self._metered, self.attributes.is_guest_type)
        self.steady = self.metering.steady
        self.builtins = build_builtins(self, write)
        self.builtins.update(self._guards())

    # --- GuardServices

    def check_attribute(self, name: object) -> None:
        policies.check_attribute(name)

    def guarded_getattr(self, obj: object, name: object, *default: object) -> object:
        return self.attributes.getattr(obj, name, *default)

    def guarded_setattr(self, obj: object, name: object, value: object) -> None:
        self.attributes.setattr(obj, name, value)

    def guarded_delattr(self, obj: object, name: object) -> None:
        self.attributes.delattr(obj, name)

    def meter(self, iterable: object) -> Iterable[object]:
        kind = type(iterable)
        if kind in SIZED and self.fuel.step(len(iterable)):  # type: ignore[arg-type]
            return cast(Iterable[object], iterable)
        if kind is range:
            # SECURITY: a consumer in C could not be stopped: the whole range is paid before it starts.
            self.fuel.charge(len(cast(range, iterable)))
            return cast(range, iterable)
        return self._metered(iterable)

    def register_source(self, kind: type) -> None:
        self._sources.add(kind)

    def _metered(self, iterable: object) -> Iterable[object]:
        """Return a lazy stand-in; generators and guest iterators pay for themselves.

        A host's generator does not, but runs Python at each step, where a stop gets in. Asking whose it is (`gi_code`)
        raises an audit event: five times the price of the loop itself.
        """
        if type(iterable) is types.GeneratorType:
            return iterable
        if type(iterable) in self._sources:
            return cast("Iterable[object]", iterable._steps)  # type: ignore[attr-defined]
        iterator = iter(cast(Iterable[object], iterable))
        if type(iterator) is types.GeneratorType:
            return iterator
        if self.attributes.is_guest_type(type(iterator)):
            step = class_lookup(type(iterator), "__next__")
            if type(step) is types.FunctionType and self.attributes.is_guest(step):
                return iterator
        return self.fuel.meter(iterator)

    def lazy_class(self, real: type, which: slice, layer: Callable[[object], object] | None = None) -> type:
        def new(cls: type, *args: object, **kwargs: object) -> object:
            inputs = list(args)
            depth = self.nesting(*inputs[which])
            if layer is not None:
                inputs[which] = map(layer, inputs[which])
            made_object = real.__new__(cls, *inputs, **kwargs)
            slot.__set__(made_object, depth)
            return made_object

        body = {
            "__slots__": ("_depth",),
            "__new__": new,
            "__module__": real.__module__,
            "__doc__": real.__doc__,
        }
        made = type(real.__name__, (real,), {**body, "__qualname__": real.__name__})
        # SECURITY: read by its own descriptor; a guest's subclass may define `_depth`.
        slot = self._depths[real] = made.__dict__["_depth"]
        return made

    def nesting(self, *iterables: object) -> int:
        depth = 1 + max((self._depth(iterable) for iterable in iterables), default=0)
        if depth > _DEPTH:
            raise RecursionError(f"lazy iterators nested more than {_DEPTH} deep")
        return depth

    def _depth(self, iterable: object) -> int:
        for real, slot in self._depths.items():
            if issubclass(type(iterable), real):
                try:
                    return cast(int, slot.__get__(iterable))
                except (AttributeError, TypeError):  # made in the fast way, or by the host
                    return 1
        return self._tees.get(iterable, 1) if type(iterable) is TEE else 0

    def share(self, iterable: object, *iterators: object) -> None:
        self._tees.update(dict.fromkeys(iterators, self.nesting(iterable)))

    def price_bytes(self, n: int) -> None:
        self.pricing.bytes(n)

    def price_operations(self, n: int) -> None:
        self.fuel.charge(n)

    def multiply(self, left: object, right: object) -> object:
        return self.pricing.mul(left, right)

    def power(self, base: object, exponent: object, modulus: object = None) -> object:
        return self.pricing.power(base, exponent, modulus)

    def shift(self, left: object, right: object) -> object:
        return self.pricing.shift(left, right)

    def modulo(self, left: object, right: object) -> object:
        return self.pricing.modulo(left, right)

    def format(self, template: str, args: tuple[object, ...], kwargs: object) -> str:
        return self._formatting.format(template, *args, **cast("dict[str, object]", kwargs))

    def evaluate(self, text: str, names: Mapping[str, object]) -> object:
        code = compile_guarded(f"({text}\n)", self._policy)
        # SECURITY: a name of a guard, or of the builtins, must not stand before the real one.
        space = {
            key: item
            for key, item in names.items()
            if type(key) is str and "$" not in key and key not in REFUSED_NAMES
        }
        space["__builtins__"] = self.builtins
        exec(code.code, space)  # noqa: S102 (checked and rewritten as all guest code is)
        return space[RESULT]

    def stopped(self) -> bool:
        return self.fuel.stop is not None

    def check_stop(self) -> None:
        self.fuel.check()

    def register_guest_type(self, cls: type) -> None:
        self.attributes.register(cls)
        if self.importer.has_libraries:
            shield(cls)

    def is_guest_type(self, cls: type) -> bool:
        return self.attributes.is_guest_type(cls)

    def own_classes(self) -> set[type]:
        return self.attributes.fast

    def is_guest(self, obj: object) -> bool:
        return self.attributes.is_guest(obj)

    def is_module(self, obj: object) -> bool:
        return self.importer.is_proxy(obj)

    def guest_globals(self) -> dict[str, object]:
        return self.namespace

    # --- guards

    def _guards(self) -> dict[str, object]:
        pricing, attributes, fuel = self.pricing, self.attributes, self.fuel
        shown = {cast(type, self.builtins[kind.__name__]): kind for kind in C_LAZY}
        fixed, bounded, make = self.metering.lazies(shown)
        exact: dict[str, object] = {kind.__name__: kind for kind in (type, int, float, slice, range)}
        exact |= {function.__name__: function for function in (isinstance, issubclass, divmod, round)}
        table: dict[str, object] = {
            **exact,
            "G": attributes.fast,
            "t": fuel.tick,
            "ticks": fuel.ticks,
            "k": fuel.check,
            "i": self.steady,
            "j": self.metering.growing,
            "e": fixed,
            "b": bounded,
            "z": make,
            **{"g" + name: self.builtins[name] for name in DIRECT},
            **{"r" + name: getattr(builtins, name) for name in DIRECT},
            "c": self.metering.consumer(self._consume, self.meter),
            "m": self.metering.unpacking(self.meter),
            "x": self.special.load,
            "f": self.births.watch(),
            "function": types.FunctionType,
            "p": attributes.private,
            "w": attributes.writable,
            "W": foreign(attributes),
            "mg": attributes.match_guard,
            "spec": pricing.spec,
            "join": pricing.join,
            "mul": pricing.mul,
            "pow": pricing.power,
            "lsh": pricing.shift,
            "mod": pricing.modulo,
            "pmul": pricing.before("mul"),
            "ppow": pricing.before("pow"),
            "plsh": pricing.before("lshift"),
            "pmod": pricing.before("mod"),
            "import": self._import,
            "from": self._import_from,
            "star": self._import_star,
        }
        return {"__build_class__": self._build_class, **{f"${name}": guard for name, guard in table.items()}}

    def _build_class(
        self, body: Callable[..., object], name: str, *bases: object, **keywords: object
    ) -> object:
        made = self.births.build(body, name, *bases, **keywords)
        if isinstance(made, type):
            self.register_guest_type(made)
        return made

    def _consume(self, kind: object, /, *args: object, **kwargs: object) -> object:
        """Call `list(…)`, `set(…)`, …, `bytes(n)` or `type(name, bases, dict)`, paid for before it runs."""
        if kind is type and len(args) == 3:
            made = cast(type, self.births.make(type, args, kwargs))
            if made.__dict__.get("__module__") == __name__:
                type.__setattr__(made, "__module__", "__main__")
            self.register_guest_type(made)
            return made
        if kind is int and type(args[0]) is str:
            self.pricing.integer(len(args[0]) * 4)
        elif (kind is bytes or kind is bytearray) and args:
            if issubclass(type(args[0]), int):
                self.pricing.bytes(int(cast(int, args[0])))
            elif not issubclass(type(args[0]), str):
                args = (self.meter(args[0]) if hasattr(type(args[0]), "__iter__") else args[0], *args[1:])
        elif len(args) == 1 and any(kind is consumer for consumer in _CONSUMERS):
            argument = args[0]
            if kind is not dict or issubclass(type(argument), (*C_LAZY, types.GeneratorType)):
                return kind(self.meter(argument), **kwargs)  # type: ignore[operator]
        return cast(Callable[..., object], kind)(*args, **kwargs)

    # --- imports

    def _import(self, name: str, fromlist: tuple[str, ...], level: int) -> object:
        return self.importer.import_module(name, fromlist, level)

    def _import_from(self, module: object, name: str) -> object:
        try:
            return self.attributes.getattr(module, name)
        except RefusedOperation:
            raise
        except AttributeError:
            where = getattr(module, "__name__", "?")
            raise ImportError(f"cannot import name {name!r} from {where!r}") from None

    def _import_star(self, name: str) -> None:
        for key, value in self.importer.import_star(name).items():
            if type(key) is str and key.isidentifier() and key not in REFUSED_NAMES:
                self.namespace[key] = value
