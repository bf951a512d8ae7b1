"""A packaged model on real input, in the jail: a web page to read, and a manager with one managed agent.

    python bench/main_job.py --model qwen2.5-coder-1.5b --executor jail

The page is served on loopback and allowed by name. Every step is printed as it happens; the answers are not judged.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from pinjra import CodeAgent, Model, VisitWebpageTool
from pinjra.models import load_model
from pinjra.ui.plain import PlainView

PAGE = b"""<html><head><title>Abraham Lincoln</title></head><body><h1>Abraham Lincoln and his animals</h1>
<p>Abraham Lincoln was the 16th president of the United States.</p>
<h2>Pets</h2>
<ul><li>Favourite pet: Fido, a dog</li><li>Cats: Tabby and Dixie</li><li>Goats: Nanny and Nanko</li></ul>
</body></html>"""


class Page(BaseHTTPRequestHandler):
    """Serves one page under every path."""

    def do_GET(self) -> None:
        """Answer with the page."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *args: object) -> None:
        """Write nothing."""


@contextmanager
def served() -> Iterator[str]:
    """Yield the address of the page while it is served."""
    with HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def stock(item: str) -> int:
    """Return how many pieces of an item are in the warehouse.

    Args:
        item: The item's name, such as "pen".
    """
    return {"pen": 120, "book": 35, "bag": 8}[item.removesuffix("s")]


def read_a_page(model: Model, executor: str) -> None:
    """Ask two questions about a page that the agent visits."""
    with served() as address:
        agent = CodeAgent(
            [VisitWebpageTool(allow_hosts=[address])],
            model,
            executor_type=executor,
            max_steps=4,
            verbosity_level=0,
        )
        with agent:
            show(
                agent,
                f"Which lines of the page http://{address}/lincoln start with '*'?",
            )
            show(agent, f"How many times does the page http://{address}/lincoln say 'Lincoln'?")


def manage(model: Model, executor: str) -> None:
    """Ask a manager whose managed agent has the tool that the manager lacks."""
    clerk = CodeAgent(
        [stock],
        model,
        name="clerk",
        description="Answers questions about the stock of the warehouse.",
        executor_type=executor,
        max_steps=4,
    )
    agent = CodeAgent(
        [], model, managed_agents=[clerk], executor_type=executor, max_steps=4, verbosity_level=0
    )
    with agent:
        show(agent, "How many bags are in the warehouse?")
        show(agent, "How many pens and books are in the warehouse together?")


def show(agent: CodeAgent, task: str) -> None:
    """Run a task and print its events."""
    with PlainView(sys.stdout) as view:
        for event in agent.events(task):
            view.show(event)
    print()


def main() -> None:
    """Run both jobs."""
    parser = argparse.ArgumentParser(description="A packaged model reads a page, and manages another agent.")
    parser.add_argument("--model", default="qwen2.5-coder-1.5b")
    parser.add_argument("--executor", default="jail")
    options = parser.parse_args()
    model = load_model(options.model)
    read_a_page(model, options.executor)
    manage(model, options.executor)


if __name__ == "__main__":
    main()
