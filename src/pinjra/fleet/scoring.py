"""A program and its cases, on boxes -> a verdict. Each case runs the program anew, in a process that has seen no other case."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from pinjra.core.errors import ProtocolViolation
from pinjra.core.execution import error_line
from pinjra.core.limits import Limits
from pinjra.core.value_text import Room, text_of
from pinjra.core.values import Opaque
from pinjra.fleet.boxes import Box
from pinjra.fleet.cases import Case, CaseResult, Compare, Status, are_equal, is_same_text
from pinjra.fleet.foresight import Foreseen, call_of, frame, message_of
from pinjra.fleet.requests import Request, SnippetResult, most_seconds, result_of, seconds
from pinjra.wire.values.codec import decode

# Why a program did not end well -> the status of its case, where that has another name.
_STATUS: Mapping[str, Status] = {"exit": "exception", "value": "output"}
# characters of a value in a message, and what more of it may cost to be written
_SHOWN, _TEXT_COST = 200, 1 << 16
_TEST_SECONDS = 4.0  # a test may take so many times what one of its calls may
# What the two boxes of a test say to each other: calls, answers, and calls of what was given as an argument.
_SAID = ("call", "await", "args", "back", "value", "handle", "type", "error", "bases", "message", "blobs")


def request_of(code: str, case: Case, limits: Limits, seed: int | None = None) -> Request:
    """Return what a box is given for a case: the program, what it is asked, and never what is expected of it."""
    stdin = case.stdin.encode() if isinstance(case.stdin, str) else case.stdin
    return Request(
        code=code,
        stdin=stdin,
        files=case.files,
        limits=limits,
        seed=seed,
        mode="program" if case.stdout is not None else "calls",
        calls=(call_of([case.call], case.args, case.kwargs, read=True),) if case.call else (),
    )


def judge(
    case: Case | None, plan: Foreseen, request: Request, said: Mapping[str, Any]
) -> SnippetResult | CaseResult | Request:
    """Return what came of a program, or the test that must be run on its answers to say it."""
    result = result_of(request, said)
    if case is None:
        return result
    if result.reason == "infrastructure":
        return failed(result)
    if case.stdout is not None:
        return _judge_output(case, result)
    if case.call:
        return _judge_call(case, result, said["answers"])
    return _judge_answers(case, plan, request, result, said["answers"])


def _case(result: SnippetResult, status: Status, message: str) -> CaseResult:
    return CaseResult(
        status=status,
        message=message[:2000],
        wall_seconds=result.wall_seconds,
        cpu_seconds=result.cpu_seconds,
        memory_bytes=result.memory_bytes,
        is_killed=result.is_killed,
    )


def _status(result: SnippetResult) -> Status:
    return _STATUS.get(result.reason, cast("Status", result.reason))


def failed(result: SnippetResult) -> CaseResult:
    """Return the result of a case whose program did not end well."""
    said = (
        error_line(result.error_type, result.message).removeprefix(": ") or f"exit status {result.returncode}"
    )
    return _case(result, _status(result), said)


def _judge_output(case: Case, result: SnippetResult) -> CaseResult:
    """Return the result of a case of standard input and output."""
    if not result.ok:
        return failed(result)
    if result.lost_bytes:
        return _case(result, "output", f"{result.lost_bytes} bytes more than the limit were printed")
    return _compared(result, case, result.stdout, case.stdout or "", is_same_text)


# ---------------------------------------------------------------- calls


def _judge_call(case: Case, result: SnippetResult, answers: Sequence[str]) -> CaseResult:
    """Return the result of a case that calls a function.

    Args:
        answers: What the program said, the first time that it was ready.
    """
    if len(answers) < 2:
        return _unasked(result, "it was called")
    try:
        answer = message_of(answers[1])
        if "value" not in answer:
            return _case(result, "exception", f"{answer.get('error', '')}: {answer.get('message', '')}")
        seen = decode(answer["value"], answer["blobs"])
    except (ProtocolViolation, LookupError, TypeError, ValueError, AttributeError, RecursionError) as error:
        return _case(result, "wrong", f"no value: {error}")
    if isinstance(seen, Opaque):
        return _case(result, "wrong", f"returned an object of type {seen.type}, not plain data")
    return _compared(result, case, seen, case.equals, are_equal)


def _unasked(result: SnippetResult, what: str) -> CaseResult:
    return failed(result) if result.reason else _case(result, "exception", f"the program ended before {what}")


def _compared(
    result: SnippetResult, case: Case, seen: Any, expected: Any, is_right: Callable[[Any, Any, Compare], bool]
) -> CaseResult:
    try:
        if is_right(seen, expected, case.compare):
            return _case(result, "passed", "")
    # SECURITY: a guest chooses what is compared; comparing may fail, and then it is not right
    except Exception as error:
        return _case(result, "wrong", f"it cannot be compared: {type(error).__name__}: {error}")
    return _case(result, "wrong", f"{_short(seen)}, expected {_short(expected)}")


def _short(value: object) -> str:
    try:
        # SECURITY: of an object it takes the whole repr first, of an array of 24 axes for minutes
        return reprlib.repr(value) if Room(_TEXT_COST).holds(value) else text_of(value, Room(_SHOWN))[:_SHOWN]
    except Exception:  # a number with too many digits
        return f"a value of type {type(value).__name__}"


# ---------------------------------------------------------------- tests


def _judge_answers(
    case: Case, plan: Foreseen, request: Request, result: SnippetResult, answers: Sequence[str]
) -> CaseResult | Request:
    """Return the result of a case whose calls were foreseen, or the test that must be run on the program's answers to say it."""
    if not answers:
        return _unasked(result, "the test")
    if plan.is_met(answers):
        return _case(result, "passed", "")
    return replace(_test_of(request, case, plan), calls=plan.calls, answers=tuple(answers[1:]))


def judge_test(result: SnippetResult, test: Request, said: Mapping[str, Any]) -> CaseResult:
    """Return the result of a case of which the test has ended.

    Args:
        result: Of the program.
    """
    judged = result_of(test, said)
    if judged.ok:
        return _case(result, "passed", "")
    if judged.error_type == "AssertionError" and result.reason != "infrastructure":
        return _case(result, "wrong", error_line(judged.error_type, judged.message))
    if result.reason in ("wall", "processor", "memory", "output", "infrastructure"):
        return failed(result)
    return _case(result, _status(judged), error_line(judged.error_type, judged.message))


def ask(box: Box, other: Box, request: Request, case: Case, plan: Foreseen) -> tuple[CaseResult, list[str]]:
    """Return the result of a case whose test runs in `other`, while the program answers its calls in `box`; and these calls.

    Raises:
        BoxLost: One of the boxes has ended.
        PinjraError: One did not come up.
    """
    test = replace(_test_of(request, case, plan), others_seconds=most_seconds(request.limits))
    box.begin([replace(request, others_seconds=most_seconds(test.limits))])
    asked: list[str] = []
    end: Mapping[str, Any] | None = None
    said = box.said()
    if isinstance(said, Mapping):  # it has run to its end, and takes calls
        other.begin([test])
        while isinstance(call := other.said(), Mapping):
            if isinstance(said, Mapping):
                asked.append(frame(_passed_on(call)))
                box.answer(_passed_on(call))
                said = box.said()
            other.answer(_passed_on(said) if isinstance(said, Mapping) else {})
        end = call[0]
    while isinstance(said, Mapping):  # SECURITY: a program may say more than it was asked
        box.answer({"end": True})
        said = box.said()
    result = result_of(request, said[0])
    return _unasked(result, "the test") if end is None else judge_test(result, test, end), asked


def _passed_on(message: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: message[name] for name in _SAID if name in message}


def is_unforeseen(said: Mapping[str, Any]) -> bool:
    """Return whether a test has asked something else than was foreseen."""
    return bool(said.get("report", {}).get("stage") == "unforeseen")


def _test_of(request: Request, case: Case, plan: Foreseen) -> Request:
    wall = seconds(request.limits) * _TEST_SECONDS
    return Request(
        code=_source(case),
        setup=case.setup,
        entry=case.entry,
        mode="test",
        limits=replace(request.limits, wall_seconds=wall),
        seed=plan.seed if request.seed is None else request.seed,
        names=plan.names,
        modules=plan.modules,
    )


def _source(case: Case) -> str:
    is_check = (
        case.entry
        and "def check(" in case.test
        and "check(candidate)" not in case.test.replace("def check(candidate)", "")
    )
    return f"{case.test}\ncheck(candidate)\n" if is_check else case.test


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
