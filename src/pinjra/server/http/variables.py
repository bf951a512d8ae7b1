"""A session's variables -> their names, types, sizes and short texts, and tables a page at a time, as the guest tells them.

The guest describes its own variables, in its own language: nothing of what it says is believed to be more than text.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from pinjra.core.errors import ConfigurationError
from pinjra.server.http.asked import Asked
from pinjra.server.http.errors import Busy
from pinjra.server.http.operations import Operation, StrictAnswer
from pinjra.server.http.results import value_json

_SECONDS = 5.0  # to describe variables; a guest's own repr may do anything
_WAIT_SECONDS = 2.0  # for a run in this session to end
_MOST = 500  # variables
_ROWS = 200  # of a page of a table
_LIST = """
def __described():
    def short(value):
        try:
            text = repr(value[:400] if isinstance(value, (str, bytes)) else value)
        except Exception as error:
            text = f"<its repr raised {type(error).__name__}>"
        return text[:300]
    def size(value):
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return " × ".join(str(part) for part in shape)[:50]
        try:
            return str(len(value)) if not isinstance(value, type) else ""
        except Exception:
            return ""
    found = []
    for name, value in list(globals().items()):
        if name.startswith("_") or type(value).__name__ in ("module", "builtin_function_or_method"):
            continue
        is_table = type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "iloc")
        found.append([name[:200], type(value).__name__[:100], size(value), short(value), is_table])
        if len(found) == %d:
            break
    return found
globals().pop("__described")()
"""
_PAGE = """
def __paged(value, first, rows):
    import pandas
    frame = value.to_frame() if isinstance(value, pandas.Series) else value
    part = frame.iloc[first:first + rows]
    cells = [[str(cell)[:300] for cell in row] for row in part.itertuples(index=True, name=None)]
    return [[str(name)[:200] for name in frame.columns], cells, len(frame)]
globals().pop("__paged")({name}, {first}, {rows})
"""


class VariableAnswer(StrictAnswer):
    """A variable of a session, as the guest tells of it."""

    name: str
    type: str
    size: str
    text: str
    is_table: bool


class VariablesAnswer(StrictAnswer):
    """A session's variables."""

    variables: list[VariableAnswer]


class TableAnswer(StrictAnswer):
    """Rows of a table, each with its index first, and how many there are in all."""

    columns: list[str]
    rows: list[list[str]]
    total: int


async def list_variables(request: Asked) -> dict[str, Any]:
    """List a session's variables."""
    found = await _asked(request, _LIST % _MOST)
    names = ("name", "type", "size", "text", "is_table")
    return {"variables": [dict(zip(names, row, strict=False)) for row in found]}


async def show_table(request: Asked) -> dict[str, Any]:
    """Return rows of a table."""
    name, query = request.path_params["name"], request.query_params
    first, rows = query.get("from", "0"), query.get("rows", "20")
    # SECURITY: the three become part of code; it is the guest's own box, and still nothing but a name and numbers goes in.
    if not name.isidentifier() or not all(
        part.isascii() and part.isdigit() and len(part) < 12 for part in (first, rows)
    ):
        raise ConfigurationError("a table has a name, and its rows have numbers")
    code = _PAGE.format(name=name, first=int(first), rows=min(int(rows), _ROWS))
    columns, cells, total = await _asked(request, code)
    return {"columns": columns, "rows": cells, "total": total}


async def _asked(request: Asked, code: str) -> Any:
    """Return what the guest answers, as JSON data.

    Raises:
        Busy: A run goes on.
        ConfigurationError: The guest's code failed, as it does for a name that is no table.
    """
    hub, held = request.hub, request.held
    try:
        async with asyncio.timeout(_WAIT_SECONDS) as waiting, hub.using(held) as executor:
            waiting.reschedule(None)
            # SECURITY: a guest's own repr may do anything: who looks at it pays, as for a run
            done = await hub.run(held, partial(executor.run, code, wall_seconds=_SECONDS), kind="variables")
    except TimeoutError:
        raise Busy("a run goes on in this session; look again when it has ended") from None
    if done.error is not None:
        raise ConfigurationError(f"the session cannot tell: {done.error.type}: {done.error.message}"[:500])
    value = value_json(done.value)
    if not isinstance(value, list):
        raise ConfigurationError("the session tells something that is no description")
    return value


_S = "/v1/sessions/{session}/variables"
OPERATIONS = (
    Operation(method="GET", path=_S, endpoint=list_variables, answer=VariablesAnswer),
    Operation(method="GET", path=_S + "/{name}", endpoint=show_table, answer=TableAnswer),
)
