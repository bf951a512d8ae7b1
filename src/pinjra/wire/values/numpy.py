"""numpy arrays and scalars <-> trees and raw blobs. numpy is used when it is imported already; decoding imports it."""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from pinjra.core.values import Opaque
from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values import coding

if TYPE_CHECKING:
    import numpy as np
else:
    np = coding.Late("numpy")

# Kinds of a fixed size that hold no pointers; long doubles differ from machine to machine.
_DTYPE = re.compile(
    r"[<>|=]?(b1|[iu][1248]|f[248]|c(8|16)|[SU]([1-9]\d{0,7})|[mM]8(\[\d{0,9}(Y|M|W|D|h|m|s|ms|us|ns|ps|fs|as)\])?)"
)
_KINDS = "biufcSUmM"
_AXES = 32


def learn() -> None:
    """Add numpy's types to the encoder's table."""
    scalars: set[type] = {np.dtype(code).type for code in "?bBhHiIlLqQefdFDSU"}
    coding.register(scalars | {np.datetime64, np.timedelta64}, encode_scalar)
    coding.register([np.ndarray], encode_array)
    coding.register({type(np.dtype(code)) for code in "?bBhHiIlLqQefdFDSUOMm"}, _encode_dtype)


def encode_array(encoder: coding.Encoder, value: np.ndarray, depth: int) -> Value:
    """Return the tree of an array; its bytes travel as they are, its objects as a list."""
    code = value.dtype.str
    if code == "|O" and 0 < value.ndim <= _AXES:
        items = encoder.sequence("l", value, value.reshape(-1).tolist(), depth + 1)
        return ["no", list(value.shape), items] if type(items) is list and items[0] == "l" else items
    if value.dtype.hasobject or value.ndim > _AXES or _DTYPE.fullmatch(code) is None:
        return encoder.opaque(value, depth)
    data = value.tobytes()
    _check_bits(np.frombuffer(data, value.dtype))
    return ["nd", code, list(value.shape), encoder.blob(data)]


def _encode_dtype(encoder: coding.Encoder, value: np.dtype, depth: int) -> Value:
    if value.str != "|O" and _DTYPE.fullmatch(value.str) is None:
        return encoder.opaque(value, depth)
    encoder.spend(len(value.str))
    return ["nt", value.str]


def encode_scalar(encoder: coding.Encoder, value: np.generic, depth: int) -> Value:
    """Return the tree of a scalar, with its plain form for a reader without numpy."""
    code = value.dtype.str
    if value.dtype.kind in "SU" or _DTYPE.fullmatch(code) is None:
        return encoder.add(value.item(), depth)  # numpy.str_ of any length is a string
    plain = encoder.add(value.item(), depth + 1) if value.dtype.kind in "biufc" else None
    return ["ns", code, binascii.b2a_base64(value.tobytes(), newline=False).decode(), plain]


@lru_cache(256)
def _dtype(code: str) -> np.dtype:
    """Return the dtype of a code when it is of a kind that may cross; otherwise refuse it."""
    if _DTYPE.fullmatch(code) is None:
        refuse("a dtype that may not cross", code)
    return np.dtype(code)


def _take_array(decoder: coding.Decoder, tree: list[Value], _depth: int) -> object:
    _tag, code, shape, position = tree
    data = decoder.blob(position)
    dtype = _dtype(coding.text(code, 40))
    array = np.frombuffer(data, dtype).reshape(_axes(shape, len(data), dtype.itemsize))
    _check_bits(array)
    return array.copy()  # the caller's own, writable


def _axes(shape: Value, size: int, item_size: int) -> list[int]:
    if type(shape) is not list or len(shape) > _AXES:
        refuse("not a shape", shape)
    axes = [coding.whole(axis, 0, 1 << 40) for axis in shape]
    # SECURITY: the size is computed in Python's ints and compared before numpy sees the shape.
    if math.prod(axes) * item_size != size:
        refuse(f"an array of {size} bytes or objects whose shape is", shape)
    return axes


def _take_objects(decoder: coding.Decoder, tree: list[Value], depth: int) -> object:
    _tag, shape, items = tree
    found = decoder.expect(list, items, depth + 1)
    axes = _axes(shape, len(found), 1)
    array: np.ndarray = np.empty(len(found), object)
    for at, item in enumerate(found):  # at once, lists in it would be taken for further axes
        array[at] = item
    return array.reshape(axes)


def _check_bits(array: np.ndarray) -> None:
    """Refuse bytes that are no value of the dtype: numpy's own loops take them on trust."""
    flat = array.reshape(-1)
    if array.size and array.dtype.kind == "b" and flat.view(np.uint8).max() > 1:
        refuse("a truth value that is neither 0 nor 1")
    if array.size and array.dtype.kind == "U":
        code: np.dtype = np.dtype(np.uint32).newbyteorder(array.dtype.byteorder)
        if flat.view(code).max() > 0x10FFFF:
            refuse("a character beyond Unicode")


def _take_scalar(_decoder: coding.Decoder, tree: list[Value], _depth: int) -> object:
    _tag, code, packed, _plain = tree
    data = binascii.a2b_base64(coding.text(packed, 64))
    dtype = _dtype(coding.text(code, 40))
    if len(data) != dtype.itemsize:
        refuse("a scalar of another size than its dtype", tree)
    array = np.frombuffer(data, dtype)
    _check_bits(array)
    return array[0]


def _take_dtype(_decoder: coding.Decoder, tree: list[Value], _depth: int) -> object:
    return np.dtype("O") if tree[1] == "|O" else _dtype(coding.text(tree[1], 40))


def _array_without_numpy(decoder: coding.Decoder, tree: list[Value], _depth: int) -> object:
    _tag, code, _shape, position = tree
    size = len(decoder.blob(position))
    return Opaque("ndarray", f"numpy is not installed here: array of {code!r:.40}, {size} bytes")


DECODE: Mapping[str, coding.DecodeHandler] = {
    "nd": coding.needing("numpy", _take_array, _array_without_numpy),
    "no": coding.needing("numpy", _take_objects, lambda decoder, tree, depth: decoder.value(tree[2], depth)),
    "ns": coding.needing("numpy", _take_scalar, lambda decoder, tree, depth: decoder.value(tree[3], depth)),
    "nt": coding.needing(
        "numpy", _take_dtype, lambda _d, tree, _depth: Opaque("dtype", f"dtype({tree[1]!r:.40})")
    ),
}
