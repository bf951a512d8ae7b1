"""PIL images <-> PNG blobs. PIL is used when it is imported already; decoding imports it, and only its PNG reader."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pinjra.core.values import Opaque
from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values import coding

if TYPE_CHECKING:
    from PIL import Image

PIXELS = 50_000_000  # 200 MB as RGBA: below the number at which Pillow itself begins to warn
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNKS = frozenset({b"IHDR", b"PLTE", b"tRNS", b"pHYs", b"IDAT", b"IEND"})
_CHUNK_BYTES = 1024  # on average at least, or a file is all heads of chunks
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def _is_image(cls: type) -> bool:
    image: object = getattr(coding.loaded("PIL.Image"), "Image", None)
    # A class that the guest derived has methods of its own, which `save` would call: only PIL's classes.
    return coding.inherits(cls, image) and cls.__module__.startswith("PIL.")


def _image(encoder: coding.Encoder, value: Image.Image, depth: int) -> Value:
    if value.width * value.height > PIXELS:
        return encoder.opaque(value, depth)
    encoder.work("pixels of images", value.width * value.height * coding.PIXEL)
    if value.mode not in _PNG_MODES:
        value = value.convert("RGBA" if "a" in value.mode.lower() else "RGB")
    data = io.BytesIO()
    value.save(data, "PNG", compress_level=1)
    return ["im", encoder.blob(data.getvalue())]


def _take_image(decoder: coding.Decoder, tree: list[Value], _depth: int) -> object:
    from PIL import Image

    data = decoder.blob(tree[1])
    # SECURITY: the size in the header is checked before Pillow sees the file; pixels are decoded when they are used.
    if data[:8] != _SIGNATURE or data[12:16] != b"IHDR":
        refuse("not a PNG")
    pixels = int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big")
    if pixels > PIXELS:
        refuse(f"an image of more than {PIXELS} pixels")
    decoder.work("pixels of images", pixels * coding.PIXEL)
    return Image.open(io.BytesIO(_plain_png(data)), formats=["PNG"])


def _plain_png(data: bytes) -> bytes:
    """Return a PNG that is nothing but its picture: one header, and no texts, profiles or further frames to unpack."""
    kept, at, left = [_SIGNATURE], 8, 100 + len(data) // _CHUNK_BYTES
    while kept[-1][4:8] != b"IEND":
        if at + 12 > len(data) or not left:
            refuse("a PNG without an end")
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        # SECURITY: Pillow takes the last of several headers, and unpacks 64 MiB of texts for a file of 64 kB.
        if kind == b"IHDR" and at != 8:
            refuse("a PNG with two headers")
        if kind in _CHUNKS:
            kept.append(data[at:end])
        elif not kind[:1].islower():
            refuse("a PNG with an unknown part", kind)
        at, left = end, left - 1
    return b"".join(kept)


def _image_without_pillow(decoder: coding.Decoder, tree: list[Value], _depth: int) -> object:
    return Opaque("Image", f"pillow is not installed here: PNG of {len(decoder.blob(tree[1]))} bytes")


BASE_TESTS: list[coding.BaseTest] = [(_is_image, _image)]
DECODE: Mapping[str, coding.DecodeHandler] = {"im": coding.needing("PIL", _take_image, _image_without_pillow)}
