"""A report from a table and a workbook: an agent reads both, draws two plots and writes a new workbook.

    python examples/sales_report.py                     with a model that follows a script, so it runs anywhere
    python examples/sales_report.py openai:MODEL        with a real one

Needs pandas, matplotlib and openpyxl in this Python. What the agent's code writes and shows is saved to report/ on this machine.
"""

import sys
from pathlib import Path

import pandas

from pinjra import CodeAgent, Model, ScriptedModel
from pinjra.models import load_model

TASK = """sales.csv has the sales of each day, targets.xlsx the target of each month. Plot the sales by month as plot.png, and sales
beside targets as a second picture. Write summary.xlsx with a row for each month: sales, target, reached. Answer with the best month."""

SCRIPT = [
    """I look at both files first.
```python
import pandas as pd

sales = pd.read_csv("sales.csv", parse_dates=["day"])
targets = pd.read_excel("targets.xlsx")
print(sales.head(3), targets, sep="\\n")
```""",
    """Now the plots and the workbook.
```python
import matplotlib.pyplot as plt

by_month = sales.groupby(sales["day"].dt.strftime("%Y-%m"))["amount"].sum()
by_month.plot(kind="bar", title="Sales by month")
plt.tight_layout()
plt.savefig("plot.png")
plt.show()

summary = targets.set_index("month").assign(sales=by_month)
summary["reached"] = summary["sales"] >= summary["target"]
summary[["sales", "target"]].plot(title="Sales and targets")
plt.show()
summary.to_excel("summary.xlsx")
final_answer(by_month.idxmax())
```""",
]


def write_inputs(folder: Path) -> list[Path]:
    """Write the two files that the report is about."""
    days = pandas.date_range("2026-01-01", "2026-03-31")
    table = pandas.DataFrame({"day": days, "amount": [100 + 3 * day.month + day.day for day in days]})
    targets = pandas.DataFrame({"month": ["2026-01", "2026-02", "2026-03"], "target": [3500, 3500, 3900]})
    table.to_csv(folder / "sales.csv", index=False)
    targets.to_excel(folder / "targets.xlsx", index=False)
    return [folder / "sales.csv", folder / "targets.xlsx"]


def main(model: Model, folder: Path) -> None:
    """Let the agent write the report, and say what it made."""
    imports = ["pandas", "matplotlib", "openpyxl"]
    with CodeAgent(model=model, additional_authorized_imports=imports, verbosity_level=0) as agent:
        result = agent.run(TASK, files=write_inputs(folder), return_full_result=True)
    print("best month:", result.output)
    for path in sorted(result.save(folder / "report")):
        print(path.relative_to(folder), path.stat().st_size > 0)
    print(pandas.read_excel(folder / "report" / "summary.xlsx").to_string(index=False))


if __name__ == "__main__":
    main(load_model(sys.argv[1]) if len(sys.argv) > 1 else ScriptedModel(SCRIPT), Path.cwd())
