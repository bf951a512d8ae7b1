"""Agents whose runs hold everything that the page shows: plain, hostile, long, fast."""

from __future__ import annotations

import time

from pinjra import CodeAgent, tool
from pinjra.agents import Budget, Price
from pinjra.models.base import Completion, ModelDelta, TokenUsage
from pinjra.models.scripted import ScriptedModel


def code(text: str, thought: str = "") -> str:
    return f"{thought}\n```python\n{text}\n```"


class SlowModel(ScriptedModel):
    """Writes as a model does: a word at a time."""

    def pieces(self, question):
        for piece in super().pieces(question):
            if isinstance(piece, ModelDelta):
                time.sleep(0.01)
            yield piece


@tool
def exchange_rate(currency: str) -> float:
    """Return what one euro costs in a currency.

    Args:
        currency: Its three letters.
    """
    time.sleep(0.2)
    return {"USD": 1.17, "JPY": 176.2}.get(currency, 1.0)


READ = """
import pandas as pd

sales = pd.DataFrame({
    "month": ["Jan", "Feb", "Mar", "Apr", "May", "Jun"],
    "units": [120, 135, 158, 149, 181, 210],
    "price": [9.9, 9.9, 9.5, 9.5, 9.0, 9.0],
})
sales["revenue"] = sales.units * sales.price  # in euros
print(f"\\033[32mread {len(sales)} months\\033[0m")
sales
"""
PLOT = """
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3.2))
axes.bar(sales.month, sales.revenue, color="#0a7d78")
axes.set_ylabel("revenue in €")
axes.spines[["top", "right"]].set_visible(False)
figure.savefig("revenue.png", dpi=110)
plt.show()
"""
RATES = """
import time

for done in range(1, 21):
    print(f"\\rasking {'█' * done}{'░' * (20 - done)} {done * 5} %", end="")
    time.sleep(0.02)
print()
rates = {currency: exchange_rate(currency) for currency in ["USD", "JPY"]}
rates
"""


def analyst() -> CodeAgent:
    """A whole run: a plan, a table, a plot, progress, tool calls, a team, an answer."""
    writer = CodeAgent(
        model=SlowModel(
            [
                code(
                    "final_answer('June was the best month, with 1,890 € or 2,211 $.')",
                    "I put it into one sentence.",
                )
            ]
        ),
        name="writer",
        description="Writes summaries.",
        verbosity_level=0,
    )
    return CodeAgent(
        tools=[exchange_rate],
        model=SlowModel(
            [
                "1. Read the table.\n2. Plot revenue by month.\n3. Convert the best month to dollars.\n4. Have it summed up.",
                code(READ, "First I read the sales and work out the revenue of each month."),
                code(PLOT, "The table is complete. A bar for each month shows the trend best."),
                code("best = sales.loc[sales.revenue.idxmax()]\nbest.revenu", "Now the best month."),
                code(RATES, "The column is called `revenue`. I need the exchange rates too."),
                code(
                    "summary = writer(f'June: {sales.revenue.max()} EUR, rates {rates}')\nfinal_answer(summary)",
                    "The writer shall sum it up.",
                ),
            ]
        ),
        managed_agents=[writer],
        additional_authorized_imports=["pandas", "matplotlib"],
        planning_interval=10,
        budget=Budget(price=Price(input_per_million=2.5, output_per_million=10.0)),
        verbosity_level=0,
    )


HOSTILE = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def hostile() -> CodeAgent:
    """Puts hostile text into every place that is shown."""

    @tool
    def echo(text: str) -> str:
        """Return the text.

        Args:
            text: Anything.
        """
        return text

    html = (
        HOSTILE
        + "<script>parent.document.title='owned';top.location='http://127.0.0.1:1/'</script><h1>page</h1>"
    )
    owned = "parent.document.title='owned'"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' onload=\"{owned}\"><script>{owned}</script><rect width='9' height='9'/>"
        "<foreignObject width='9' height='9'><body xmlns='http://www.w3.org/1999/xhtml'>"
        f'<iframe src="javascript:{owned}"></iframe><img src=\'x\' onerror="{owned}"/></body></foreignObject>'
        f"<a href=\"javascript:{owned}\"><set attributeName='href' to=\"javascript:{owned}\"/><text y='9'>link</text></a></svg>"
    )
    first = f"""
hostile = {HOSTILE!r}
class Html:
    def _repr_html_(self): return {html!r}
class Svg:
    def _repr_svg_(self): return {svg!r}
print(hostile)
print("\\x1b]0;owned\\x07\\x1b]8;;javascript:document.title='owned'\\x07link\\x1b]8;;\\x07")
print("\\x1b[2J\\x1b[999;999H\\x1bP+q\\x1b\\\\ \\u202eevil\\u202c \\x00 \\x9b31m")
open("<img src=x onerror=document.title='owned'>.html", "w").write(hostile)
display(Html()); display(Svg())
echo(hostile)
hostile
"""
    return CodeAgent(
        tools=[echo],
        model=ScriptedModel(
            [
                HOSTILE,
                code(first, HOSTILE),
                code(f"raise ValueError({HOSTILE!r})"),
                code(f"final_answer({HOSTILE!r})"),
            ]
        ),
        planning_interval=10,
        verbosity_level=0,
    )


def names() -> CodeAgent:
    """Writes files whose names try to be read as something else."""
    named = [
        "\u202egnp.exe.txt",
        "two\nlines\tand more.csv",
        "a  b.txt",
        "<b onmouseover=alert(1)>.html",
        "a&amp;b.txt",
        "\u200bnothing.txt",
    ]
    return CodeAgent(
        model=ScriptedModel(
            [code(f"for name in {named!r}: open(name, 'w').write('x')\nfinal_answer('written')")]
        ),
        verbosity_level=0,
    )


def long_output() -> CodeAgent:
    """Ten thousand lines in one step."""
    return CodeAgent(
        model=ScriptedModel(
            [
                code(
                    "for n in range(10_000): print(f'\\033[{31 + n % 6}mline\\033[0m {n} of many')\nfinal_answer('printed')"
                )
            ]
        ),
        verbosity_level=0,
    )


def many_steps() -> CodeAgent:
    """Two hundred steps."""
    steps = [code(f"total = {n}\nprint('step', total)", f"Number {n}.") for n in range(1, 200)]
    return CodeAgent(
        model=ScriptedModel([*steps, code("final_answer(total)")]),
        max_steps=200,
        verbosity_level=0,
        compaction=None,
    )


def many_calls() -> CodeAgent:
    """Nine hundred calls of a tool in one step: events faster than anybody reads."""

    @tool
    def count(number: int) -> int:
        """Return the number.

        Args:
            number: Any.
        """
        return number

    return CodeAgent(
        tools=[count],
        model=ScriptedModel([code("final_answer(sum(count(n) for n in range(900)))")]),
        verbosity_level=0,
    )


class FastModel(ScriptedModel):
    """Sends a thousand pieces a second, of two agents' worth of text, for three seconds."""

    def pieces(self, question):
        text = ""
        for number in range(3000):
            piece = f"word{number} "
            text += piece
            yield ModelDelta(piece)
            time.sleep(0.0009)
        yield Completion(
            text=code("final_answer('fast')", text), usage=TokenUsage(input_tokens=1, output_tokens=3000)
        )


def fast() -> CodeAgent:
    """A model that writes a thousand pieces a second."""
    return CodeAgent(model=FastModel([]), verbosity_level=0)
