"""Records of a run -> events by the names of AG-UI (docs.ag-ui.com). Stateless: a reader may begin anywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Record = dict[str, Any]


def ag_ui_events(record: Record) -> list[Record]:
    """Return AG-UI's events for a record; what AG-UI has no word for is a CUSTOM event."""
    make = _MADE.get(record["event"], _custom)
    stamp = {"timestamp": int(record.get("time", 0) * 1000)}
    return [event | stamp for event in make(record)]


def _custom(record: Record) -> list[Record]:
    return [{"type": "CUSTOM", "name": record["event"], "value": record}]


def _run_started(record: Record) -> list[Record]:
    if record.get("depth"):
        return _custom(record)
    return [{"type": "RUN_STARTED", "threadId": record["run_id"], "runId": record["run_id"]}]


def _run_finished(record: Record) -> list[Record]:
    if record.get("depth"):
        return _custom(record)
    if record["state"] in ("success", "max_steps_error"):
        result = {"state": record["state"]}
        run = record["run_id"]
        return [{"type": "RUN_FINISHED", "threadId": run, "runId": run, "result": result}]
    return [{"type": "RUN_ERROR", "message": record.get("error") or record["state"], "code": record["state"]}]


def _step_name(record: Record) -> str:
    return f"{record['agent']} {record['step']}"


def _text(record: Record) -> list[Record]:
    return (
        [
            {
                "type": "TEXT_MESSAGE_CHUNK",
                "messageId": f"{record['run_id']}-{record['step']}",
                "role": "assistant",
                "delta": record["text"],
            }
        ]
        if record["text"]
        else []
    )


def _tool_called(record: Record) -> list[Record]:
    return [
        {
            "type": "TOOL_CALL_CHUNK",
            "toolCallId": record["call"],
            "toolCallName": record["name"],
            "delta": json.dumps(record["arguments"]),
        }
    ]


def _tool_returned(record: Record) -> list[Record]:
    return [
        {
            "type": "TOOL_CALL_RESULT",
            "messageId": f"{record['call']}-result",
            "toolCallId": record["call"],
            "content": record["error"] or json.dumps(record["value"]),
            "role": "tool",
        }
    ]


_MADE: dict[str, Callable[[Record], list[Record]]] = {
    "RunStarted": _run_started,
    "RunFinished": _run_finished,
    "StepStarted": lambda record: [{"type": "STEP_STARTED", "stepName": _step_name(record)}],
    "StepFinished": lambda record: [
        {"type": "STEP_FINISHED", "stepName": _step_name(record)},
        *_custom(record),
    ],
    "ModelDelta": _text,
    "ToolCalled": _tool_called,
    "ToolReturned": _tool_returned,
}
