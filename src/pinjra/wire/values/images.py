"""PIL images <-> PNG blobs. PIL is used when it is imported already; decoding imports it, and only its PNG reader."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from pinjra.core.values import Opaque
from pinjra.wire.frames import refuse
from pinjra.wire.messages import Value
from pinjra.wire.values.coding import DecodeHandler, Decoder, EncodeHandler, Encoder, loaded, mro

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["BASE_TESTS", "DECODE"]

PIXELS = 50_000_000  # 200 MB as RGBA: below the number at which Pillow itself begins to warn
_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def _is_image(cls: type) -> bool:
    module = loaded("PIL.Image")
    image: object = getattr(module, "Image", None)
    # A class that the guest derived has methods of its own, which `save` would call: only PIL's classes.
    return image is not None and any(p is image for p in mro(cls)) and cls.__module__.startswith("PIL.")


def _image(encoder: Encoder, value: Image.Image, depth: int) -> Value:
    if value.width * value.height > PIXELS:
        return encoder.opaque(value, depth)
    if value.mode not in _PNG_MODES:
        value = value.convert("RGBA" if "a" in value.mode.lower() else "RGB")
    data = io.BytesIO()
    value.save(data, "PNG", compress_level=1)
    return ["im", encoder.blob(data.getvalue())]


def _take_image(decoder: Decoder, tree: list[Value], _depth: int) -> object:
    data = decoder.blob(tree[1])
    try:
        from PIL import Image
    except ImportError:
        return Opaque("Image", f"pillow is not installed here: PNG of {len(data)} bytes")
    # SECURITY: the size in the header is checked before Pillow sees the file; pixels are decoded when they are used.
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR":
        refuse("not a PNG")
    if int.from_bytes(data[16:20], "big") * int.from_bytes(data[20:24], "big") > PIXELS:
        refuse(f"an image of more than {PIXELS} pixels")
    return Image.open(io.BytesIO(data), formats=["PNG"])


BASE_TESTS: list[tuple[Callable[[type], bool], EncodeHandler]] = [(_is_image, _image)]
DECODE: Mapping[str, DecodeHandler] = {"im": _take_image}
