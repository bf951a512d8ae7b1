"""A program and its cases, on boxes -> a verdict. Each case runs the program anew, in a process that has seen no other case."""

from __future__ import annotations

import math
import queue
import reprlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pinjra.core.errors import PinjraError, ProtocolViolation
from pinjra.core.limits import Limits
from pinjra.core.values import Opaque
from pinjra.fleet.boxes import Box, BoxLost
from pinjra.fleet.cases import Case, CaseResult, Compare, Status, are_equal, is_same_text
from pinjra.fleet.requests import UNLIMITED_SECONDS, Request, SnippetResult, result_of
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
# What the two boxes of a test say to each other: calls, answers, and calls of what was given as an argument.
_SAID = ("call", "await", "args", "back", "value", "handle", "type", "error", "bases", "message", "blobs")
_END: Mapping[str, Any] = {"end": True}
_ENDED: Mapping[str, Any] = {
    "error": "RuntimeError",
    "bases": ["RuntimeError"],
    "message": "the program has ended",
}


def request_of(code: str, case: Case, limits: Limits, seed: int | None = None) -> Request:
    """Return what a box is given for a case: the program, and never what is expected of it."""
    stdin = case.stdin.encode() if isinstance(case.stdin, str) else case.stdin
    return Request(
        code=code,
        stdin=stdin,
        files=case.files,
        limits=limits,
        seed=seed,
        mode="program" if case.stdout is not None else "calls",
    )


def _case(result: SnippetResult, status: Status, message: str) -> CaseResult:
    return CaseResult(
        status=status,
        message=message[:2000],
        wall_seconds=result.wall_seconds,
        cpu_seconds=result.cpu_seconds,
        memory_bytes=result.memory_bytes,
        is_killed=result.is_killed,
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
    return _compared(result, case, result.stdout, case.stdout or "", is_same_text)


# ---------------------------------------------------------------- calls


def judge_call(box: Box, request: Request, case: Case) -> CaseResult:
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
            return {"call": [case.call], "args": tree, "blobs": list(blobs), "read": True}
        if asked and not answers:
            answers.append(message)
        return _END

    result = result_of(request, box.run([request], talk)[0])
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
    return _compared(result, case, seen, case.equals, are_equal)


def _compared(
    result: SnippetResult, case: Case, seen: Any, expected: Any, is_right: Callable[[Any, Any, Compare], bool]
) -> CaseResult:
    try:
        if is_right(seen, expected, case.compare):
            return _case(result, "passed", "")
    except (
        Exception
    ) as error:  # SECURITY: a guest chooses what is compared; comparing may fail, and then it is not right
        return _case(result, "wrong", f"it cannot be compared: {type(error).__name__}: {error}")
    return _case(result, "wrong", f"{_short(seen)}, expected {_short(expected)}")


def _short(value: object) -> str:
    try:
        return reprlib.repr(value)
    except Exception:  # a number with too many digits
        return f"a value of type {type(value).__name__}"


# ---------------------------------------------------------------- tests


def judge_test(box: Box, other: Box, request: Request, case: Case) -> CaseResult:
    """Return the result of a case whose test runs in `other`, while the program answers its calls in `box`.

    Raises:
        BoxLost: One of the boxes has ended.
    """
    own = request.limits.wall_seconds or UNLIMITED_SECONDS
    wall = own * _TEST_SECONDS
    test = Request(
        code=_source(case),
        setup=case.setup,
        entry=case.entry,
        mode="test",
        limits=replace(request.limits, wall_seconds=wall),
        seed=request.seed,
        others_seconds=own,
    )
    program = _Program(box, replace(request, others_seconds=wall))
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
        self._said: Mapping[str, Any] | BoxLost | PinjraError = BoxLost("the box was not started")
        self._thread = threading.Thread(target=self._run, name="pinjra-fleet-program", daemon=True)

    def _run(self) -> None:
        try:
            self._said = self._box.run([self._request], self._talk)[0]
        except (BoxLost, PinjraError) as lost:
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
        if self._has_ended:
            return _ENDED
        self._calls.put({name: call[name] for name in _SAID if name in call})
        answer = self._answers.get()
        if answer is None:
            self._has_ended = True
            return _ENDED
        return {name: answer[name] for name in _SAID if name in answer}

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
            PinjraError: It did not come up.
        """
        if isinstance(self._said, (BoxLost, PinjraError)):
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
