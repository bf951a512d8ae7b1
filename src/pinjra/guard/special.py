"""SPECIAL attributes: what `x.format`, `x.__dict__`, `x.__setattr__`, … give to guest code. One row or method each.

Every answer is either the real attribute, where the object is the guest's own, or a stand-in that asks the policy on each
use. The stand-ins are closures; nothing public leads from them to what they close over.
"""

from __future__ import annotations

import collections
import types
from collections.abc import Callable
from typing import cast

from pinjra.guard.attributes import Attributes, exact_name, is_one, type_name
from pinjra.guard.errors import RefusedAttribute
from pinjra.guard.formatting import Formatting
from pinjra.guard.modules import METHOD_NAMES, words
from pinjra.guard.policy import Kind, kind_of
from pinjra.guard.pricing import Pricing
from pinjra.guard.shield import class_order

__all__ = ["Special"]

_Handler = Callable[[object, str], object]
_BOUND = (types.BuiltinMethodType, types.MethodWrapperType)
_UNBOUND = (types.WrapperDescriptorType, types.MethodDescriptorType)
_DATA = (
    list, dict, set, frozenset, str, bytes, bytearray, int, float, complex, bool, tuple, type(None), object
)  # fmt: skip
_TYPE_MRO = vars(type)["mro"]
_ACCESS = {
    "__getattribute__": "getattr",
    "__getattr__": "getattr",
    "__setattr__": "setattr",
    "__delattr__": "delattr",
}


class Special:
    """The guarded attributes of one interpreter."""

    def __init__(
        self, attributes: Attributes, pricing: Pricing, formatting: Formatting, method: _Handler
    ) -> None:
        self._attributes = attributes
        self._pricing = pricing
        self._formatting = formatting
        own_only = words("__reduce__ __reduce_ex__ __getstate__ __setstate__ __subclasses__ __defaults__")
        self._handlers: dict[str, _Handler] = {
            "format": self._format,
            "format_map": self._format,
            "obj": self._obj,
            "__dict__": self._dict,
            "__annotations__": self._annotations,
            **dict.fromkeys(("__bases__", "__base__", "__mro__"), self._family),
            "mro": self._order,
            "__self__": self._behind,
            "__func__": self._behind,
            "__wrapped__": self._behind,
            "__set_name__": self._hook,
            "__init_subclass__": self._hook,
            "__dir__": lambda obj, name: getattr(obj, name),
            "__weakref__": lambda obj, name: getattr(obj, name),
            **dict.fromkeys(_ACCESS, self._access),
            **dict.fromkeys((*own_only, "__kwdefaults__"), self._own_only),
            **dict.fromkeys(METHOD_NAMES, method),
        }

    def load(self, obj: object, name: str) -> object:
        """Return the guarded attribute `name` of `obj`."""
        handler = self._handlers.get(name)
        return self._priced(obj, name) if handler is None else handler(obj, name)

    def _own_only(self, obj: object, name: str) -> object:
        """Return the attribute of a guest's object; host objects would show their insides."""
        is_guest = self._attributes.is_guest
        refusal = RefusedAttribute(f"attribute {name!r} is available on your own objects only")
        if not is_guest(_subject(obj)):
            raise refusal
        real = getattr(obj, name)
        if not is_one(type(real), _UNBOUND):
            return real

        # SECURITY: `Mine.__reduce_ex__` is object's own function: it would take a host object.
        def unbound(target: object, /, *args: object) -> object:
            if not is_guest(target):
                raise refusal
            return cast(Callable[..., object], real)(target, *args)

        return unbound

    def _hook(self, obj: object, name: str) -> object:
        """Return a hook of class creation that acts on the guest's own classes only: enum's members delete and set by name."""
        real, guest = getattr(obj, name), self._attributes.is_guest
        if guest(real) or (
            name == "__init_subclass__" and (guest(_subject(obj)) or is_one(type(real), _BOUND))
        ):
            return real

        def call(*args: object, **kwargs: object) -> object:
            classes = [arg for arg in args if issubclass(type(arg), type)]
            if name == "__init_subclass__" or not all(map(guest, classes)):
                raise RefusedAttribute(f"{name} works on your own classes only")
            return cast(Callable[..., object], real)(*args, **kwargs)

        return call

    def _family(self, obj: object, name: str) -> object:
        """Return bases without the real classes behind stand-ins, which are bounded where those are not."""
        value = getattr(obj, name)
        if not issubclass(type(obj), type):
            return value
        order = class_order(cast(type, obj))
        if type(value) is tuple:
            shown = tuple(base for base in value if not self._is_behind(base, order))
            return shown if shown or not value else (object,)
        while self._is_behind(value, order):
            value = class_order(cast(type, value))[1]
        return value

    def _order(self, obj: object, name: str) -> object:
        """Return `mro` of a class, which shows what `__mro__` does."""
        real = getattr(obj, name)
        if is_one(type(real), _BOUND) and issubclass(type(_subject(obj)), type):
            return lambda: self._linear(cast(type, _subject(obj)))
        return self._linear if real is _TYPE_MRO else real

    def _linear(self, cls: type, /) -> list[object]:
        """Return `type.mro(cls)`; a class in the making has no order yet, and needs what stands behind its bases too."""
        if class_order(cls) is not None:
            return list(cast("tuple[object, ...]", self._family(cls, "__mro__")))
        order = type.mro(cls)
        if any(self._is_behind(one, tuple(order)) for one in order):
            raise RefusedAttribute("a metaclass with an mro() of its own cannot order these bases")
        return cast("list[object]", order)

    def _is_behind(self, cls: object, order: tuple[type, ...]) -> bool:
        """Return whether a host class of the same name stands before `cls`."""
        for one in order:
            if one is cls:
                return False
            same = issubclass(type(cls), type) and type_name(one) == type_name(cast(type, cls))
            if same and not self._attributes.is_guest_type(one):
                return True
        return False

    def _obj(self, obj: object, name: str) -> object:
        """`AttributeError.obj` is the object that failed, which may be a host module."""
        value = getattr(obj, name)
        foreign = not is_one(type(value), _DATA) and not self._attributes.is_guest(value)
        # SECURITY: the class's own descriptor would give what an instance does not.
        subject = _subject(obj)
        holder = subject if issubclass(type(subject), type) else type(subject)
        if foreign and issubclass(cast(type, holder), AttributeError):
            raise RefusedAttribute("attribute 'obj' of AttributeError is available for your own objects only")
        return value

    def _behind(self, obj: object, name: str) -> object:
        """Return what a method or wrapper stands for when that is the guest's own."""
        value = getattr(obj, name)
        if self._attributes.is_guest(obj) and type(obj) is not types.MethodType:
            return value
        data = is_one(type(value), _DATA)
        if self._attributes.is_guest(value) or (data and type(obj) is types.BuiltinMethodType):
            return value
        raise RefusedAttribute(f"attribute {name!r} is available on your own objects only")

    def _dict(self, obj: object, name: str) -> object:
        """Return the real dict of a guest's object; of others, a copy of what is public."""
        value = getattr(obj, name)
        if issubclass(type(obj), type):
            guest = self._attributes.is_guest_type(obj)
            if type(value) is not types.MappingProxyType:
                return value
            # Slots bypass the guards: of the guest's own class the name is there, and nothing behind it.
            pairs = [(key, item) for key, item in value.items() if guest or _is_open(key, item, guest)]
            shown = {key: item if _is_open(key, item, guest) else property() for key, item in pairs}
            return types.MappingProxyType(shown)
        if (
            type(obj) in self._attributes.fast
            or type(obj) is types.SimpleNamespace
            or type(value) is not dict
        ):
            return value
        if type(obj) is types.FunctionType and self._attributes.is_guest(obj):
            # SECURITY: read only; array libraries take memory addresses from attributes that source cannot spell.
            return types.MappingProxyType(value)
        return {key: item for key, item in value.items() if type(key) is str and key[:1] != "_"}

    def _annotations(self, obj: object, name: str) -> object:
        value = getattr(obj, name)
        return value if self._attributes.is_guest(obj) or type(value) is not dict else dict(value)

    def _access(self, obj: object, name: str) -> object:
        """`object.__setattr__` and its like: a stand-in that asks the policy; a guest's own method as it is."""
        real = getattr(obj, name)
        guard = cast(Callable[..., object], getattr(self, f"_real_{_ACCESS[name]}"))
        if is_one(type(real), _BOUND):
            target = cast(types.BuiltinMethodType, real).__self__
            return lambda *args: guard(real, target, *args)
        if is_one(type(real), _UNBOUND):
            return lambda target, *args: guard(lambda *rest: real(target, *rest), target, *args)
        if self._attributes.is_guest(real) or self._attributes.is_guest(obj):
            return real
        raise RefusedAttribute(f"attribute {name!r} is available on your own objects only")

    def _real_getattr(self, real: Callable[..., object], target: object, name: object) -> object:
        text = exact_name(name)
        kind = kind_of(text)
        own = type(target) in self._attributes.fast and not issubclass(type(target), type)
        if kind is Kind.SPECIAL and not (own and text != "__dict__" and self._is_harmless(real, text)):
            return self.load(target, text)
        if kind is Kind.DENIED or (kind is Kind.PRIVATE and not own):
            self._attributes.getattr(target, text)
        return real(text)

    def _is_harmless(self, real: Callable[..., object], name: str) -> bool:
        """Return whether a guarded name of the guest's own object is no method of a builtin class."""
        # SECURITY: `object.__getattribute__(text, "format")` is str's own method, which walks attributes.
        return not is_one(type(real(name)), (*_BOUND, *_UNBOUND))

    def _real_setattr(self, real: Callable[..., object], target: object, name: object, new: object) -> object:
        text = exact_name(name)
        self._attributes.writable(target, text)
        if text == "__class__" and not self._attributes.is_guest_type(new):
            raise RefusedAttribute("__class__ can be set to a class of your own only")
        return real(text, new)

    def _real_delattr(self, real: Callable[..., object], target: object, name: object) -> object:
        text = exact_name(name)
        self._attributes.writable(target, text)
        return real(text)

    def _format(self, obj: object, name: str) -> object:
        """`str.format` walks attributes in C: give a formatter that asks the policy."""
        real = getattr(obj, name)
        walk = self._formatting.format if name == "format" else self._formatting.format_map
        if type(real) is types.BuiltinMethodType and issubclass(type(real.__self__), str):
            template = str.__str__(real.__self__)
            return lambda *args, **kwargs: walk(template, *args, **kwargs)
        if getattr(real, "__func__", real) is getattr(collections.UserString, name):
            if type(real) is types.MethodType:
                template = str(cast(collections.UserString, real.__self__).data)
                return lambda *args, **kwargs: walk(template, *args, **kwargs)
            return lambda text, /, *args, **kwargs: walk(str(text.data), *args, **kwargs)
        if real is str.__dict__[name]:
            return lambda template, /, *args, **kwargs: walk(_template(template), *args, **kwargs)
        return real

    def _priced(self, obj: object, name: str) -> object:
        """Methods of builtin values whose result has a size of the caller's choosing, and arithmetic by name."""
        real = getattr(obj, name)
        price = self._pricing.method
        if is_one(type(real), _BOUND):
            target = cast(types.BuiltinMethodType, real).__self__
            return lambda *args, **kwargs: price(name, real, target, args, kwargs)
        if is_one(type(real), _UNBOUND):
            return lambda target, /, *args, **kwargs: price(
                name, lambda *rest, **named: real(target, *rest, **named), target, args, kwargs
            )
        return real


def _subject(obj: object) -> object:
    return object.__getattribute__(obj, "__self__") if type(obj) is super else obj


def _template(template: object) -> str:
    if not issubclass(type(template), str):
        raise TypeError(
            f"descriptor 'format' requires a 'str' object but received a '{type(template).__name__}'"
        )
    return str.__str__(cast(str, template))


def _is_open(key: object, item: object, guest: bool) -> bool:
    """Return whether a class dict's entry may be shown: slots of host classes bypass the guards."""
    if guest:
        return not is_one(type(item), (types.GetSetDescriptorType, types.WrapperDescriptorType))
    # SECURITY: tracebacks, frames and generators keep descriptors, and str its `format`, under names without underscore.
    return type(key) is str and key[:1] != "_" and kind_of(key) is Kind.PUBLIC
