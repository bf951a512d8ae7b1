"""pandas Series, DataFrame, Index and times <-> trees. pandas is used when it is imported; decoding imports it.

A column is `[form, …]`: "a" an array, "t" UTC times with a zone, "v" values with the name of a dtype ("" for objects).
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from pinjra.core.values import Opaque
from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values import coding
from pinjra.wire.values.coding import COLUMN, DecodeHandler, Decoder, Encoder, StandIn, needing, text, whole

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
else:
    np, pd = coding.Late("numpy"), coding.Late("pandas")

_NULLABLE = frozenset(
    ["boolean", "string", "Float32", "Float64", *(f"{s}Int{n}" for s in ("", "U") for n in (8, 16, 32, 64))]
)
_EVEN = re.compile(r"-?[0-9]{0,6}(D|h|min|s|ms|us|ns)")  # steps of one length
_FREQUENCY = re.compile(_EVEN.pattern + r"|-?[0-9]{0,3}(B|W(-[A-Z]{3})?|B?(M|Q|Y)(S|E)?(-[A-Z]{3})?)")
_STEP = 20.0  # microseconds of one step of another kind: pandas calls Python code
_EVEN_STEP = 0.05
_TIME = 20.0  # microseconds of one Timestamp
_QUICK = frozenset({int, float, str, bool})  # compared by C code, at their first difference
_ROWS = 1 << 27  # a range index costs nothing to send
# SECURITY: pandas hashes categories without a seed, crafted ones cost n²: where that is too much they come as plain values
_CATEGORIES = 1 << 13
_PAIR = 0.006  # microseconds of one comparison of pandas' hash tables
# SECURITY: as plain values a row takes 32 bytes while it is made, and may have come as one
_PLAIN_ROWS = 1 << 21
# SECURITY: by other names ("dateutil//home/…") pandas opens files
_ZONE = re.compile(r"(?!dateutil)[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}|UTC[+-]\d\d:\d\d(:\d\d)?")


def learn() -> None:
    """Add pandas' types to the encoder's table."""
    coding.register([pd.DataFrame], _frame)
    coding.register([pd.Series], _series)
    index_kinds = (pd.RangeIndex, pd.MultiIndex, pd.DatetimeIndex, pd.TimedeltaIndex, pd.CategoricalIndex)
    coding.register([pd.Index, *index_kinds], lambda e, value, depth: ["ix", _index(e, value, depth)])
    coding.register([pd.Timestamp, pd.Timedelta], _time)
    own_names = vars(coding.loaded("pandas")).items()
    coding.register([cls for name, cls in own_names if name.endswith("Dtype")], _dtype)
    coding.register([type(pd.NaT)], lambda e, _v, _d: ["pn", "NaT"])
    coding.register([type(pd.NA)], lambda e, _v, _d: ["pn", "NA"])


def _time(encoder: Encoder, value: pd.Timestamp | pd.Timedelta, depth: int) -> Value:
    """Return the plain time, and what it lacks: nanoseconds and the unit. Where no plain time is so far away, pandas raises."""
    encoder.work("single times of pandas", _TIME)
    unit, is_point = str(value.unit), isinstance(value, pd.Timestamp)
    whole_ones, rest = divmod(int(value.value), 1000) if unit == "ns" else (None, 0)
    if is_point:
        plain = value.to_pydatetime(warn=False)
    elif whole_ones is None:
        plain = value.to_pytimedelta()
    else:
        plain = datetime.timedelta(microseconds=whole_ones)
    return ["pt" if is_point else "pd", encoder.add(plain, depth + 1), rest, unit]


def _dtype(encoder: Encoder, value: pd.api.extensions.ExtensionDtype, depth: int) -> Value:
    """Return the tree of what stands for a dtype; in a container (`frame.dtypes`) by the name that pandas shows there."""
    tag, kind, shown, *more = cast("list[Value]", encoder.opaque(value))
    return [tag, kind, str(value) if depth else shown, *more]


def _column(encoder: Encoder, values: pd.Series | pd.Index, depth: int) -> Value:
    encoder.work("columns of tables", COLUMN)
    dtype, name = values.dtype, str(values.dtype)
    if type(dtype).__module__.startswith("numpy") and dtype.kind in "biufcmM" and dtype.char not in "gG":
        return ["a", _untold(encoder.add(values.to_numpy(), depth + 2))]
    if name.startswith("datetime64[") and "," in name and _ZONE.fullmatch(str(dtype.tz)):
        times = values.dt.tz_convert("UTC").dt if hasattr(values, "dt") else values.tz_convert("UTC")
        naive = times.tz_localize(None).to_numpy()
        return ["t", encoder.add(naive, depth + 2), str(dtype.tz)]
    if name == "category" and encoder.affords(len(dtype.categories) ** 2 * _PAIR):
        codes = values.cat.codes.to_numpy() if hasattr(values, "cat") else values.codes
        kinds = _column(encoder, dtype.categories, depth + 1)
        return ["k", encoder.add(codes, depth + 2), kinds, bool(dtype.ordered)]
    is_str, missing = name == "str", pd.NA  # "str" is of pandas 3: missing ones are NaN
    items = [
        None if item is missing or (is_str and item != item) else item
        for item in values.astype(object).tolist()
    ]
    return ["v", _untold(encoder.add(items, depth + 2)), name if name in _NULLABLE or is_str else ""]


def _untold(tree: Value) -> Value:
    """Return the tree of a column's values; raise where it is a description, and so the whole table becomes one."""
    if type(tree) is not list or tree[0] == "o":
        raise ValueError("nested too deep, or bytes that are no values of their dtype")
    return tree


def _index(encoder: Encoder, index: pd.Index, depth: int) -> Value:
    encoder.work("columns of tables", COLUMN)
    if type(index) is pd.RangeIndex:
        parts = [int(index.start), int(index.stop), int(index.step)]
        if all(-_ROWS <= part <= _ROWS for part in parts):
            return ["range", *parts, encoder.add(index.name, depth + 2)]
        encoder.spend(8 * len(index))  # before they are made
    if isinstance(index, pd.MultiIndex):
        return ["multi", encoder.add(index.tolist(), depth + 2), encoder.add(list(index.names), depth + 2)]
    freq = getattr(index, "freqstr", None)
    step = freq if type(freq) is str and _FREQUENCY.fullmatch(freq) else ""
    return ["one", _column(encoder, index, depth + 1), encoder.add(index.name, depth + 2), step]


def _series(encoder: Encoder, value: pd.Series, depth: int) -> Value:
    name = encoder.add(value.name, depth + 1)
    return ["se", name, _column(encoder, value, depth), _index(encoder, value.index, depth)]


def _frame(encoder: Encoder, value: pd.DataFrame, depth: int) -> Value:
    names = _index(encoder, value.columns, depth)
    columns = [_column(encoder, value.iloc[:, at], depth + 1) for at in range(value.shape[1])]
    return ["df", names, columns, _index(encoder, value.index, depth)]


_Forms = Mapping[str, Callable[[Decoder, list[Value], int], coding.T]]


def _take(decoder: Decoder, forms: _Forms[coding.T], tree: Value, depth: int) -> coding.T:
    """Return a column or an index, each of which has one of some forms, and charge for it."""
    if type(tree) is not list or not tree or (make := forms.get(str(tree[0]))) is None:
        refuse("not a part of a table", tree)
    decoder.work("columns of tables", COLUMN)
    return make(decoder, tree, depth)


def _take_array(decoder: Decoder, tree: list[Value], depth: int, kinds: str = "biufcmM") -> np.ndarray:
    values = decoder.value(tree[1], depth + 1)
    # SECURITY: only what is as long in memory as it was on the way; a range is a few bytes of any length.
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in kinds:
        refuse("not a column", tree)
    return values


def _take_zoned_times(decoder: Decoder, tree: list[Value], depth: int) -> pd.Series:
    if _ZONE.fullmatch(text(tree[2], 64)) is None:
        refuse("not a time zone", tree[2])
    return pd.Series(pd.DatetimeIndex(_take_array(decoder, tree, depth, "M"), tz="UTC").tz_convert(tree[2]))


def _take_values(decoder: Decoder, tree: list[Value], depth: int) -> pd.Series:
    values, dtype = decoder.expect(list, tree[1], depth + 1), text(tree[2], 20)
    if dtype and dtype not in _NULLABLE and dtype != "str":
        refuse("not a column", tree)
    if dtype in ("str", "string") and not all(item is None or type(item) is str for item in values):
        refuse("a column of texts with something else", tree)  # SECURITY: pandas would write it out
    known = dtype != "str" or pd.Series(["a"]).dtype == "str"  # pandas 2 has texts as objects
    return pd.Series(values, dtype=dtype if dtype and known else object)


def _take_categories(decoder: Decoder, tree: list[Value], depth: int) -> pd.Series:
    """Return a column of categories; its plain values where there are too many kinds of them."""
    codes = _take_array(decoder, tree, depth, "iu")
    known = pd.Series(_take(decoder, _COLUMNS, tree[2], depth + 1))
    places = pd.Series(codes)
    cost = len(known) ** 2 * _PAIR
    if known.dtype == object:
        # SECURITY: pandas compares these as Python does, which takes longer.
        cost += coding.collisions(known.tolist())
    if len(known) <= _CATEGORIES and decoder.affords(cost):
        return pd.Series(pd.Categorical.from_codes(codes, pd.Index(known), ordered=tree[3] is True))
    if places.dtype.kind != "i" or places.min() < -1 or places.max() >= len(known):
        refuse("codes of no category")
    if len(places) > _PLAIN_ROWS:
        why = f"{len(places)} rows of {len(known)} categories, too many of both"
        raise StandIn(Opaque("Categorical", why))
    return known.reindex(places).set_axis(range(len(places))) if (places < 0).any() else known.take(places)


_COLUMNS: _Forms[pd.Series | np.ndarray] = {
    "a": _take_array,
    "t": _take_zoned_times,
    "k": _take_categories,
    "v": _take_values,
}


def _take_tuples(decoder: Decoder, tree: list[Value], depth: int) -> pd.MultiIndex:
    """Return an index of tuples, whose levels are counted here: `hashables` looks at what pandas would not."""
    tuples, names = (decoder.expect(list, part, depth) for part in tree[1:3])
    if not all(type(each) is tuple and len(each) == len(names) for each in tuples):
        refuse("an index of tuples of another length")
    decoder.work("columns of tables", COLUMN * len(names))
    found = [_level(decoder, column) for column in zip(*tuples, strict=True)] or [([], [])] * len(names)
    levels = [pd.Index(kinds, tupleize_cols=False) for kinds, _codes in found]
    codes = [places for _kinds, places in found]
    return pd.MultiIndex(levels=levels, codes=codes, names=names, verify_integrity=False)


def _level(decoder: Decoder, column: Sequence[object]) -> tuple[list[object], list[int]]:
    """Return the different values of a column, in order where they have one, and the place of each; -1 for a missing one."""
    missing = {id(None), id(pd.NaT), id(pd.NA)}
    present = [value for value in column if id(value) not in missing and value == value]  # not a NaN
    kinds = list(dict.fromkeys(decoder.hashables(present)))
    if not set(map(type, kinds)) <= _QUICK:
        # SECURITY: each is compared with so many others to sort them.
        decoder.work("an index of tuples", len(kinds).bit_length() * sum(map(coding.comparing, kinds)))
    with suppress(TypeError):  # of types that have no order, as pandas leaves them
        kinds.sort()
    places = {value: place for place, value in enumerate(kinds)}
    is_missing = [id(value) in missing or value != value for value in column]
    return kinds, [-1 if gone else places[value] for value, gone in zip(column, is_missing, strict=True)]


def _take_range(decoder: Decoder, tree: list[Value], depth: int) -> pd.Index:
    start, stop, step = (whole(part, -_ROWS, _ROWS) for part in tree[1:4])
    return pd.RangeIndex(start, stop, step, name=decoder.value(tree[4], depth))


def _take_index(decoder: Decoder, tree: list[Value], depth: int) -> pd.Index:
    index = pd.Index(_take(decoder, _COLUMNS, tree[1], depth), name=decoder.value(tree[2], depth))
    freq = text(tree[3], 20)
    # SECURITY: pandas walks from time to time to see that they keep it, for minutes where it may; then it goes unsaid.
    cost = len(index) * (_EVEN_STEP if _EVEN.fullmatch(freq) else _STEP)
    has_times = isinstance(index, (pd.DatetimeIndex, pd.TimedeltaIndex))
    if has_times and _FREQUENCY.fullmatch(freq) and decoder.affords(cost):
        index.freq = freq
    return index


_INDEXES: _Forms[pd.Index] = {"range": _take_range, "multi": _take_tuples, "one": _take_index}


def _along(decoder: Decoder, index: pd.Index, column: Value, depth: int) -> pd.Series:
    """Return a column that has as many rows as its index."""
    values = _take(decoder, _COLUMNS, column, depth)
    # SECURITY: pandas would stretch a single value over an index of any length.
    if len(values) != len(index):
        refuse("a column of another length than its index")
    return pd.Series(values).set_axis(index)


def _take_frame(decoder: Decoder, tree: list[Value], depth: int) -> object:
    _tag, names, columns, rows = tree
    if type(columns) is not list:
        refuse("not a table", tree)
    index = _take(decoder, _INDEXES, rows, depth)
    found = {at: _along(decoder, index, column, depth) for at, column in enumerate(columns)}
    frame = pd.DataFrame(found, index=index)
    frame.columns = _take(decoder, _INDEXES, names, depth)
    return frame


def _take_series(decoder: Decoder, tree: list[Value], depth: int) -> object:
    _tag, name, column, rows = tree
    index = _take(decoder, _INDEXES, rows, depth)
    return _along(decoder, index, column, depth).rename(decoder.value(name, depth))


def _take_time(decoder: Decoder, tree: list[Value], depth: int) -> object:
    """Return a Timestamp or Timedelta."""
    tag, _plain, nanoseconds, unit = tree
    value = _take_plain_time(decoder, tree, depth)
    rest = pd.Timedelta(whole(nanoseconds, 0, 999), unit="ns")
    if text(unit, 2) not in ("s", "ms", "us", "ns"):
        refuse("not a unit of time", unit)
    made = pd.Timestamp(value) if tag == "pt" else pd.Timedelta(value)
    return made.as_unit("ns") + rest if nanoseconds else made.as_unit(str(unit))


def _take_plain_time(decoder: Decoder, tree: list[Value], depth: int) -> object:
    """Return the time to the microsecond."""
    decoder.work("single times of pandas", _TIME)
    return decoder.expect(datetime.datetime if tree[0] == "pt" else datetime.timedelta, tree[1], depth)


def _take_missing(_decoder: Decoder, tree: list[Value], _depth: int) -> object:
    return {"NaT": pd.NaT, "NA": pd.NA}[text(tree[1], 3)]


def _nothing(what: str) -> DecodeHandler:
    return lambda _decoder, _tree, _depth: Opaque(what, "pandas is not installed here")


DECODE: Mapping[str, DecodeHandler] = {
    "pt": needing("pandas", _take_time, _take_plain_time),
    "pd": needing("pandas", _take_time, _take_plain_time),
    "pn": needing("pandas", _take_missing, lambda _decoder, _tree, _depth: None),
    "df": needing("pandas", _take_frame, _nothing("DataFrame")),
    "se": needing("pandas", _take_series, _nothing("Series")),
    "ix": needing("pandas", lambda d, tree, depth: _take(d, _INDEXES, tree[1], depth), _nothing("Index")),
}
