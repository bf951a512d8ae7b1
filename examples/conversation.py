"""A conversation whose variables live from question to question, and work that is put aside and goes on tomorrow, in another process.

python examples/conversation.py
"""

from pathlib import Path

from pinjra import CodeAgent, ScriptedModel
from pinjra.agents import Budget

TALK = [
    "```python\nwords = ['cage', 'box', 'jail']\nfinal_answer(len(words))\n```",
    "```python\nfinal_answer(min(words, key=len))\n```",
]
BEGUN = ["I begin with the first half.\n```python\nfirst = sum(range(500))\nprint(first)\n```"]
ENDED = [
    "The variable is gone, the number stands above.\n```python\nfinal_answer(124750 + sum(range(500, 1000)))\n```"
]
NOTES = Path("work.json")


def main() -> None:
    """Talk; begin; go on."""
    with CodeAgent(model=ScriptedModel(TALK), verbosity_level=0) as agent:
        print(agent.run("Make a list of three words for a small place. How many are there?"))
        print(agent.run("Which of them is the shortest?", reset=False))

    with CodeAgent(model=ScriptedModel(BEGUN), budget=Budget(steps=1), verbosity_level=0) as agent:
        result = agent.run("What is the sum of the numbers below 1000?", return_full_result=True)
        print(result.state)
        NOTES.write_text(result.memory.to_json(), "utf-8")

    model = ScriptedModel(ENDED)
    with CodeAgent(model=model, verbosity_level=0) as agent:
        print(agent.resume(NOTES).output)
    print("it saw what was done:", any("124750" in message.content for message in model.requests[0].messages))


if __name__ == "__main__":
    main()
