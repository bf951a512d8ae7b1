"""Dates, exact numbers, identifiers and paths <-> trees. Numbers and short texts only; no parsing of long texts."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from uuid import UUID

from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values.coding import DecodeHandler, Decoder, EncodeHandler, Encoder, text, whole

_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")
_DECIMAL = re.compile(r"-?(\d{1,9000}(\.\d{0,9000})?(E[+-]?\d{1,4})?|Infinity|s?NaN\d{0,20})")

BITS = 1 << 16  # of a fraction's parts


def _reduction(top: int, bottom: int) -> float:
    """Return the microseconds that reducing a fraction takes: it grows with the square of its length."""
    return 2.0 + (max(top.bit_length(), bottom.bit_length()) / 2000) ** 2


def _zone(encoder: Encoder, zone: dt.tzinfo | None) -> Value:
    """Return the tree of a time zone; False for one that cannot cross (its methods would have to be called)."""
    encoder.spend(40)
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        offset: Value = _timedelta(encoder, zone.utcoffset(None), 0)
        return [offset, zone.tzname(None)]
    if type(zone) is zoneinfo.ZoneInfo and type(zone.key) is str:
        return zone.key
    key: object = vars(type(zone)).get("zone") if type(zone).__module__ in ("pytz", "pytz.tzfile") else None
    return key if type(key) is str else False


_DATE = ("year", "month", "day")
_CLOCK = ("hour", "minute", "second", "microsecond", "fold")


def _date(encoder: Encoder, value: dt.date, _depth: int) -> Value:
    encoder.spend(8)
    return ["da", *[getattr(value, name) for name in _DATE]]


def _with_zone(tag: str, names: tuple[str, ...]) -> EncodeHandler:
    def encode(encoder: Encoder, value: dt.datetime | dt.time, depth: int) -> Value:
        zone = _zone(encoder, value.tzinfo)
        if zone is False:
            return encoder.opaque(value, depth)
        return [tag, *[getattr(value, name) for name in names], zone]

    return encode


def _timedelta(encoder: Encoder, value: dt.timedelta, _depth: int) -> Value:
    encoder.spend(16)
    return ["td", value.days, value.seconds, value.microseconds]


def _timezone(encoder: Encoder, value: dt.tzinfo, depth: int) -> Value:
    zone = _zone(encoder, value)
    return ["tz", zone] if zone is not False else encoder.opaque(value, depth)


def _decimal(encoder: Encoder, value: Decimal, depth: int) -> Value:
    digits = str(value)
    encoder.spend(len(digits))
    return ["D", digits] if _DECIMAL.fullmatch(digits) else encoder.opaque(value, depth)


def _fraction(encoder: Encoder, value: Fraction, depth: int) -> Value:
    # SECURITY: a Fraction's slots can be written; they are checked to hold plain ints before use.
    top, bottom = value.numerator, value.denominator
    if type(top) is not int or type(bottom) is not int or max(top.bit_length(), bottom.bit_length()) > BITS:
        return encoder.opaque(value, depth)
    encoder.work("fractions", _reduction(top, bottom))
    return ["Q", encoder.add(top, depth + 1), encoder.add(bottom, depth + 1)]


def _uuid(encoder: Encoder, value: UUID, depth: int) -> Value:
    number: object = value.int
    encoder.spend(16)
    if type(number) is not int or not 0 <= number < 1 << 128:
        return encoder.opaque(value, depth)
    return ["U", f"{number:x}"]


def _path(encoder: Encoder, value: PurePath, depth: int) -> Value:
    shown: object = str(value)
    if type(shown) is not str or len(shown) > 4096:
        return encoder.opaque(value, depth)
    encoder.spend(len(shown))
    is_windows, is_concrete = isinstance(value, PureWindowsPath), isinstance(value, Path)
    return ["P", is_windows, is_concrete, shown]


ENCODE: Mapping[type, EncodeHandler] = {
    dt.datetime: _with_zone("dt", _DATE + _CLOCK),
    dt.time: _with_zone("tm", _CLOCK),
    dt.date: _date,
    dt.timedelta: _timedelta,
    dt.timezone: _timezone,
    zoneinfo.ZoneInfo: _timezone,
    Decimal: _decimal,
    Fraction: _fraction,
    UUID: _uuid,
    PurePosixPath: _path,
    PureWindowsPath: _path,
    PosixPath: _path,
    WindowsPath: _path,
}


def _numbers(items: list[Value]) -> list[int]:
    return [whole(item, -1_000_000_000, 1_000_000_000) for item in items]


@cache
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


def _take_zone(zone: Value) -> dt.tzinfo | None:
    if zone is None:
        return None
    if type(zone) is list:
        offset, name = zone
        plain = dt.timezone(_take_timedelta(offset))
        return plain if plain.tzname(None) == name else dt.timezone(_take_timedelta(offset), text(name, 200))
    key = text(zone, 200)
    # SECURITY: ZoneInfo opens files and imports packages by its key; only names that it lists itself get there.
    if _ZONE_KEY.fullmatch(key) is None or (key != "UTC" and key not in _zones()):
        refuse("unknown time zone", key)
    return dt.UTC if key == "UTC" and key not in _zones() else zoneinfo.ZoneInfo(key)


def _take_with_zone(make: Callable[..., object], names: tuple[str, ...]) -> DecodeHandler:
    def take(_decoder: Decoder, tree: list[Value], _depth: int) -> object:
        *numbers, zone = tree[1:]
        if len(numbers) != len(names):
            refuse("not a time", tree)
        return make(**dict(zip(names, _numbers(numbers))), tzinfo=_take_zone(zone))  # noqa: B905 (Python 3.10)

    return take


def _take_timedelta(tree: Value) -> dt.timedelta:
    if type(tree) is not list:
        refuse("not a duration", tree)
    days, seconds, micro = _numbers(tree[1:])
    return dt.timedelta(days, seconds, micro)


def _take_decimal(_decoder: Decoder, tree: list[Value], _depth: int) -> object:
    digits = text(tree[1], 20_000)
    return Decimal(digits) if _DECIMAL.fullmatch(digits) else refuse("not a decimal number", digits)


def _take_fraction(decoder: Decoder, tree: list[Value], depth: int) -> object:
    top, bottom = decoder.values(tree, depth)
    # SECURITY: reducing a fraction of a million bits takes seconds.
    if type(top) is not int or type(bottom) is not int or max(top.bit_length(), bottom.bit_length()) > BITS:
        refuse("not a fraction", tree)
    decoder.work("fractions", _reduction(top, bottom))
    return Fraction(top, bottom)


def _take_path(_decoder: Decoder, tree: list[Value], _depth: int) -> object:
    _tag, is_windows, is_concrete, shown = tree
    if is_concrete is True and isinstance(Path(), WindowsPath) is is_windows:
        return Path(text(shown, 4096))
    return (PureWindowsPath if is_windows is True else PurePosixPath)(text(shown, 4096))


DECODE: Mapping[str, DecodeHandler] = {
    "dt": _take_with_zone(dt.datetime, _DATE + _CLOCK),
    "tm": _take_with_zone(dt.time, _CLOCK),
    "da": lambda _d, tree, _depth: dt.date(*_numbers(tree[1:])),
    "td": lambda _d, tree, _depth: _take_timedelta(tree),
    "tz": lambda _d, tree, _depth: _take_zone(tree[1]),
    "D": _take_decimal,
    "Q": _take_fraction,
    "U": lambda _d, tree, _depth: UUID(int=int(text(tree[1], 32), 16)),
    "P": _take_path,
}
