"""Values <-> (JSON trees, blobs): the whole codec, put together from one table per family of types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pinjra.core.values import Opaque
from pinjra.wire.messages import Value
from pinjra.wire.values import builtins as plain
from pinjra.wire.values import coding, times
from pinjra.wire.values import enums_and_dataclasses as records
from pinjra.wire.values import images as pictures
from pinjra.wire.values import numpy as arrays
from pinjra.wire.values import pandas as tables
from pinjra.wire.values.coding import Decoder, EncodeError, Encoder, ValueLimits, plain_opaque, type_name

__all__ = ["Decoder", "EncodeError", "Encoder", "ValueLimits", "decode", "encode", "type_name"]

for _family in (plain, times):
    for _type, _handler in _family.ENCODE.items():
        coding.register([_type], _handler)
    coding.DECODERS.update(_family.DECODE)
coding.BASES += plain.INHERIT
coding.BASE_TESTS += [*pictures.BASE_TESTS, *records.BASE_TESTS]
coding.LEARNERS += [arrays.learn, tables.learn]
for _science in (arrays, tables, pictures):
    coding.DECODERS.update(_science.DECODE)


def encode(
    value: object, limits: ValueLimits | None = None, opaque: Callable[[object], Opaque] = plain_opaque
) -> tuple[Value, tuple[bytes, ...]]:
    """Return (tree, blobs) of one value.

    Raises:
        EncodeError: It is beyond the limits.
    """
    encoder = Encoder(limits, opaque)
    return encoder.add(value), encoder.blobs


def decode(
    tree: Value, blobs: Sequence[bytes] = (), resolve: Callable[[Opaque], object] | None = None
) -> object:
    """Return the value of (tree, blobs).

    Raises:
        ProtocolViolation: They are none of this codec (the worker's fault).
    """
    return Decoder(blobs, resolve).take(tree)
