"""What is done, as spans -> whoever traces it. Until somebody does, a span is nothing and costs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Protocol

Operation = Literal["invoke_agent", "chat", "plan", "execute_tool", "run_code", "serve_request"]


class Span(Protocol):
    """Something that is being done."""

    def note(self, **facts: object) -> None:
        """Add facts; those that are None are not known."""

    def tell(self, name: str, contents: Callable[[], object]) -> None:
        """Add what a model, a tool or code was given or gave. It is called only where contents are wanted."""

    def fail(self, kind: str, message: str) -> None:
        """Say that it failed, where no exception says so."""


class Tracer(Protocol):
    """What takes spans. An exception that leaves a span is told by the tracer itself."""

    def span(
        self, operation: Operation, subject: str, facts: Mapping[str, object], above: Mapping[str, str] | None
    ) -> AbstractContextManager[Span]:
        """Return a span for a block of code.

        Args:
            subject: Of what: an agent's, a model's, a tool's name.
            above: Headers of the request that this is part of; None: what this thread or task works for.
        """

    def headers(self) -> Mapping[str, str]:
        """Return headers for a request to another process, whose spans are then below the current one."""


class _Nothing:
    """The span of what nobody traces."""

    def _nothing(self, *_: object, **__: object) -> None:
        pass

    note = tell = fail = _nothing


_NOTHING = _Nothing()
_tracer: Tracer | None = None


def set_tracer(tracer: Tracer | None) -> None:
    """Have everything that this process does from now on traced; None: nothing any more."""
    global _tracer
    _tracer = tracer


@contextmanager
def span(
    operation: Operation,
    subject: str,
    facts: Callable[[], Mapping[str, object]],
    above: Mapping[str, str] | None = None,
) -> Iterator[Span]:
    """Trace a block of code. `facts` is called only where somebody traces."""
    if _tracer is None:
        yield _NOTHING
        return
    with _tracer.span(operation, subject, facts(), above) as found:
        yield found


def headers() -> Mapping[str, str]:
    """Return what a request to another process carries of this trace; nothing where nobody traces."""
    return {} if _tracer is None else _tracer.headers()
