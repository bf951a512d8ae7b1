"""Prices: operations whose result may be of any size are refused before they run where the limits do not hold it.

Memory: a result larger than what is left of `Limits.memory_bytes` is a MemoryError, as in CPython. Time: big-integer work
is charged to the operation budget in machine words. Only exact builtin types are priced; a guest's class does its own
arithmetic in guest code, which is guarded where it runs.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import cast

from pinjra.core.limits import Limits
from pinjra.guard.errors import RefusedOperation
from pinjra.guard.fuel import Fuel

__all__ = ["Pricing"]

_FREE = 1 << 16  # results below this many bytes are not worth a question
_UNLIMITED = 1 << 40
_INTEGER_BITS = 1 << 22  # 1.26 million decimal digits: dividing two of these takes a few seconds
_WORD = 1 << 62  # multiplying by an int below this costs linear time
_WORK = 1 << 8  # machine-word steps of big-integer work that count as one operation (about 50 ns)
_WIDTH = re.compile(r"%(?:\([^)]*\))?[-+ #0]*(\d+|\*)?(?:\.(\d+|\*))?")
_DIGITS = re.compile(r"\d+")
_SEQUENCES = (str, bytes, bytearray, list, tuple)
_Operation = Callable[[object, object], object]


class Pricing:
    """The prices of one interpreter."""

    def __init__(self, limits: Limits, fuel: Fuel) -> None:
        self._memory = limits.memory_bytes or _UNLIMITED
        self._fuel = fuel
        self._methods: dict[str, Callable[[object, tuple[object, ...], Mapping[str, object]], None]] = {
            **dict.fromkeys(("ljust", "rjust", "center", "zfill", "to_bytes"), self._price_width),
            "from_bytes": lambda target, args, kwargs: self.integer(8 * _length(args[0]) if args else 0),
            "expandtabs": self._price_tabs,
            "replace": self._price_replace,
            "__format__": lambda target, args, kwargs: self._price_spec(args[0]),
        }
        self._operators: dict[str, Callable[[object, object], None]] = {
            "mul": self.price_mul, "pow": self.price_pow, "lshift": self.price_lsh, "mod": self.price_mod
        }  # fmt: skip

    def bytes(self, n: int) -> None:
        """Refuse to make `n` bytes at once where the memory limit does not hold them."""
        if n > _FREE and n > self._memory // 2:
            raise MemoryError(
                f"a result of {n:,} bytes does not fit into the memory limit of {self._memory:,} bytes"
            )

    def integer(self, bits: int) -> None:
        """Refuse to make a larger integer than division, which is quadratic and cannot be stopped, is quick with."""
        if bits > _INTEGER_BITS:
            message = f"an integer of {bits:,} bits is larger than the {_INTEGER_BITS:,} that are computed with here"
            raise RefusedOperation(message, "use floats or logarithms, or pow(base, exponent, modulus)")

    def _work(self, words: float) -> None:
        self._fuel.charge(int(min(words, 1e18)) // _WORK)

    # --- operators

    def price_mul(self, left: object, right: object) -> None:
        """Price `left * right`."""
        kinds = (type(left), type(right))
        if _integer(left) and _integer(right):
            a, b = int.bit_length(cast(int, left)), int.bit_length(cast(int, right))
            self.integer(a + b)
            small, large = sorted((a // 30 + 1, b // 30 + 1))
            self._work(large * small**0.6)  # Karatsuba
        elif _integer(right) and issubclass(kinds[0], _SEQUENCES):
            self._price_repeat(left, cast(int, right))
        elif _integer(left) and issubclass(kinds[1], _SEQUENCES):
            self._price_repeat(right, cast(int, left))

    def _price_repeat(self, sequence: object, count: int) -> None:
        if count > 1:
            unit = 8 if issubclass(type(sequence), (list, tuple)) else _unit(sequence)
            self.bytes(_length(sequence) * unit * count)

    def price_pow(self, base: object, exponent: object, modulus: object = None) -> None:
        """Price `base ** exponent`."""
        if not (_integer(base) and _integer(exponent)):
            return
        bits, times = int.bit_length(cast(int, base)), cast(int, exponent)
        if modulus is not None:
            words = int.bit_length(cast(int, modulus)) // 30 + 1 if _integer(modulus) else 1
            self._work(int.bit_length(times) * words**1.6 + bits // 30)
        elif times > 0 and bits > 1:
            size = (bits - 1) * times if cast(int, base) & (cast(int, base) - 1) == 0 else bits * times
            self.integer(size)
            self._work((size / 30) ** 1.585)

    def price_lsh(self, left: object, right: object) -> None:
        """Price `left << right`."""
        if _integer(left) and _integer(right) and cast(int, right) > 0 and cast(int, left) != 0:
            self.integer(int.bit_length(cast(int, left)) + cast(int, right))

    def price_mod(self, left: object, right: object) -> None:
        """Price the widths of `template % values`."""
        if not issubclass(type(left), (str, bytes, bytearray)):
            return
        text = (
            str.__str__(cast(str, left))
            if issubclass(type(left), str)
            else bytes(cast(bytes, left)).decode("latin-1")
        )
        stars = (
            [abs(v) for v in cast("tuple[object, ...]", right) if type(v) is int]
            if type(right) is tuple
            else []
        )
        for match in _WIDTH.finditer(text):
            widths = [int(w[:20]) for w in match.groups() if w and w != "*"]
            self.bytes(sum(widths) + (max(stars, default=0) if "*" in match.group() else 0))

    def mul(self, left: object, right: object) -> object:
        """Return `left * right`, priced."""
        kind = type(right)
        if kind is float or (
            kind is int is type(left) and -_WORD < right < _WORD  # type: ignore[operator]
        ):
            return left * right  # type: ignore[operator]
        self.price_mul(left, right)
        return operator.mul(left, right)

    def power(self, base: object, exponent: object, modulus: object = None) -> object:
        """Return `pow(base, exponent, modulus)`, priced."""
        if type(base) is float and modulus is None:
            return base**exponent  # type: ignore[operator]
        self.price_pow(base, exponent, modulus)
        return operator.pow(base, exponent) if modulus is None else pow(base, exponent, modulus)  # type: ignore[call-overload]

    def shift(self, left: object, right: object) -> object:
        """Return `left << right`, priced."""
        self.price_lsh(left, right)
        return operator.lshift(left, right)

    def modulo(self, left: object, right: object) -> object:
        """Return `left % right`, priced."""
        if type(left) is int or type(left) is float:
            return left % right  # type: ignore[operator]
        self.price_mod(left, right)
        return operator.mod(left, right)

    def before(self, name: str) -> _Operation:
        """Return a function that prices operator `name` and returns its right operand, for augmented assignment."""
        price = self._operators[name]

        def priced(left: object, right: object) -> object:
            if type(left) is not float and type(right) is not float:
                price(left, right)
            return right

        return priced

    # --- methods by name

    def method(
        self,
        name: str,
        real: Callable[..., object],
        target: object,
        args: tuple[object, ...],
        kwargs: Mapping[str, object],
    ) -> object:
        """Return `real(*args, **kwargs)`, a builtin's method `name` of `target`, priced."""
        if name == "join":
            return self.join(target, *args, real=real, **kwargs)
        price = self._methods.get(name)
        if price is not None:
            price(target, args, kwargs)
        elif len(args) >= 1:
            operands = (args[0], target) if name[2] == "r" else (target, args[0])
            plain = name.strip("_")
            self._operators[plain[1:] if plain not in self._operators else plain](*operands)
        return real(*args, **kwargs)

    def _price_width(self, target: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        for value in (*args, *kwargs.values()):
            if _integer(value):
                self.bytes(cast(int, value) * 4)

    def _price_tabs(self, target: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        if issubclass(type(target), (str, bytes, bytearray)):
            size = next(value for value in (*args, *kwargs.values(), 8) if _integer(value))
            is_text = issubclass(type(target), str)
            tabs = str.count(cast(str, target), "\t") if is_text else bytes(cast(bytes, target)).count(b"\t")
            self.bytes(cast(int, size) * tabs)

    def _price_replace(self, target: object, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
        if len(args) > 1 and all(issubclass(type(v), (str, bytes, bytearray)) for v in (target, *args[:2])):
            old, new, length = _length(args[0]), _length(args[1]), _length(target)
            self.bytes(
                new * (length // max(old, 1) + (old == 0)) if new > old and new * length > _FREE else 0
            )

    def join(
        self, separator: object, iterable: object = None, *, real: Callable[..., object] | None = None
    ) -> object:
        """Return `separator.join(iterable)`, the sum of the lengths priced."""
        if real is None:
            real = cast(Callable[..., object], getattr(separator, "join"))  # noqa: B009 (any object may stand here)
        if type(separator) is not str and not issubclass(type(separator), (str, bytes, bytearray)):
            return real(iterable)
        if type(iterable) is str:
            self.bytes(len(iterable) * (_length(separator) + 1))
            return real(iterable)
        items = iterable if type(iterable) is list or type(iterable) is tuple else list(self._meter(iterable))
        if len(items) * _length(separator) > _FREE or len(items) > 8:
            try:
                total = sum(map(str.__len__ if type(separator) is str else _length, items))
            except TypeError:  # an item is no str: join itself will say so
                total = 0
            self.bytes(total + len(items) * _length(separator))
        return real(items)

    def _meter(self, iterable: object) -> Iterator[object]:
        return self._fuel.meter(iter(iterable))  # type: ignore[call-overload]

    def _price_spec(self, spec: object) -> None:
        self.spec(spec)

    # --- formats

    def spec(self, spec: object) -> object:
        """Return a format spec whose numbers (width, precision) the memory limit holds."""
        if type(spec) is str:
            for digits in _DIGITS.findall(spec):
                self.bytes(int(digits[:20]))
        return spec


def _integer(value: object) -> bool:
    return issubclass(type(value), int)


def _length(sequence: object) -> int:
    """Return the length of a builtin sequence or of a subclass, without asking a guest's `__len__`."""
    for kind in _SEQUENCES:
        if issubclass(type(sequence), kind):
            return kind.__len__(sequence)  # type: ignore[arg-type]
    return 0


def _unit(text: object) -> int:
    """Return the bytes that one character takes (PEP 393)."""
    if not issubclass(type(text), str):
        return 1
    return 1 if str.isascii(cast(str, text)) else 4
