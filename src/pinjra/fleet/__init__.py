"""Many snippets -> results and verdicts, on one machine or many. `Fleet` is the door; `cases` says what is judged."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pinjra.fleet.cases import Case as Case
    from pinjra.fleet.cases import Verdict as Verdict
    from pinjra.fleet.fleet import Fleet as Fleet
    from pinjra.fleet.requests import SnippetResult as SnippetResult
    from pinjra.fleet.scoring import pass_at_k as pass_at_k

__all__ = ["Case", "Fleet", "SnippetResult", "Verdict", "pass_at_k"]

_MODULES = {
    "Case": "cases",
    "Fleet": "fleet",
    "SnippetResult": "requests",
    "Verdict": "cases",
    "pass_at_k": "scoring",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Import a name at its first use."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
