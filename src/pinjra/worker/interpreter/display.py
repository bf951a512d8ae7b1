"""Objects -> (media type, bytes) to look at: figures, images, whatever offers a picture of itself.

Figures of pyplot follow Jupyter's inline backend: `show` shows a figure and ends it; one that is still open when the run ends is
shown then. It works whatever backend a program chooses, since all that have no window share one `show` method.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Protocol, cast

from pinjra.core.images import png_of
from pinjra.guard.errors import GuestStop
from pinjra.worker.interpreter.imports import adapt_modules

Picture = tuple[str, bytes]
Show = Callable[[str, bytes], None]

# the one that shows most is taken: in this order
_METHODS = {
    "image/png": "_repr_png_",
    "image/jpeg": "_repr_jpeg_",
    "image/svg+xml": "_repr_svg_",
    "text/html": "_repr_html_",
    "text/markdown": "_repr_markdown_",
    "text/latex": "_repr_latex_",
    "application/json": "_repr_json_",
}


class _Figure(Protocol):
    axes: list[object]
    lines: list[object]

    def savefig(self, file: io.BytesIO, **options: object) -> None: ...


class _Canvas(Protocol):
    figure: _Figure


class _Manager(Protocol):
    canvas: _Canvas


def picture(value: object) -> Picture | None:
    """Return what there is to see of `value`; None when it is nothing to look at. Runs the object's own methods: guest code."""
    figure = _figure_of(value)
    if figure is not None:
        return _drawn(figure)
    return _image(value) or _own_picture(value)


def value_pictures(value: object) -> list[Picture]:
    """Return what there is to see of a run's value: a figure, an image, what its class draws."""
    figure = None if value is None else _figure_of(value)
    if figure is not None and figure is not value and _manager_of(figure) is None:
        return []  # axes, lines or texts of a figure that was shown: what `ax.set_title("…")` gives
    found = None if value is None else picture(value)
    manager = _manager_of(figure)
    if manager is not None:
        _end(manager)  # it is not shown twice
    return [] if found is None else [found]


# ---------------------------------------------------------------- figures of pyplot


def open_figures() -> list[Picture]:
    """Return a picture of each figure that pyplot holds open, and end it: what a notebook does when a cell has run."""
    try:
        drawn = [_drawn(manager.canvas.figure) for manager in _managers()]
        return [picture for picture in drawn if picture is not None]
    finally:
        for manager in _managers():
            _end(manager)


def show_by(show: Show, display: Callable[[object], None]) -> None:
    """Let what shows things in a notebook show them here.

    Args:
        show: Of `plt.show()` and `figure.show()`, in whatever backend without windows; of plotly's, and of Pillow's images.
        display: Of IPython, which would only print.
    """

    def show_and_end(manager: _Manager) -> None:
        try:
            drawn = _drawn(manager.canvas.figure)
            if drawn is not None:
                show(*drawn)
        finally:
            _end(manager)

    def adapt(module: ModuleType) -> None:
        vars(module)["FigureManagerBase"].show = show_and_end

    def show_value(value: object, *_renderer: object, **_options: object) -> None:
        found = picture(value)
        if found is None:
            display(value)
        else:
            show(*found)

    def display_all(*values: object, raw: bool = False, **_options: object) -> None:
        for value in values:
            display(_Bundle(value) if raw else value)

    adapt_modules(
        {
            "matplotlib.backend_bases": adapt,
            "IPython.core.display_functions": lambda module: setattr(module, "display", display_all),
            "plotly.io._renderers": lambda module: setattr(module, "show", show_value),
            "PIL.ImageShow": lambda module: setattr(module, "show", show_value),
        }
    )


class _Bundle:
    """What IPython is told to display as it is: media types and data."""

    def __init__(self, offers: object) -> None:
        self._offers = offers

    def _repr_mimebundle_(self) -> object:
        return self._offers

    def __repr__(self) -> str:
        return str(self._offers.get("text/plain", "")) if isinstance(self._offers, dict) else ""


def _managers() -> list[_Manager]:
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    return [] if helpers is None else list(vars(helpers)["Gcf"].get_all_fig_managers())


def _manager_of(figure: _Figure | None) -> _Manager | None:
    return next((manager for manager in _managers() if manager.canvas.figure is figure), None)


def _end(manager: _Manager) -> None:
    vars(sys.modules["matplotlib._pylab_helpers"])["Gcf"].destroy(manager)


def _figure_of(value: object) -> _Figure | None:
    """Return the figure that `value` is or belongs to; classes of the guest's own draw themselves."""
    base = getattr(sys.modules.get("matplotlib.figure"), "Figure", None)
    if base is None or not _is_made_by(value, "matplotlib"):
        return None
    figure = value if isinstance(value, base) else getattr(value, "figure", None)
    return cast("_Figure", figure) if isinstance(figure, base) else None


def _is_made_by(value: object, package: str) -> bool:
    return any(base.__module__.partition(".")[0] == package for base in type(value).__mro__)


def _drawn(figure: _Figure) -> Picture | None:
    """Return what a figure looks like; None where nothing is on it, as in a notebook."""
    if not figure.axes and not figure.lines:
        return None
    file = io.BytesIO()
    figure.savefig(file, format="png", bbox_inches="tight")
    return "image/png", file.getvalue()


# ---------------------------------------------------------------- what objects draw of themselves


def _image(value: object) -> Picture | None:
    base = getattr(sys.modules.get("PIL.Image"), "Image", None)
    if base is None or not isinstance(value, base):
        return None
    return "image/png", png_of(value)


def _own_picture(value: object) -> Picture | None:
    """Return the richest of what IPython's protocol (`_repr_mimebundle_`, `_repr_html_`, …) gives for `value`."""
    bundle = _without_metadata(_ask(value, "_repr_mimebundle_"))
    offers = bundle if isinstance(bundle, dict) else {}
    for media_type, method in _METHODS.items():
        found = offers.get(media_type)
        if found is None:
            found = _without_metadata(_ask(value, method))
        data = _as_bytes(media_type, found)
        if data is not None:
            return media_type, data
    return None


def _without_metadata(answer: object) -> object:
    return answer[0] if isinstance(answer, tuple) and answer else answer


def _as_bytes(media_type: str, found: object) -> bytes | None:
    """Return the data of one representation; None where it is not of the form that its media type has."""
    try:
        if media_type == "application/json":
            return None if found is None else json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
        if isinstance(found, str):
            is_text = media_type.startswith("text/") or media_type.endswith("+xml")
            return found.encode("utf-8", "replace") if is_text else base64.b64decode(found)
    except (TypeError, ValueError, RecursionError):
        return None
    return bytes(found) if isinstance(found, bytes | bytearray) else None


def _ask(value: object, name: str) -> object:
    """Return what a method of the object's class gives; None where there is none, or it fails."""
    classes: Iterable[type] = type(value).__mro__
    method = next((vars(cls)[name] for cls in classes if name in vars(cls)), None)
    if not callable(method):
        return None
    try:
        return method(value)
    except (GuestStop, MemoryError):
        raise
    except Exception:  # an object that cannot draw itself has no picture
        return None
