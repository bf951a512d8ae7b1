"""Policy: which modules a guest may import and which attribute names it may use. Data, and questions to the data.

Every attribute name has one kind, and the same table is asked for `x.name` in source (at compile time) and for names
that come as text (getattr, format fields, operator.attrgetter, match patterns):

    PUBLIC    any object                       name, __init__, __len__
    PRIVATE   the guest's own objects only     _name, __unknown__
    SPECIAL   through a guard at run time      format, __dict__, __setattr__
    DENIED    never                            __globals__, tb_frame

Rule for editors: a dunder that is not listed is PRIVATE, so forgetting one fails closed.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from enum import Enum

from pinjra.guard.errors import RefusedAttribute
from pinjra.guard.modules import METHOD_NAMES, words

__all__ = ["REFUSED_NAMES", "Kind", "Policy", "check_attribute", "is_attribute_allowed", "kind_of"]


class Kind(Enum):
    """What the policy says of an attribute name."""

    PUBLIC = "public"
    PRIVATE = "private"
    SPECIAL = "special"
    DENIED = "denied"


_DUNDERS = (
    "abs add aenter aexit aiter alloc and anext args await bool bytes call cause ceil class class_getitem "
    "cmp complex contains context copy deepcopy delete delitem divmod doc enter eq exit float floor "
    "floordiv fspath ge get getitem gt hash iadd iand ifloordiv ilshift imatmul index init init_subclass "
    "instancecheck int invert ior irshift isub iter itruediv ixor le len length_hint lt matmul members "
    "missing name ne neg new next notes or orig_bases origin parameters pos post_init prepare qualname "
    "radd rand rdivmod repr reversed rfloordiv rmatmul ror round rrshift rshift rsub rtruediv rxor set "
    "set_name setitem sizeof slots str sub subclasscheck subclasshook suppress_context text_signature "
    "traceback truediv trunc type_params unpacked version xor abstractmethods isabstractmethod "
    "dataclass_fields dataclass_params match_args module all final override no_type_check itemsize "
    "getnewargs debug bound constraints covariant contravariant metadata supertype required_keys "
    "optional_keys total value name_ typing_subst typing_is_unpacked_typevartuple annotate "
    "static_attributes firstlineno signature "
    "forward_arg forward_evaluated forward_value forward_is_argument forward_is_class"
)
_PUBLIC_DUNDERS = frozenset(f"__{name}__" for name in words(_DUNDERS))

# Underscored names that their libraries document for everybody (namedtuple, Enum).
_PUBLIC_PRIVATES = frozenset(
    words(
        "_ _replace _asdict _fields _make _field_defaults _value_ _name_ _missing_ _order_ "
        "_generate_next_value_ _ignore_ _numeric_repr_ _field_types "
    )
)

_ARITHMETIC = frozenset(
    f"__{side}{op}__" for op in ("mul", "pow", "lshift", "mod") for side in ("", "r", "i")
)
_SIZED = frozenset(words("ljust rjust center zfill expandtabs join replace to_bytes from_bytes __format__ "))
_GUARDED = frozenset(
    words(
        "format format_map obj __dict__ __self__ __func__ __wrapped__ __annotations__ __getattribute__ "
        "__setattr__ __delattr__ __getattr__ __bases__ __base__ __mro__ mro __reduce__ __reduce_ex__ __dir__ "
        "__getstate__ __setstate__ __subclasses__ __defaults__ __kwdefaults__ __weakref__ __set_name__ __init_subclass__ "
    )
)
_SPECIAL = _ARITHMETIC | _SIZED | _GUARDED | METHOD_NAMES


def _internals() -> frozenset[str]:
    """Return the names by which frames, tracebacks, code and generators show what is behind them, on this Python."""
    kinds = (types.FrameType, types.TracebackType, types.CodeType, types.GeneratorType, types.CoroutineType)
    names = {name for kind in (*kinds, types.AsyncGeneratorType) for name in dir(kind) if name[:1] != "_"}
    harmless = {*words("tb_lineno tb_next tb_lasti gi_running gi_suspended cr_running cr_suspended")}
    return frozenset(name for name in names if "_" in name) - harmless - {"ag_running", "ag_suspended"}


# SECURITY: by any of these, guest code would reach the host's globals, frames or code.
_DENIED = _internals().union(
    words(
        "__globals__ __code__ __closure__ __builtins__ __loader__ __spec__ __import__ __objclass__ "
        "__array_interface__ __array_struct__ __path__ __file__ __cached__ __package__ f_back f_globals "
        "f_locals f_builtins f_code tb_frame gi_frame gi_code gi_yieldfrom cr_frame cr_code cr_await "
        "cr_origin ag_frame ag_code ag_await __thisclass__ __self_class__ __basicsize__ __dictoffset__ "
        "__weakrefoffset__ __build_class__ __conditional__ cell_contents __evaluate__ evaluate_value "
        "evaluate_bound evaluate_constraints func_globals "
    )
)

REFUSED_NAMES = frozenset(["__builtins__", "__import__", "__loader__", "__spec__", "__build_class__"])
"""Names that source may neither read nor bind."""

UNBINDABLE_ATTRIBUTES = frozenset(["__module__", "__match_args__"])
"""Attributes that host code trusts; they may be set by a class statement (which checks them) only."""


def kind_of(name: str) -> Kind:
    """Return what the policy says of an attribute name (an exact str, as the compiler would store it)."""
    if name in _DENIED or "$" in name:
        return Kind.DENIED
    if name in _SPECIAL:
        return Kind.SPECIAL
    if name[:1] != "_" or name in _PUBLIC_DUNDERS or name in _PUBLIC_PRIVATES:
        return Kind.PUBLIC
    return Kind.PRIVATE


def is_attribute_allowed(name: str) -> bool:
    """Return whether guest code may read attribute `name` of any object, without a guard in between."""
    return type(name) is str and kind_of(name) is Kind.PUBLIC


def check_attribute(name: object) -> None:
    """Refuse a name that guest code may not use on any object that is not its own.

    Raises:
        RefusedAttribute: Not an exact str, or not PUBLIC.
    """
    if type(name) is not str or kind_of(name) is not Kind.PUBLIC:
        raise RefusedAttribute(f"attribute {name!r:.100} is not available here", "use its public attributes")


@dataclass(frozen=True)
class Policy:
    """What guest code may do.

    Args:
        authorized_imports: Module names: `pkg`, `pkg.sub`, `pkg.*`, `*`.
        protected: Names that guest code may not bind at module level (the tools).
        in_process: Guest code shares the host's process. False behind a kernel boundary, which then decides
            what an authorised module may do.
    """

    authorized_imports: tuple[str, ...] = ()
    protected: frozenset[str] = frozenset()
    in_process: bool = True
