"""What executors give -> JSON that any client can read. Values that JSON cannot say are described, never pickled."""

from __future__ import annotations

import base64
from typing import Any

from pydantic_core import from_json, to_json, to_jsonable_python
from starlette.responses import Response

from pinjra.core.execution import Artifact, Execution
from pinjra.core.values import Opaque, Record

__all__ = ["artifact_json", "attachment", "execution_json", "value_json"]

_VALUE_CHARACTERS = 1 << 20  # of a described value


def value_json(value: object) -> Any:
    """Return the value as JSON data; what JSON does not have is `{"type": …, "repr": …}`."""
    return from_json(to_json(value, inf_nan_mode="strings", bytes_mode="base64", fallback=_described))


def _described(value: object) -> object:
    if isinstance(value, Opaque):
        return {"type": value.type, "repr": value.repr}
    if isinstance(value, Record):
        return {"type": value.type, "fields": dict(value.fields)}
    for method in ("to_dict", "tolist"):  # pandas and numpy, built on the host from plain data
        if callable(getattr(value, method, None)):
            return getattr(value, method)()
    return {"type": type(value).__name__, "repr": repr(value)[:_VALUE_CHARACTERS]}


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
        "files": {name: file.size for name, file in done.files.items()},
    }


def attachment(data: bytes) -> Response:
    """Return the bytes of a guest's file, to be saved."""
    headers = {
        "Content-Disposition": "attachment",  # SECURITY: a guest's HTML is never shown as a page of this origin
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",
    }
    return Response(data, media_type="application/octet-stream", headers=headers)
