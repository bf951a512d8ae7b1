"""Ten tasks of an analyst: a table in, a plot and a workbook out -> how many of them a model gets done with `pinjra run`.

    python bench/sales_tasks.py --model qwen2.5-coder-1.5b --transcripts sales.txt

Each is the command that a user would type; done is: exit status 0, and both files in the folder of --out, a picture and a workbook that pandas reads.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas

TASKS = (
    "Load sales.csv, plot by month, save plot.png and summary.xlsx",
    "Load sales.csv, plot the amount of each product as bars, save plot.png and summary.xlsx",
    "Read sales.csv, plot the amounts over time as plot.png, and write summary.xlsx with the total of each month",
    "From sales.csv make a pie chart of the products as plot.png, and summary.xlsx with the total of each product",
    "Plot the number of sales in each month of sales.csv as plot.png, and save the numbers as summary.xlsx",
    "Load sales.csv, plot the mean amount by month, save plot.png and summary.xlsx",
    "Load sales.csv, keep the rows whose amount is above 100, plot them by date as plot.png and save them as summary.xlsx",
    "Load sales.csv, sort it by amount, save it as summary.xlsx, and plot the amounts as plot.png",
    "Load sales.csv, plot the running total of amount as plot.png, and save the table with it as summary.xlsx",
    "Load sales.csv, plot the largest sale of each month as plot.png, and save these sales as summary.xlsx",
)
ROWS = [
    ("2026-01-05", "pen", 120),
    ("2026-01-19", "book", 340),
    ("2026-02-02", "pen", 90),
    ("2026-02-20", "lamp", 410),
    ("2026-03-03", "book", 275),
    ("2026-03-28", "pen", 130),
]


def main() -> None:
    """Run the tasks and print a line each."""
    parser = argparse.ArgumentParser(description="Analyst's tasks by a model.")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--transcripts", type=Path, help="write what the model wrote there")
    options = parser.parse_args()
    done = 0
    for number, task in enumerate(TASKS, 1):
        with tempfile.TemporaryDirectory() as folder:
            begun = time.perf_counter()
            why, text = attempt(task, options.model, Path(folder))
        done += not why
        print(f"{number:2} {time.perf_counter() - begun:6.0f} s {why or 'done'}: {task}", flush=True)
        if options.transcripts:
            with options.transcripts.open("a", encoding="utf-8") as file:
                file.write(f"=== {task}\n{why or 'done'}\n{text}\n")
    print(f"{done} of {len(TASKS)} done")


def attempt(task: str, model: str, folder: Path) -> tuple[str, str]:
    """Return why a task was not done ("" where it was), and what was said."""
    with (folder / "sales.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("date", "product", "amount"), *ROWS])
    command = [
        sys.executable,
        "-m",
        "pinjra",
        "run",
        task,
        "--model",
        model,
        "--file",
        "sales.csv",
        "--out",
        "out/",
    ]
    command += ["--imports", "pandas,matplotlib,openpyxl", "--json", "--max-steps", "5"]
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return _why_not(ended.returncode, folder / "out"), _said(ended.stdout) + ended.stderr


def _why_not(status: int, out: Path) -> str:
    if status:
        return f"exit status {status}"
    if not (out / "plot.png").is_file() or not (out / "plot.png").read_bytes().startswith(b"\x89PNG"):
        return "no plot.png"
    if not (out / "summary.xlsx").is_file() or pandas.read_excel(out / "summary.xlsx").empty:
        return "no summary.xlsx"
    return ""


def _said(lines: str) -> str:
    """Return the code and what came of it, of the events that `--json` writes."""
    events = [json.loads(line) for line in lines.splitlines() if line.startswith("{")]
    return "".join(
        f"{e.get('code') or e.get('error') or e.get('output') or ''}\n"
        for e in events
        if e.get("event") != "ModelDelta"
    )


if __name__ == "__main__":
    main()
