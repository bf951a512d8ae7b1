"""A figure of matplotlib -> its data, in the shapes that clients of E2B's API know: points, bars, pies, boxes, several."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

_UNIT = re.compile(r"\s\((.*?)\)|\[(.*?)\]")  # "Time (s)", "Length [m]"
_DIGITS = 9
Chart = dict[str, Any]


def chart_of(figure: Any) -> Chart:
    """Return the data of a figure; nothing where it shows none."""
    axes = figure.get_axes()
    if not any(one.has_data() for one in axes):
        return {}
    if len(axes) == 1:
        return _chart(axes[0])
    charts = [_chart(one) for one in axes]
    return {"type": "superchart", "title": figure.get_suptitle() or None, "elements": charts}


def _chart(axes: Any) -> Chart:
    kind = _kind(axes)
    return {"type": kind, "title": axes.get_title() or None, "elements": [], **_EXTRACT[kind](axes)}


def _kind(axes: Any) -> str:
    """Return which kind of chart stands there, by what it is drawn of."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.patches import PathPatch, Rectangle, Wedge
    from matplotlib.text import Text

    drawn = [one for one in axes.get_children() if one in axes._children and not isinstance(one, Text)]
    if all(isinstance(one, Line2D) for one in drawn):
        return "line"
    if all(isinstance(one, (PathPatch, Line2D)) for one in drawn):
        return "box_and_whisker"
    rest = [one for one in drawn if not (isinstance(one, Line2D) and _is_straight(one))]
    kinds = (("scatter", PathCollection), ("pie", Wedge), ("bar", Rectangle))
    return next((name for name, form in kinds if all(isinstance(one, form) for one in rest)), "unknown")


def _is_straight(line: Any) -> bool:
    """Return whether a line only helps the eye: two points, level or upright."""
    xs, ys = line.get_xdata(), line.get_ydata()
    return len(xs) == 2 and len(ys) == 2 and bool(xs[0] == xs[1] or ys[0] == ys[1])


# ---------------------------------------------------------------- axes


def _labels(axes: Any, *, is_turned: bool = False) -> Chart:
    """Return what is written at the axes, and the units in it."""
    texts = [axes.get_xlabel() or None, axes.get_ylabel() or None]
    if is_turned:
        texts.reverse()
    x, y = texts
    return {"x_label": x, "y_label": y, "x_unit": _unit(x), "y_unit": _unit(y)}


def _unit(label: str | None) -> str | None:
    found = _UNIT.search(label or "")
    return (found[1] or found[2]) if found else None


def _axis(axis: Any, name: str) -> Chart:
    """Return ticks, their labels and the scale of one axis."""
    ticks = list(axis.get_majorticklocs())
    labels = [label.get_text() for label in axis.get_ticklabels()]
    is_time = _is_time(axis)
    if is_time:
        from matplotlib.dates import num2date

        shown: list[Any] = [num2date(tick).isoformat() for tick in ticks]
    else:
        shown = [_value(tick) for tick in ticks]
    scale = "datetime" if is_time else axis.get_scale()
    if scale == "linear" and _is_of_names(ticks, labels):
        scale = "categorical"
    return {f"{name}_ticks": shown, f"{name}_tick_labels": labels, f"{name}_scale": scale}


def _is_time(axis: Any) -> bool:
    from matplotlib.dates import DateConverter, _SwitchableDateConverter

    converter = axis.get_converter() if hasattr(axis, "get_converter") else axis.converter
    return isinstance(converter, (DateConverter, _SwitchableDateConverter))


def _is_of_names(ticks: list[Any], labels: list[str]) -> bool:
    """Return whether the ticks are 0, 1, 2, … and stand for something else."""
    return bool(ticks) and all(
        tick == number and label != str(number)
        for number, (tick, label) in enumerate(zip(ticks, labels, strict=False))
    )


# ---------------------------------------------------------------- kinds


def _lines(axes: Any) -> Chart:
    lines = [line for line in axes.get_lines() if not _is_straight(line)]
    return _points(
        axes, [(_name(line), zip(line.get_xdata(), line.get_ydata(), strict=False)) for line in lines]
    )


def _name(line: Any) -> str:
    label = str(line.get_label())
    return f"Line {label[6:]}" if label.startswith("_child") else label


def _scatter(axes: Any) -> Chart:
    return _points(axes, [(str(one.get_label()), one.get_offsets()) for one in axes.collections])


def _points(axes: Any, series: list[tuple[str, Iterable[Any]]]) -> Chart:
    elements = [
        {"label": label, "points": [(_value(x), _value(y)) for x, y in points]} for label, points in series
    ]
    return {**_labels(axes), **_axis(axes.xaxis, "x"), **_axis(axes.yaxis, "y"), "elements": elements}


def _bars(axes: Any) -> Chart:
    containers = [one for one in axes.containers if hasattr(one, "orientation")]
    is_turned = bool(containers) and all(one.orientation == "horizontal" for one in containers)
    axis = axes.yaxis if is_turned else axes.xaxis
    elements = []
    for container in containers:
        group = str(container.get_label())
        if group.startswith("_container"):
            group = f"Group {group[10:]}"
        names = _names_of(axis, [_middle(bar, is_turned) for bar in container])
        for bar, label in zip(container, names, strict=True):
            value = bar.get_width() if is_turned else bar.get_height()
            elements.append({"label": label, "group": group, "value": _value(value)})
    return {**_labels(axes, is_turned=is_turned), "elements": elements}


def _middle(bar: Any, is_turned: bool) -> float:
    return float(bar.get_y() + bar.get_height() / 2 if is_turned else bar.get_x() + bar.get_width() / 2)


def _names_of(axis: Any, places: list[float]) -> list[str]:
    """Return what the ticks call these places: one each where there are as many, else the nearest one's."""
    labels = [label.get_text() for label in axis.get_ticklabels()]
    if len(labels) == len(places):
        return labels
    ticks = list(axis.get_majorticklocs())
    if not ticks or not labels:
        return [f"{place:g}" for place in places]
    return [labels[min(range(len(ticks)), key=lambda at: abs(ticks[at] - place))] for place in places]


def _pie(axes: Any) -> Chart:
    elements = [
        {
            "label": str(wedge.get_label()),
            # matplotlib has 32 bits of them
            "angle": _rounded(abs(float(wedge.theta2) - float(wedge.theta1)), 4),
            "radius": _value(wedge.r),
        }
        for wedge in axes.patches
    ]
    return {"elements": elements}


def _boxes(axes: Any) -> Chart:
    boxes = [one.get_path().get_extents() for one in axes.patches]
    lines = [
        ([float(x) for x in line.get_xdata()], [float(y) for y in line.get_ydata()])
        for line in axes.get_lines()
    ]
    is_turned = not any(_is_whisker(box, xs, ys) for box in boxes for xs, ys in lines)
    sides = [_side(box, is_turned) for box in boxes]
    names = _names_of(
        axes.yaxis if is_turned else axes.xaxis, [(low + high) / 2 for low, high, _, _ in sides]
    )
    if is_turned:
        lines = [(ys, xs) for xs, ys in lines]
    elements = [_box(side, name, lines) for side, name in zip(sides, names, strict=True)]
    return {**_labels(axes, is_turned=is_turned), "elements": elements}


def _is_whisker(box: Any, xs: list[float], ys: list[float]) -> bool:
    """Return whether a line goes up or down from a box, and not from one side to the other, as a median does in a turned one."""
    edges = (box.y0, box.y1)
    is_upright = len(xs) == 2 and xs[0] == xs[1] and box.x0 <= xs[0] <= box.x1
    return is_upright and ys[0] in edges and ys[1] not in edges


def _side(box: Any, is_turned: bool) -> tuple[float, float, float, float]:
    """Return from where to where a box goes across, and in values."""
    return (box.y0, box.y1, box.x0, box.x1) if is_turned else (box.x0, box.x1, box.y0, box.y1)


def _box(
    side: tuple[float, float, float, float], name: str, lines: list[tuple[list[float], list[float]]]
) -> Chart:
    """Return the numbers of one box.

    Args:
        lines: (places across, values) of everything that is drawn as a line.
    """
    left, right, first, third = side
    near = [(xs, ys) for xs, ys in lines if xs and all(left <= x <= right for x in xs)]
    whiskers = [y for xs, ys in near if len(xs) == 2 and xs[0] == xs[1] for y in ys]
    level = [ys[0] for xs, ys in near if len(xs) == 2 and xs[0] != xs[1] and ys[0] == ys[1]]
    inside = [y for y in level if first <= y <= third]
    lowest, highest = min([first, *whiskers]), max([third, *whiskers])
    outliers = [y for xs, ys in near if len(set(xs)) == 1 for y in ys if not lowest <= y <= highest]
    middle = max(inside, key=lambda y: min(y - first, third - y), default=(first + third) / 2)
    numbers = {
        "min": lowest,
        "first_quartile": first,
        "median": middle,
        "third_quartile": third,
        "max": highest,
    }
    return {
        "label": name,
        **{key: _rounded(value) for key, value in numbers.items()},
        "outliers": [_rounded(y) for y in outliers],
    }


_EXTRACT: dict[str, Callable[[Any], Chart]] = {
    "line": _lines,
    "scatter": _scatter,
    "bar": _bars,
    "pie": _pie,
    "box_and_whisker": _boxes,
    "unknown": lambda axes: {},
}


# ---------------------------------------------------------------- numbers


def _value(value: Any) -> Any:
    """Return a number, or a moment or name as text; None for what is no number."""
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str):
        return value
    if type(value).__name__ == "datetime64":
        return str(value.astype("datetime64[s]"))
    number = float(value)
    return number if math.isfinite(number) else None


def _rounded(value: float, digits: int = _DIGITS) -> float:
    return round(float(value), digits)
