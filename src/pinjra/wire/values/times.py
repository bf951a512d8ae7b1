"""Dates, exact numbers, identifiers and paths <-> trees. Numbers and short texts only; no parsing of long texts."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache, partial
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from uuid import UUID

from pinjra.core.values import Opaque
from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values.coding import DecodeHandler, Decoder, EncodeHandler, Encoder, StandIn, text, whole

_ZONE_KEY = re.compile(r"[A-Za-z0-9_+-]{1,40}(/[A-Za-z0-9_+-]{1,40}){0,3}")
_DECIMAL = re.compile(r"-?(\d{1,9000}(\.\d{0,9000})?(E[+-]?\d{1,4})?|Infinity|s?NaN\d{0,20})")

_ZONE_NAME_CHARS = 200
_PATH = 6.0  # microseconds of a path and its hash: pathlib is Python code
BITS = 1 << 16  # of a fraction's parts


def _parts(side: Encoder | Decoder, top: object, bottom: object) -> tuple[int, int]:
    """Return a fraction's parts when they are some, and charge for reducing it; otherwise refuse them."""
    # SECURITY: the slots of a Fraction can be written, and reducing one of a million bits takes seconds.
    if type(top) is not int or type(bottom) is not int or bottom == 0:
        refuse("not a fraction")
    bits = max(top.bit_length(), bottom.bit_length())
    if bits > BITS:
        refuse("a fraction of too many digits")
    side.work("fractions", 2.0 + (bits / 2000) ** 2)
    return top, bottom


def _zone(encoder: Encoder, zone: dt.tzinfo | None) -> Value:
    """Return the tree of a time zone; raise `TypeError` for one that cannot cross (its methods would have to be called)."""
    encoder.spend(40)
    if zone is None:
        return None
    if type(zone) is dt.timezone:
        offset: Value = _time("td", _SPAN, encoder, zone.utcoffset(None), 0)
        name = zone.tzname(None)
        if len(name) > _ZONE_NAME_CHARS:
            raise ValueError("a time zone with a long name")
        return [offset, name]
    key: object = None
    if type(zone) is zoneinfo.ZoneInfo:
        key = zone.key
    elif type(zone).__module__ in ("pytz", "pytz.tzfile"):
        key = vars(type(zone)).get("zone")
    if type(key) is not str or not _ZONE_KEY.fullmatch(key):
        raise TypeError("a time zone of a class or a name of its own")
    return key


_DATE, _CLOCK = ("year", "month", "day"), ("hour", "minute", "second", "microsecond", "fold", "tzinfo")
_SPAN = ("days", "seconds", "microseconds")
# Tag -> class, and the attributes that it is made of.
_TIMES: Mapping[str, tuple[type, tuple[str, ...]]] = {
    "dt": (dt.datetime, _DATE + _CLOCK),
    "tm": (dt.time, _CLOCK),
    "da": (dt.date, _DATE),
    "td": (dt.timedelta, _SPAN),
}


def _time(tag: str, names: tuple[str, ...], encoder: Encoder, value: object, _depth: int) -> Value:
    encoder.spend(8 * len(names))
    parts = [getattr(value, name) for name in names]
    if names[-1] == "tzinfo":
        parts[-1] = _zone(encoder, parts[-1])
    return [tag, *parts]


def _decimal(encoder: Encoder, value: Decimal, depth: int) -> Value:
    digits = str(value)
    encoder.spend(len(digits))
    return ["D", digits] if _DECIMAL.fullmatch(digits) else encoder.opaque(value, depth)


def _fraction(encoder: Encoder, value: Fraction, depth: int) -> Value:
    parts = _parts(encoder, value.numerator, value.denominator)
    return ["Q", *(encoder.add(part, depth + 1) for part in parts)]


def _uuid(encoder: Encoder, value: UUID, depth: int) -> Value:
    number: object = value.int
    encoder.spend(16)
    if type(number) is not int or not 0 <= number < 1 << 128:
        return encoder.opaque(value, depth)
    return ["U", f"{number:x}"]


def _path(encoder: Encoder, value: PurePath, depth: int) -> Value:
    encoder.work("paths", _PATH)
    shown: object = str(value)
    if type(shown) is not str or len(shown) > 4096:
        return encoder.opaque(value, depth)
    encoder.spend(len(shown))
    is_windows, is_concrete = isinstance(value, PureWindowsPath), isinstance(value, Path)
    return ["P", is_windows, is_concrete, shown]


ENCODE: Mapping[type, EncodeHandler] = {
    **{cls: partial(_time, tag, names) for tag, (cls, names) in _TIMES.items()},
    **dict.fromkeys((dt.timezone, zoneinfo.ZoneInfo), lambda e, v, _d: ["tz", _zone(e, v)]),
    Decimal: _decimal,
    Fraction: _fraction,
    UUID: _uuid,
    **dict.fromkeys((PurePosixPath, PureWindowsPath, PosixPath, WindowsPath), _path),
}


# SECURITY: zoneinfo keeps eight of those that nobody holds, and reads the file of any other again.
_zones, _zone_of = cache(zoneinfo.available_timezones), cache(zoneinfo.ZoneInfo)


def _take_zone(decoder: Decoder, zone: Value, depth: int, owner: str) -> dt.tzinfo | None:
    """Return a time zone; raise `StandIn` for the value of class `owner` where it is not known here."""
    if zone is None:
        return None
    if type(zone) is list:
        offset, name = decoder.expect(dt.timedelta, zone[0], depth), text(zone[1], _ZONE_NAME_CHARS)
        plain = dt.timezone(offset)
        return plain if plain.tzname(None) == name else dt.timezone(offset, name)
    key = text(zone, 200)
    # SECURITY: ZoneInfo opens files and imports packages by its key; only names that it lists itself get there.
    if _ZONE_KEY.fullmatch(key) is None:
        refuse("not a time zone", key)
    if key != "UTC" and key not in _zones():  # the box may know others, or have made one
        raise StandIn(Opaque(owner, f"time zone {key!r} is not known here"))
    return _zone_of(key) if key in _zones() else dt.timezone.utc  # noqa: UP017 (Python 3.10 has no dt.UTC)


def _take_time(cls: type, names: tuple[str, ...], decoder: Decoder, tree: list[Value], depth: int) -> object:
    has_zone = names[-1] == "tzinfo"
    numbers = [whole(part, -1_000_000_000, 1_000_000_000) for part in (tree[1:-1] if has_zone else tree[1:])]
    if len(tree) != 1 + len(names):
        refuse("not a time", tree)
    if not has_zone:
        return cls(*numbers)
    zone = _take_zone(decoder, tree[-1], depth, cls.__name__)
    return cls(**dict(zip(names, [*numbers, zone], strict=True)))


def _take_decimal(_decoder: Decoder, tree: list[Value], _depth: int) -> object:
    digits = text(tree[1], 20_000)
    return Decimal(digits) if _DECIMAL.fullmatch(digits) else refuse("not a decimal number", digits)


def _take_path(decoder: Decoder, tree: list[Value], _depth: int) -> object:
    decoder.work("paths", _PATH)
    _tag, is_windows, is_concrete, shown = tree
    if is_concrete is True and isinstance(Path(), WindowsPath) is is_windows:
        return Path(text(shown, 4096))
    return (PureWindowsPath if is_windows is True else PurePosixPath)(text(shown, 4096))


DECODE: Mapping[str, DecodeHandler] = {
    **{tag: partial(_take_time, cls, names) for tag, (cls, names) in _TIMES.items()},
    "tz": lambda d, tree, depth: _take_zone(d, tree[1], depth, "ZoneInfo"),
    "D": _take_decimal,
    "Q": lambda d, tree, depth: Fraction(*_parts(d, *d.values(tree, depth))),
    "U": lambda _d, tree, _depth: UUID(int=int(text(tree[1], 32), 16)),
    "P": _take_path,
}
