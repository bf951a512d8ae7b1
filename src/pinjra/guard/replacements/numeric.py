"""Stand-ins for math, operator, random, decimal and hashlib: growth is priced; generators and contexts are own."""

from __future__ import annotations

import decimal
import functools
import hashlib
import math
import operator
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from pinjra.guard.errors import RefusedOperation
from pinjra.guard.replacements import named

if TYPE_CHECKING:
    from types import TracebackType

    from pinjra.guard.replacements import Factory, Session, StandIns

__all__ = ["FACTORIES", "MAX_PRECISION", "GuestContext", "check_bits"]

# Bits of a whole number that one call in C may make: about 2.5 million digits, under a second of multiplying.
_MAX_BITS = 1 << 23
# Digits of a guest's decimal context: ln() and exp() at this precision take about a second.
MAX_PRECISION = 20_000
_MAX_EXPONENT = 999_999
# Rounds of a key derivation that one call may make: a few seconds.
_MAX_ROUNDS = 5_000_000


def check_bits(bits: float, what: str) -> None:
    """Refuse a whole number that would have more than `_MAX_BITS` bits.

    Raises:
        RefusedOperation: It would.
    """
    if bits > _MAX_BITS:
        raise RefusedOperation(
            f"{what}: the result would be too large", "use logarithms (math.lgamma) or smaller numbers"
        )


def _index(value: object) -> int:
    return operator.index(cast(int, value))


def _math(session: Session) -> StandIns:
    services = session.services

    def factorial(n: object, /) -> int:
        if type(n) is not float:
            size = _index(n)
            check_bits(size * math.log2(size) if size > 2 else 0, "math.factorial")
        return math.factorial(cast(int, n))

    def comb(n: object, k: object, /) -> int:
        top, part = _index(n), _index(k)
        least = min(part, top - part)
        check_bits(least * math.log2(top) if least > 2 else 0, "math.comb")
        return math.comb(top, part)

    def perm(n: object, k: object = None, /) -> int:
        top = _index(n)
        part = top if k is None else _index(k)
        check_bits(part * math.log2(top) if 2 < part <= top else 0, "math.perm")
        return math.perm(top, part)

    def prod(iterable: object, /, *, start: object = 1) -> object:
        return functools.reduce(services.multiply, services.meter(iterable), start)

    def lcm(*numbers: object) -> int:
        check_bits(sum(_index(n).bit_length() for n in numbers), "math.lcm")
        return math.lcm(*map(_index, numbers))

    def fsum(seq: object, /) -> float:
        return math.fsum(cast(Iterable[float], services.meter(seq)))

    made: StandIns = {
        f.__name__: named(f, getattr(math, f.__name__)) for f in (factorial, comb, perm, prod, lcm, fsum)
    }
    if hasattr(math, "sumprod"):
        real = cast(Callable[..., object], math.sumprod)
        made["sumprod"] = lambda p, q: real(services.meter(p), services.meter(q))
    return {**made}


def _operator(session: Session) -> StandIns:
    """Growth is priced; names are read under the attribute policy."""
    services = session.services

    def in_place(
        plain: Callable[..., object], real: Callable[..., object], hook: str
    ) -> Callable[..., object]:
        def operate(a: object, b: object, /) -> object:
            # A class of its own in-place operator decides itself; builtins grow by the plain one, lists in place.
            if hasattr(type(a), hook) and type(a) not in (list, bytearray):
                return real(a, b)
            if type(a) in (list, bytearray):
                plain(cast("list[object]", a)[:], b) if hook == "__imul__" else None
                return real(a, b)
            return plain(a, b)

        return named(operate, real)

    def count_of(a: object, b: object, /) -> int:
        return operator.countOf(services.meter(a), b)

    def index_of(a: object, b: object, /) -> int:
        return operator.indexOf(services.meter(a), b)

    class attrgetter:  # noqa: N801 (the name it stands in for)
        """Return a callable that reads the given attributes, under the attribute policy."""

        __slots__ = ("_names",)

        def __init__(self, attr: object, /, *attrs: object) -> None:
            for name in (attr, *attrs):
                if type(name) is not str:
                    raise TypeError("attribute name must be a string")
            self._names = cast("tuple[str, ...]", (attr, *attrs))

        def __call__(self, obj: object, /) -> object:
            found = tuple(functools.reduce(services.guarded_getattr, n.split("."), obj) for n in self._names)
            return found[0] if len(found) == 1 else found

        def __repr__(self) -> str:
            return f"operator.attrgetter({', '.join(map(repr, self._names))})"

    class methodcaller:  # noqa: N801 (the name it stands in for)
        """Return a callable that calls the named method, read under the attribute policy."""

        __slots__ = ("_args", "_kwargs", "_name")

        def __init__(self, name: object, /, *args: object, **kwargs: object) -> None:
            if type(name) is not str:
                raise TypeError("method name must be a string")
            self._name, self._args, self._kwargs = name, args, kwargs

        def __call__(self, obj: object, /) -> object:
            method = cast(Callable[..., object], services.guarded_getattr(obj, self._name))
            return method(*self._args, **self._kwargs)

        def __repr__(self) -> str:
            parts = [
                repr(self._name),
                *map(repr, self._args),
                *(f"{k}={v!r}" for k, v in self._kwargs.items()),
            ]
            return f"operator.methodcaller({', '.join(parts)})"

    def power(a: object, b: object, /) -> object:
        return services.power(a, b)

    plain = {"mul": services.multiply, "pow": power, "lshift": services.shift, "mod": services.modulo}
    made: StandIns = {}
    for name, function in plain.items():
        made[name] = _binary(function, getattr(operator, name))
        made["i" + name] = in_place(function, getattr(operator, "i" + name), f"__i{name}__")
    for kind in (attrgetter, methodcaller):
        kind.__module__, kind.__qualname__ = "operator", kind.__name__
    counted = {"countOf": named(count_of, operator.countOf), "indexOf": named(index_of, operator.indexOf)}
    return {**made, **counted, "attrgetter": attrgetter, "methodcaller": methodcaller}


def _binary(function: Callable[..., object], real: object) -> Callable[..., object]:
    def operate(a: object, b: object, /) -> object:
        return function(a, b)

    return named(operate, real)


def _random(session: Session) -> StandIns:
    """Module functions are those of the session's own generator."""
    own = random.Random()  # noqa: S311 (it stands in for the module's generator)
    made: StandIns = {name: getattr(own, name) for name in random.__all__ if hasattr(own, name)}

    def getrandbits(k: object, /) -> int:
        session.services.price_bytes(_index(k) // 8)
        return own.getrandbits(_index(k))

    def randbytes(n: object) -> bytes:
        session.services.price_bytes(_index(n))
        return own.randbytes(_index(n))

    return {**made, "getrandbits": getrandbits, "randbytes": randbytes}


class GuestContext(decimal.Context):
    """A decimal context whose precision and exponents stay in bounds, and whose copies are of its kind."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        for name in ("prec", "Emax", "Emin"):
            self._check(name, getattr(self, name))

    @staticmethod
    def _check(name: str, value: object) -> None:
        bound = {"prec": MAX_PRECISION, "Emax": _MAX_EXPONENT, "Emin": _MAX_EXPONENT}.get(name)
        if bound is not None and type(value) is int and abs(value) > bound:
            raise RefusedOperation(f"decimal context: {name} may be at most {bound}, not {value}")

    def __setattr__(self, name: str, value: object) -> None:
        self._check(name, value)
        super().__setattr__(name, value)

    def copy(self) -> GuestContext:
        """Return a copy of this kind."""
        made = GuestContext()
        for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp"):
            setattr(made, name, getattr(self, name))
        for signal, on in self.flags.items():
            made.flags[signal] = on
        for signal, on in self.traps.items():
            made.traps[signal] = on
        return made

    __copy__ = copy


GuestContext.__name__ = GuestContext.__qualname__ = "Context"
GuestContext.__module__ = "decimal"


def own_context(source: decimal.Context) -> GuestContext:
    """Return a guest's copy of any context."""
    return GuestContext.copy(cast(GuestContext, source))


def _decimal(session: Session) -> StandIns:
    def getcontext() -> decimal.Context:
        current = decimal.getcontext()
        if type(current) is not GuestContext:
            decimal.setcontext(own_context(current))
        return decimal.getcontext()

    def setcontext(context: object, /) -> None:
        if not isinstance(context, decimal.Context):
            raise TypeError("optional argument must be a context")
        decimal.setcontext(context if type(context) is GuestContext else own_context(context))

    class LocalContext:
        def __init__(self, ctx: object = None, **options: object) -> None:
            source = getcontext() if ctx is None else ctx
            if not isinstance(source, decimal.Context):
                raise TypeError("optional argument must be a context")
            self._new = own_context(source)
            for name, value in options.items():
                if name not in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp", "flags", "traps"):
                    raise TypeError(f"{name!r} is an invalid keyword argument for this function")
                setattr(self._new, name, value)

        def __enter__(self) -> GuestContext:
            self._saved = getcontext()
            decimal.setcontext(self._new)
            return self._new

        def __exit__(
            self, kind: type | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            decimal.setcontext(self._saved)

    def localcontext(ctx: object = None, **options: object) -> LocalContext:
        return LocalContext(ctx, **options)

    names = ("BasicContext", "DefaultContext", "ExtendedContext")
    bounded = {name: own_context(getattr(decimal, name)) for name in names}
    own = {"getcontext": getcontext, "setcontext": setcontext, "localcontext": localcontext}
    return {**bounded, **own, "Context": GuestContext}


def _hashlib(session: Session) -> StandIns:
    def pbkdf2_hmac(
        hash_name: str, password: bytes, salt: bytes, iterations: int, dklen: int | None = None
    ) -> bytes:
        if _index(iterations) > _MAX_ROUNDS or (dklen is not None and _index(dklen) > 4096):
            raise RefusedOperation(f"hashlib.pbkdf2_hmac: at most {_MAX_ROUNDS} iterations and 4096 bytes")
        return hashlib.pbkdf2_hmac(hash_name, password, salt, iterations, dklen)

    def scrypt(
        password: bytes, *, salt: bytes, n: int, r: int, p: int, maxmem: int = 0, dklen: int = 64
    ) -> bytes:
        session.services.price_bytes(128 * _index(n) * _index(r))
        if _index(n) * _index(r) * _index(p) > 1 << 22 or _index(dklen) > 4096:
            raise RefusedOperation("hashlib.scrypt: n * r * p may be at most 4,194,304 and dklen 4096")
        return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=dklen)

    return {"pbkdf2_hmac": pbkdf2_hmac, "scrypt": scrypt}


FACTORIES: dict[str, Factory] = {
    "decimal": _decimal,
    "hashlib": _hashlib,
    "math": _math,
    "operator": _operator,
    "random": _random,
}
