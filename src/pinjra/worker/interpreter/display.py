"""Objects -> (media type, bytes) to look at: figures, images, whatever offers a picture of itself."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator

from pinjra.guard.errors import GuestStop

__all__ = ["open_figures", "picture", "value_pictures"]

Picture = tuple[str, bytes]

_TEXTS = (("_repr_html_", "text/html"), ("_repr_svg_", "image/svg+xml"), ("_repr_markdown_", "text/markdown"))
_BYTES = (("_repr_png_", "image/png"), ("_repr_jpeg_", "image/jpeg"))


def picture(value: object) -> Picture | None:
    """Return what there is to see of `value`; None when it is nothing to look at. Runs the object's own methods: guest code."""
    cls = type(value)
    for module, make in _KNOWN:
        if any(base.__module__.partition(".")[0] == module for base in cls.__mro__):
            found = make(value)
            if found is not None:
                return found
    return _own_picture(value, cls)


def _figure(value: object) -> Picture | None:
    figures = sys.modules.get("matplotlib.figure")
    base = getattr(figures, "Figure", None)
    if isinstance(value, list | tuple) or base is None:
        return None
    figure = value if isinstance(value, base) else getattr(value, "figure", None)
    return _saved(figure.savefig, "png", bbox_inches="tight") if isinstance(figure, base) else None


def _image(value: object) -> Picture | None:
    images = sys.modules.get("PIL.Image")
    base = getattr(images, "Image", None)
    return _saved(value.save, "PNG") if base is not None and isinstance(value, base) else None


_KNOWN: tuple[tuple[str, Callable[[object], Picture | None]], ...] = (
    ("matplotlib", _figure),
    ("PIL", _image),
)


def _saved(save: Callable[..., object], kind: str, **options: object) -> Picture:
    file = io.BytesIO()
    save(file, format=kind, **options)
    return "image/png", file.getvalue()


def _own_picture(value: object, cls: type) -> Picture | None:
    for name, media_type in _BYTES:
        data = _ask(value, cls, name)
        if type(data) is bytes:
            return media_type, data
    for name, media_type in _TEXTS:
        text = _ask(value, cls, name)
        if type(text) is str:
            return media_type, text.encode("utf-8", "replace")
    return None


def _ask(value: object, cls: type, name: str) -> object:
    method = next((base.__dict__[name] for base in cls.__mro__ if name in base.__dict__), None)
    if not callable(method):
        return None
    try:
        return method(value)
    except (GuestStop, MemoryError):
        raise
    except Exception:  # an object that cannot draw itself has no picture
        return None


def value_pictures(value: object) -> list[Picture]:
    """Return what there is to see of a run's value: a figure, an image, what its class draws. Tables are the host's."""
    if value is None:
        return []
    found = _own_picture(value, type(value)) if _is_guest_made(value) else _figure(value) or _image(value)
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None and found is not None and hasattr(value, "savefig"):
        pyplot.close(value)  # it is not shown twice
    return [] if found is None else [found]


def _is_guest_made(value: object) -> bool:
    return type(value).__module__ in ("__main__", "builtins")


def open_figures() -> Iterator[Picture]:
    """Yield a picture of each figure that pyplot holds open, and close it: what `plt.show()` means where there is no window."""
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        figure = pyplot.figure(number)
        try:
            yield _saved(figure.savefig, "png", bbox_inches="tight")
        finally:
            pyplot.close(figure)
