"""A program and its cases, on boxes -> a verdict. Each case runs the program anew, in a process that has seen no other case."""

from __future__ import annotations

import math
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pinjra.core.errors import ProtocolViolation
from pinjra.core.limits import Limits
from pinjra.core.values import Opaque
from pinjra.fleet.boxes import Box, BoxLost
from pinjra.fleet.cases import Case, CaseResult, Status, are_equal, is_same_text
from pinjra.fleet.requests import Request, SnippetResult, result_of
from pinjra.wire.values.codec import decode, encode

__all__ = ["judge_call", "judge_output", "judge_test", "pass_at_k", "request_of"]

# Why a program did not end well -> the status of its case.
_STATUS: Mapping[str, Status] = {
    "exit": "exception",
    "value": "output",
    "exception": "exception",
    "compile": "compile",
    "wall": "wall",
    "processor": "processor",
    "memory": "memory",
    "output": "output",
    "infrastructure": "infrastructure",
}
_TEST_SECONDS = 4.0  # a test may take so many times what one of its calls may
_END: Mapping[str, Any] = {"end": True}
_ENDED: Mapping[str, Any] = {
    "error": "RuntimeError",
    "bases": ["RuntimeError"],
    "message": "the program has ended",
}


def request_of(code: str, case: Case, limits: Limits) -> Request:
    """Return what a box is given for a case: the program, and never what is expected of it."""
    stdin = case.stdin.encode() if isinstance(case.stdin, str) else case.stdin
    return Request(
        code=code,
        stdin=stdin,
        files=case.files,
        limits=limits,
        mode="program" if case.stdout is not None else "calls",
    )


def _case(result: SnippetResult, status: Status, message: str) -> CaseResult:
    return CaseResult(
        status=status,
        message=message[:2000],
        wall_seconds=result.wall_seconds,
        cpu_seconds=result.cpu_seconds,
        memory_bytes=result.memory_bytes,
    )


def _failed(result: SnippetResult) -> CaseResult:
    said = (
        f"{result.error_type}: {result.message}" if result.error_type else f"exit status {result.returncode}"
    )
    return _case(result, _STATUS[result.reason], said)


def judge_output(case: Case, result: SnippetResult) -> CaseResult:
    """Return the result of a case of standard input and output."""
    if not result.ok:
        return _failed(result)
    if result.lost_bytes:
        return _case(result, "output", f"{result.lost_bytes} bytes more than the limit were printed")
    if is_same_text(result.stdout, case.stdout or "", case.compare):
        return _case(result, "passed", "")
    return _case(result, "wrong", f"printed {result.stdout[:500]!r}, expected {(case.stdout or '')[:500]!r}")


# ---------------------------------------------------------------- calls


def judge_call(box: Box, code: str, case: Case, limits: Limits) -> CaseResult:
    """Return the result of a case that calls a function.

    Raises:
        BoxLost: The box has ended.
    """
    asked = False
    answers: list[Mapping[str, Any]] = []

    def talk(message: Mapping[str, Any]) -> Mapping[str, Any]:
        nonlocal asked
        if message.get("ready") and not asked:
            asked = True
            tree, blobs = encode((case.args, dict(case.kwargs)))
            return {"call": [case.call], "args": tree, "blobs": list(blobs)}
        if asked and not answers:
            answers.append(message)
        return _END

    result = result_of(request := request_of(code, case, limits), box.run([request], talk)[0])
    if not answers:  # it ended before it could be asked, or while it was
        return (
            _failed(result)
            if result.reason
            else _case(result, "exception", "the program ended before it was called")
        )
    return _judged_answer(case, result, answers[0])


def _judged_answer(case: Case, result: SnippetResult, answer: Mapping[str, Any]) -> CaseResult:
    if "value" not in answer:
        return _case(result, "exception", f"{answer.get('error', '')}: {answer.get('message', '')}")
    try:
        seen = decode(answer["value"], [bytes(blob) for blob in answer.get("blobs", ())])
    except (ProtocolViolation, TypeError, ValueError) as error:
        return _case(result, "wrong", f"no value: {error}")
    if isinstance(seen, Opaque):
        return _case(result, "wrong", f"returned an object of type {seen.type}, not plain data")
    if are_equal(seen, case.equals, case.compare):
        return _case(result, "passed", "")
    return _case(result, "wrong", f"returned {seen!r:.500}, expected {case.equals!r:.500}")


# ---------------------------------------------------------------- tests


def judge_test(box: Box, other: Box, code: str, case: Case, limits: Limits) -> CaseResult:
    """Return the result of a case whose test runs in `other`, while the program answers its calls in `box`.

    Raises:
        BoxLost: One of the boxes has ended.
    """
    wall = None if limits.wall_seconds is None else limits.wall_seconds * _TEST_SECONDS
    test = Request(
        code=_source(case),
        setup=case.setup,
        entry=case.entry,
        mode="test",
        limits=replace(limits, wall_seconds=wall),
    )
    program = _Program(box, request_of(code, case, limits))
    with program:
        said = other.run([test], program.ask)[0] if program.is_ready() else None
    result = program.result()
    if said is None:
        return (
            _failed(result)
            if result.reason
            else _case(result, "exception", "the program ended before the test")
        )
    judged = result_of(test, said)
    if judged.ok:
        return _case(result, "passed", "")
    if result.reason in ("wall", "processor", "memory", "output"):
        return _failed(result)
    status: Status = "wrong" if judged.error_type == "AssertionError" else _STATUS[judged.reason]
    return _case(result, status, f"{judged.error_type}: {judged.message}")


def _source(case: Case) -> str:
    is_check = (
        case.entry
        and "def check(" in case.test
        and "check(candidate)" not in case.test.replace("def check(candidate)", "")
    )
    return f"{case.test}\ncheck(candidate)\n" if is_check else case.test


class _Program:
    """The program in its box, on a thread of its own, as a context: calls of a test go in, answers come out, one at a time."""

    def __init__(self, box: Box, request: Request) -> None:
        self._box, self._request = box, request
        self._calls: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._has_ended = self._is_over = False
        self._said: Mapping[str, Any] | BoxLost = BoxLost("the box was not started")
        self._thread = threading.Thread(target=self._run, name="pinjra-fleet-program", daemon=True)

    def _run(self) -> None:
        try:
            self._said = self._box.run([self._request], self._talk)[0]
        except BoxLost as lost:
            self._said = lost
        self._answers.put(None)

    def _talk(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """Take what the program says, and give it the next call; on its box's thread."""
        if self._is_over:  # SECURITY: a program may say more than it was asked
            return _END
        self._answers.put(message)
        return self._calls.get()

    def is_ready(self) -> bool:
        """Wait, and return whether the program has run to its end and takes calls."""
        self._has_ended = self._answers.get() is None
        return not self._has_ended

    def ask(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the program's answer to a call of the test; on the test's box's thread."""
        if self._has_ended or "call" not in call:
            return _ENDED
        self._calls.put(
            {"call": call["call"], "args": call.get("args"), "blobs": list(call.get("blobs", ()))}
        )
        answer = self._answers.get()
        if answer is None:
            self._has_ended = True
            return _ENDED
        return {
            name: answer[name] for name in ("value", "error", "bases", "message", "blobs") if name in answer
        }

    def __enter__(self) -> _Program:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over = True
        self._calls.put(_END)
        self._thread.join()

    def result(self) -> SnippetResult:
        """Return what came of the program.

        Raises:
            BoxLost: Its box has ended.
        """
        if isinstance(self._said, BoxLost):
            raise self._said
        return result_of(self._request, self._said)


# ---------------------------------------------------------------- figures


def pass_at_k(results: Sequence[tuple[int, int]], k: int) -> float:
    """Return the mean of the unbiased estimate of pass@k.

    Args:
        results: (samples, samples that passed) of each problem.

    Source: Chen et al., "Evaluating Large Language Models Trained on Code", 2021.
    """
    estimates = [
        1.0 if n - c < k else 1.0 - math.prod((n - c - i) / (n - i) for i in range(k))
        for n, c in results
        if n >= k
    ]
    return sum(estimates) / len(estimates) if estimates else math.nan
