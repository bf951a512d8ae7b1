"""Images -> what they are as files. No library of images is imported."""

from __future__ import annotations

from io import BytesIO
from typing import Protocol

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
)
_OF_PNG = ("1", "L", "LA", "I;16", "P", "RGB", "RGBA")  # modes of Pillow


class PillowImage(Protocol):
    """An image of Pillow."""

    mode: str

    def convert(self, mode: str) -> PillowImage:
        """Return it in another mode."""

    def save(self, file: BytesIO, format: str) -> None:  # noqa: A002  (Pillow's name)
        """Write it as a file."""


def image_type(data: bytes) -> str:
    """Return the media type of an image's file, by its first bytes; "" for what is no PNG, JPEG, GIF or WebP."""
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    return next((name for signature, name in _SIGNATURES if data.startswith(signature)), "")


def png_of(image: PillowImage) -> bytes:
    """Return an image as PNG; modes that PNG has not (of printing, of video) become red, green and blue."""
    file = BytesIO()
    (image if image.mode in _OF_PNG else image.convert("RGB")).save(file, format="PNG")
    return file.getvalue()
