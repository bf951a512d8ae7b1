"""Figures of bench/ as JSON -> pictures of the manual: bars, in SVG, that read well on light and on dark.

python bench/speed.py --json speed.json
python bench/executors.py jail local --json executors.json
python bench/actions.py --model NAME --transcripts NAME.jsonl
python bench/pictures.py --speed speed.json --executors executors.json --actions *.jsonl     writes docs/images/*.svg
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, LABEL, ROW, HEAD = 760, 290, 30, 46  # pixels
# Colours that have enough contrast on white and on black.
INK, BAR, OTHER = "#7a7f87", "#4c6ef5", "#a8a29e"
OURS = ("jail", "local")
BRIGHT = (*OURS, "code")  # whose bars are coloured


def main() -> None:
    """Draw what was given."""
    parser = argparse.ArgumentParser(description="Pictures of measured figures.")
    parser.add_argument("--speed", type=Path)
    parser.add_argument("--executors", type=Path)
    parser.add_argument("--actions", type=Path, nargs="+", metavar="TRANSCRIPTS")
    options = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    if options.speed:
        draw(
            "speed",
            "Guarded programs: time as a multiple of plain CPython (less is better; logarithmic)",
            speed(json.loads(options.speed.read_text())),
            "×",
            by_factors=True,
        )
    if options.executors:
        draw(
            "sessions",
            "A session, in milliseconds (less is better)",
            sessions(json.loads(options.executors.read_text())),
            " ms",
        )
    if options.actions:
        draw("actions", "Tasks solved, of forty (more is better)", actions(options.actions), "")


def speed(table: dict[str, dict[str, Any]]) -> list[tuple[str, float, str]]:
    """Return each runner's geometric mean over the programs that it ran, and how many these are."""
    rows = []
    for name in next(iter(table.values())):
        ratios = [row[name] for row in table.values() if isinstance(row[name], float)]
        if ratios:
            rows.append((len(ratios), name, statistics.geometric_mean(ratios)))
    rows.sort(key=lambda row: (-row[0], row[2]))
    return [(name, ratio, f"{count} of {len(table)} programs") for count, name, ratio in rows]


def sessions(measured: dict[str, Any]) -> list[tuple[str, float, str]]:
    """Return medians of what a user waits for."""
    rows = [("bare interpreter, started", statistics.median(measured["bare"]), "")]
    for name in (name for name in OURS if name in measured):
        rows += [
            (f"{name}: {figure}", statistics.median(measured[name][figure]), "")
            for figure in (
                "open to first result",
                "round trip, rollback off",
                "round trip, rollback on, 10 ms apart",
                "tool call",
            )
            if figure in measured[name]
        ]
    return rows


def actions(files: Sequence[Path]) -> list[tuple[str, float, str]]:
    """Return how many tasks each model solved in each form, and what a task took."""
    rows = []
    for file in files:
        told = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
        turns, seconds = (statistics.mean(task[name] for task in told) for name in ("turns", "seconds"))
        model, form = file.stem.split("-")[1:3]
        solved = sum(task["right"] for task in told)
        rows.append((f"{form}: {model.upper()}", float(solved), f"{turns:.1f} turns, {seconds:.0f} s a task"))
    return rows


def draw(
    name: str, title: str, rows: Sequence[tuple[str, float, str]], unit: str, *, by_factors: bool = False
) -> None:
    """Write one picture."""
    room = WIDTH - LABEL - 190
    size = math.log10 if by_factors else float
    most = max(size(value) for _, value, _ in rows)
    parts = [f'<text x="0" y="20" font-weight="bold">{escape(title)}</text>']
    for number, (label, value, note) in enumerate(rows):
        y = HEAD + number * ROW
        is_ours = label.split(":")[0] in BRIGHT
        length = max(2.0, room * size(value) / most)
        parts += [
            f'<text x="{LABEL - 10}" y="{y + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LABEL}" y="{y}" width="{length:.1f}" height="20" rx="3" fill="{BAR if is_ours else OTHER}"/>',
            f'<text x="{LABEL + length + 8:.1f}" y="{y + 15}">{value:.3g}{unit}{f", {note}" if note else ""}</text>',
        ]
    height = HEAD + len(rows) * ROW
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">'
    style = f'<g font-family="sans-serif" font-size="14" fill="{INK}">'
    (FOLDER / f"{name}.svg").write_text(
        "\n".join([head, f"<title>{escape(title)}</title>", style, *parts, "</g></svg>"]) + "\n", "utf-8"
    )


if __name__ == "__main__":
    main()
