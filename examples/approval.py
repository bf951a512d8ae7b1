"""Payments by an agent: a tool with state, a hook that asks before it pays, a budget, and a log of everything.

    python examples/approval.py

The hook of this example answers by itself; yours may ask a person. The log is audit.jsonl in this folder.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from pinjra import CodeAgent, ScriptedModel, Tool, refuse
from pinjra.agents import Budget

SCRIPT = [
    "I pay both bills.\n```python\nprint(pay(to='printer', euros=30))\nprint(pay(to='landlord', euros=900))\n```",
    "The second was refused.\n```python\nfinal_answer(f'paid the printer; left: {balance()}')\n```",
]


class Account:
    """Money that tools may spend. It lives here: no code in a box can reach it but by the tools."""

    def __init__(self, euros: int) -> None:
        self.euros = euros


class Pay(Tool):
    """Pays a bill."""

    name = "pay"
    description = "Pays a bill and returns what is left."
    inputs = {
        "to": {"type": "string", "description": "Who is paid."},
        "euros": {"type": "integer", "description": "How much."},
    }
    output_type = "integer"

    def __init__(self, account: Account) -> None:
        self.account = account

    def forward(self, to: str, euros: int) -> int:
        """Take the money from the account. One call at a time: no lock is needed."""
        if euros > self.account.euros:
            raise ValueError("not enough money")
        self.account.euros -= euros
        return self.account.euros


def before_tool(name: str, arguments: Mapping[str, object], agent: object) -> object:
    """Refuse to pay more than 100 euros; None lets the call through."""
    euros = arguments.get("euros")
    return refuse("more than 100 euros: ask first") if isinstance(euros, int) and euros > 100 else None


def main() -> None:
    """Let the agent pay, and show what was paid and what was refused."""
    account = Account(500)

    def balance() -> int:
        """Return the money that is left, in euros."""
        return account.euros

    agent = CodeAgent(
        tools=[Pay(account), balance],
        model=ScriptedModel(SCRIPT),
        before_tool=before_tool,
        budget=Budget(steps=5, tool_calls=10, seconds=120),
        audit="audit.jsonl",
        verbosity_level=0,
    )
    with agent:
        print(agent.run("Pay 30 euros to the printer and 900 to the landlord."))
    print("on the account:", account.euros)
    lines = [json.loads(line) for line in Path("audit.jsonl").read_text("utf-8").splitlines()]
    print("refused:", sum("more than 100" in json.dumps(line) for line in lines) > 0)


if __name__ == "__main__":
    main()
