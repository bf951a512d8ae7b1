"""Pinjra's executors for smolagents: its `PythonExecutor` interface in, ours behind it.

    from pinjra.executors.smolagents import PinjraExecutor
    agent = smolagents.CodeAgent(tools=[...], model=..., executor=PinjraExecutor(["pandas"]))

Tools and managed agents stay in the host process and are called from the jail, which that library's remote executors cannot do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from pinjra.core.errors import MissingDependency
from pinjra.executors.registry import create_executor

try:
    from smolagents.local_python_executor import CodeOutput, InterpreterError, PythonExecutor
except ImportError:
    raise MissingDependency("smolagents", "pip install 'pinjra[smolagents]'") from None

__all__ = ["PinjraExecutor"]


class PinjraExecutor(PythonExecutor):  # type: ignore[misc]  # smolagents ships no types
    """Runs a smolagents `CodeAgent`'s code in one of our executors.

    Args:
        additional_authorized_imports: As smolagents hands them over.
        logger: Taken for the sake of the interface; not used.
        executor: Name of our executor; None for the default here (the jail on Linux).
        executor_kwargs: Its parameters (`limits`, …).

    Raises:
        As `create_executor`.
    """

    def __init__(
        self,
        additional_authorized_imports: Iterable[str] = (),
        logger: object = None,
        *,
        executor: str | None = None,
        **executor_kwargs: Any,
    ) -> None:
        self.executor = create_executor(
            executor,
            additional_authorized_imports=additional_authorized_imports,
            executor_kwargs=executor_kwargs,
        )
        # where smolagents looks for it after a failed step
        self.state: dict[str, Any] = {"_print_outputs": ""}

    def send_tools(self, tools: Mapping[str, Any]) -> None:
        self.executor.send_tools({name: _callable(tool) for name, tool in tools.items()})

    def send_variables(self, variables: Mapping[str, Any]) -> None:
        self.executor.send_variables(variables)

    def __call__(self, code_action: str) -> CodeOutput:
        """Run one step.

        Raises:
            InterpreterError: The guest's fault (smolagents' class); what was printed is in `state`.
        """
        done = self.executor.run(code_action)
        self.state["_print_outputs"] = done.logs
        if done.error is not None:
            raise InterpreterError(str(done.error))
        return CodeOutput(output=done.value, logs=done.logs, is_final_answer=done.is_final_answer)

    def cleanup(self) -> None:
        """End the session; smolagents calls this at the agent's end."""
        self.executor.close()


def _callable(tool: Any) -> Callable[..., object]:
    """Return a plain function for a tool or agent: what it offers besides being called is not the guest's."""

    def call(*args: object, **kwargs: object) -> object:
        return cast("object", tool(*args, **kwargs))

    call.__doc__ = getattr(tool, "description", None)
    return call
