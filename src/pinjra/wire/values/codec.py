"""Values <-> (JSON trees, blobs): the whole codec, put together from one table per family of types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from pinjra.core.values import Opaque
from pinjra.wire.messages import Value
from pinjra.wire.values import builtins, coding, enums_and_dataclasses, images, numpy, pandas, times
from pinjra.wire.values.coding import VALUE_BYTES, Decoder, EncodeError, Encoder, plain_opaque, type_name

__all__ = ["VALUE_BYTES", "Decoder", "EncodeError", "Encoder", "decode", "encode", "type_name"]

for _family in (builtins, times):
    for _type, _handler in _family.ENCODE.items():
        coding.register([_type], _handler)
for _decoding in (builtins, times, numpy, pandas, images):
    coding.DECODERS.update(_decoding.DECODE)
coding.BASE_TESTS += [*images.BASE_TESTS, *enums_and_dataclasses.BASE_TESTS]
# Last: an IntEnum's member is a record, not a number.
coding.BASE_TESTS += [(partial(coding.inherits, base=cls), handler) for cls, handler in builtins.INHERIT]
coding.LEARNERS.update(numpy=numpy.learn, pandas=pandas.learn)


def encode(
    value: object, value_bytes: int | None = VALUE_BYTES, opaque: Callable[[object], Opaque] = plain_opaque
) -> tuple[Value, tuple[bytes, ...]]:
    """Return (tree, blobs) of one value.

    Raises:
        EncodeError: It is beyond the limits.
    """
    encoder = Encoder(value_bytes, opaque)
    return encoder.add(value), encoder.blobs


def decode(
    tree: Value, blobs: Sequence[bytes] = (), resolve: Callable[[Opaque], object] | None = None
) -> object:
    """Return the value of (tree, blobs).

    Raises:
        ProtocolViolation: They are none of this codec (the worker's fault).
    """
    return Decoder(blobs, resolve).take(tree)
