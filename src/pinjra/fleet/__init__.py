"""Many snippets -> results and verdicts, on one machine or many. `Fleet` is the door; `cases` says what is judged."""

from pinjra.fleet.cases import Case as Case
from pinjra.fleet.cases import Verdict as Verdict
from pinjra.fleet.fleet import Fleet as Fleet
from pinjra.fleet.requests import SnippetResult as SnippetResult
from pinjra.fleet.scoring import pass_at_k as pass_at_k
