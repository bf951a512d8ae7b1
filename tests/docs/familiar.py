"""The public names of the library that most users of code agents know, taken from it where it is installed.

`python tests/docs/familiar.py` writes them to familiar_names.txt, which stands for the library where it is not there.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

VERSION = "1.26.0"
PINNED = Path(__file__).with_name("familiar_names.txt")
# Those of whose parameters, fields and methods the page speaks one by one; a subclass only of what it adds.
TAKEN_APART = (
    "MultiStepAgent", "CodeAgent", "ToolCallingAgent", "AgentMemory", "ActionStep", "PlanningStep", "TaskStep",
    "FinalAnswerStep", "RunResult", "TokenUsage", "Timing", "Tool", "ToolCollection", "MCPClient", "Model",
    "InferenceClientModel", "OpenAIModel", "LocalPythonExecutor", "VisitWebpageTool",
)  # fmt: skip
_CONSTANTS = ("AGENT_REGISTRY", "BASE_BUILTIN_MODULES", "CODEAGENT_RESPONSE_FORMAT", "MODEL_REGISTRY")
_SAID_BY_THE_CLASS = {"name", "description", "inputs", "output_type"}  # of tools


def installed_names() -> list[str] | None:
    """Return the names of the installed library; None where it is not there or of another version."""
    try:
        import smolagents
    except ImportError:
        return None
    return _names(smolagents) if smolagents.__version__ == VERSION else None


def pinned_names() -> list[str]:
    """Return the names as they were taken last."""
    return PINNED.read_text("utf-8").splitlines()


def _names(library: Any) -> list[str]:
    found = {n for n in dir(library) if not n.startswith("_") and _is_own(n, getattr(library, n))}
    for name in TAKEN_APART:
        found |= _parts(name, getattr(library, name))
    return sorted(found)


def _is_own(name: str, value: Any) -> bool:
    if inspect.ismodule(value):
        return False  # what sub-modules offer is re-exported
    return str(getattr(value, "__module__", "")).startswith("smolagents") or name in _CONSTANTS


def _parts(name: str, cls: type) -> set[str]:
    above = [base for base in cls.__mro__[1:] if base.__name__ in TAKEN_APART]
    parameters = set(_parameters(cls.__init__)).difference(*(_parameters(base.__init__) for base in above))
    fields = set(getattr(cls, "__dataclass_fields__", ()))
    members = {m for m in dir(cls) if not m.startswith("_")}.difference(*(dir(base) for base in above))
    if above and above[-1].__name__ == "Tool":
        members -= _SAID_BY_THE_CLASS
    parts = {f"{name}.{member}" for member in members | fields}
    parts |= {f"{name}({parameter}=)" for parameter in parameters - fields}
    if name == "MultiStepAgent":
        parts |= {f"{name}.run({parameter}=)" for parameter in _parameters(cls.run)}  # type: ignore[attr-defined]
    return parts


def _parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "args", "kwargs")]


if __name__ == "__main__":
    names = installed_names()
    assert names is not None, f"version {VERSION} is not installed"
    PINNED.write_text("\n".join(names) + "\n", "utf-8")
