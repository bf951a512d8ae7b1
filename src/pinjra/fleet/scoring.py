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
from pinjra.core.execution import error_line
from pinjra.core.limits import Limits
from pinjra.core.values import Opaque
from pinjra.fleet.boxes import Box, BoxLost
from pinjra.fleet.cases import Case, CaseResult, Compare, Status, are_equal, is_same_text
from pinjra.fleet.foresight import Foreseen, call_of, frame, message_of
from pinjra.fleet.requests import Request, SnippetResult, most_seconds, result_of, seconds
from pinjra.wire.values.codec import decode

__all__ = ["ask", "is_unforeseen", "judge", "judge_test", "pass_at_k", "request_of"]

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
_ENDED: Mapping[str, Any] = {}


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
        return _failed(result)
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


def _failed(result: SnippetResult) -> CaseResult:
    said = (
        error_line(result.error_type, result.message).removeprefix(": ") or f"exit status {result.returncode}"
    )
    return _case(result, _STATUS[result.reason], said)


def _judge_output(case: Case, result: SnippetResult) -> CaseResult:
    """Return the result of a case of standard input and output."""
    if not result.ok:
        return _failed(result)
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
    return (
        _failed(result) if result.reason else _case(result, "exception", f"the program ended before {what}")
    )


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
        return reprlib.repr(value)
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
        return _failed(result)
    return _case(result, _STATUS[judged.reason], error_line(judged.error_type, judged.message))


def ask(box: Box, other: Box, request: Request, case: Case, plan: Foreseen) -> tuple[CaseResult, list[str]]:
    """Return the result of a case whose test runs in `other`, while the program answers its calls in `box`; and these calls.

    Raises:
        BoxLost: One of the boxes has ended.
    """
    test = replace(_test_of(request, case, plan), others_seconds=most_seconds(request.limits))
    program = _Program(box, replace(request, others_seconds=most_seconds(test.limits)))
    with program:
        said = other.run([test], program.ask)[0] if program.is_ready() else None
    result = program.result()
    judged = _unasked(result, "the test") if said is None else judge_test(result, test, said)
    return judged, program.asked


def is_unforeseen(said: Mapping[str, Any]) -> bool:
    """Return whether a test has asked something else than was foreseen."""
    return bool(said["report"].get("stage") == "unforeseen")


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


class _Program:
    """The program in its box, on a thread of its own, as a context: calls of a test go in, answers come out, one at a time."""

    def __init__(self, box: Box, request: Request) -> None:
        self._box, self._request = box, request
        self._calls: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[Mapping[str, Any] | None] = queue.SimpleQueue()
        self._has_ended = self._is_over = False
        self.asked: list[str] = []
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
        said = {name: call[name] for name in _SAID if name in call}
        self.asked.append(
            frame({name: said[name] for name in said if name != "blobs"}, said.get("blobs", ()))
        )
        self._calls.put(said)
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
