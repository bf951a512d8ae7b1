"""What executors give -> JSON that any client can read. Values that JSON cannot say are described, never pickled."""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json, to_jsonable_python
from starlette.responses import Response

from pinjra.core.execution import Artifact, Execution
from pinjra.core.json_data import encodable, text_of
from pinjra.core.values import Opaque, Record, can_be_listed

_VALUE_CHARACTERS = 1 << 20  # of a described value


def value_json(value: object) -> Any:
    """Return the value as JSON data; what JSON does not have is `{"type": …, "repr": …}`."""
    try:
        return from_json(to_json(value, inf_nan_mode="strings", bytes_mode="base64", fallback=_described))
    except ValueError:  # half a character, a number with thousands of digits, a key that is no text
        return _in_parts(value)


def _in_parts(value: object) -> Any:
    """Return the same of a value of which something cannot be said: that part is described, the others are as ever."""
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, Mapping):
        return {
            encodable(key) if isinstance(key, str) else text_of(key): _in_parts(part)
            for key, part in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset | deque):
        return [_in_parts(part) for part in value]
    try:
        return from_json(to_json(value, inf_nan_mode="strings", bytes_mode="base64"))
    except ValueError:
        return _in_parts(_described(value))


def _described(value: object) -> object:
    if isinstance(value, Opaque):
        return {"type": value.type, "repr": value.repr}
    if isinstance(value, Record):
        return {"type": value.type, "fields": dict(value.fields)}
    for method in ("to_dict", "tolist"):  # pandas and numpy, built on the host from plain data
        if can_be_listed(value) and callable(getattr(value, method, None)):
            return getattr(value, method)()
    return {"type": type(value).__name__, "repr": text_of(value)[:_VALUE_CHARACTERS]}


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """Return an artifact with its bytes in base64."""
    return {
        "media_type": artifact.media_type,
        "name": artifact.name,
        "data": base64.b64encode(artifact.data).decode("ascii"),
    }


def execution_json(done: Execution) -> dict[str, Any]:
    """Return everything that came of a run."""
    return {
        "value": value_json(done.value),
        "stdout": done.stdout,
        "stderr": done.stderr,
        "error": to_jsonable_python(done.error),
        "artifacts": [artifact_json(artifact) for artifact in done.artifacts],
        "usage": to_jsonable_python(done.usage),
        "is_final_answer": done.is_final_answer,
        "notes": list(done.notes),
        "status": done.status,
        "files": {encodable(name): file.size for name, file in done.files.items()},
    }


def attachment(data: bytes) -> Response:
    """Return the bytes of a guest's file, to be saved."""
    headers = {
        "Content-Disposition": "attachment",  # SECURITY: a guest's HTML is never shown as a page of this origin
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)
