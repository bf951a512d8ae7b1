"""Checks: tools stay on the host and are called from the guest."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

from pinjra.core.errors import ToolRefused
from pinjra.core.values import Opaque
from pinjra.executors.base import PythonExecutor
from pinjra.executors.conformance.suite import (
    CHECK_LIMITS,
    CheckFailed,
    another,
    check,
    expect,
    failure_of,
    value_of,
)


@check()
def tools_stay_on_the_host_and_keep_their_state(executor: PythonExecutor) -> None:
    secret, calls = "hunter2", []

    def lookup(key: str, *, times: int = 1) -> str:
        calls.append((key, secret))
        return key.upper() * times

    executor.send_tools({"lookup": lookup})
    expect(value_of(executor, "[lookup(k, times=2) for k in 'ab']"), ["AA", "BB"])
    expect([c[0] for c in calls], ["a", "b"])
    expect(value_of(executor, "lookup('z')"), "Z")
    for code in ("lookup.__closure__[0].cell_contents", "str(lookup) + repr(lookup)", "vars(lookup)"):
        seen = executor.run(code)
        if secret in f"{seen.value} {seen.logs} {seen.error}":
            raise CheckFailed(f"{code!r} shows what the tool closes over")


@check()
def a_tool_sees_and_gives_plain_data(executor: PythonExecutor) -> None:
    seen: list[object] = []
    rows = [{"a": 1}]

    def take(value: object) -> list[dict[str, int]]:
        seen.append(value)
        return rows

    executor.send_tools({"take": take})
    executor.run(
        "class Evil(str):\n    def __eq__(self, other):\n        return True\n    __hash__ = str.__hash__\ntake(Evil('x'))"
    )
    if not seen or type(seen[0]) not in (str, Opaque):
        raise CheckFailed(f"the tool saw {seen!r}")
    value_of(executor, "r = take(1)\nr[0]['a'] = 99\nr.append(2)")
    expect(rows, [{"a": 1}], "the host's own rows")


class _Protocol:
    """A tool as the Model Context Protocol has them: a schema checked before the call, content blocks as the answer."""

    description = "Return the weather of a city."

    def __init__(self) -> None:
        self.asked: list[object] = []

    def check_arguments(self, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Refuse all but one city."""
        if args or set(kwargs) != {"city"} or not isinstance(kwargs["city"], str):
            raise ToolRefused(f"wanted city: string, got {sorted(kwargs)}")

    def __call__(self, **arguments: object) -> dict[str, object]:
        """Return what a server would."""
        self.asked.append(arguments["city"])
        blocks = [{"type": "text", "text": "11 °C"}, {"type": "image", "data": b"\x89PNG"}]
        return {"content": blocks, "structuredContent": {"degrees": 11}, "isError": False}


@check()
def a_tool_with_a_schema_of_its_own_answers_in_blocks(executor: PythonExecutor) -> None:
    weather = _Protocol()
    executor.send_tools({"weather": weather})
    code = "a = weather(city='Oslo')\n(a['content'][0]['text'], a['content'][1]['data'], a['structuredContent']['degrees'])"
    expect(value_of(executor, code), ("11 °C", b"\x89PNG", 11))
    error = failure_of(executor, "weather(town='Oslo')")
    if "wanted city" not in str(error):
        raise CheckFailed(f"the schema's words are not in {error}")
    expect(weather.asked, ["Oslo"])


@check()
def a_failing_tool_raises_in_the_guest(executor: PythonExecutor) -> None:
    def broken(x: int) -> int:
        raise ValueError(f"no {x}")

    executor.send_tools({"broken": broken})
    expect(value_of(executor, "try:\n    broken(3)\nexcept ValueError as e:\n    r = str(e)\nr"), "no 3")
    error = failure_of(executor, "broken(4)")
    expect((error.type, error.line), ("ValueError", 1))


@check()
def wrong_arguments_are_refused_before_the_tool_runs(executor: PythonExecutor) -> None:
    calls: list[object] = []

    def one(a: int) -> int:
        calls.append(a)
        return a

    executor.send_tools({"one": one})
    failure_of(executor, "one(1, 2, 3)")
    failure_of(executor, "one(b=2)")
    expect(calls, [])


@check()
def an_async_tool_is_awaitable_and_eight_calls_are_open_at_once(executor: PythonExecutor) -> None:
    import asyncio

    gate = threading.Barrier(8, timeout=30)

    async def slow(n: int) -> int:
        await asyncio.to_thread(gate.wait)  # passes only when all eight are here
        return n * n

    executor.send_tools({"slow": slow})
    code = "import asyncio\nasync def main():\n    return await asyncio.gather(*[slow(i) for i in range(8)])\nawait main()"
    expect(value_of(executor, code), [n * n for n in range(8)])


@check(limits=replace(CHECK_LIMITS, tool_calls=5))
def tool_calls_are_limited(executor: PythonExecutor) -> None:
    count = [0]

    def tick() -> int:
        count[0] += 1
        return count[0]

    executor.send_tools({"tick": tick})
    failure_of(executor, "while True:\n    tick()")
    expect(count[0], 5)


@check()
def a_tool_that_takes_longer_than_its_own_time_is_given_up(executor: PythonExecutor) -> None:
    over = threading.Event()

    def stuck() -> None:
        over.wait(60)

    stuck.seconds = 0.5  # type: ignore[attr-defined]
    executor.send_tools({"stuck": stuck})
    try:
        code = "try:\n    stuck()\nexcept TimeoutError as e:\n    r = str(e)\nr"
        expect(value_of(executor, code), "stuck took longer than 0.5 s")
    finally:
        over.set()
    expect(value_of(executor, "1 + 1"), 2)


@check(limits=replace(CHECK_LIMITS, wall_seconds=1.0))
def time_in_a_tool_is_not_guest_time(executor: PythonExecutor) -> None:
    def slow() -> str:
        time.sleep(1.1)
        return "slept"

    executor.send_tools({"slow": slow})
    expect(value_of(executor, "slow()"), "slept")


@check()
def a_tool_may_run_code_in_a_session_of_its_own(executor: PythonExecutor) -> None:
    # What a managed agent does: a call from generated code starts a second session of the same backend.
    def nested(n: int) -> object:
        with another(executor) as inner:
            return value_of(inner, f"{n} * 2")

    executor.send_tools({"nested": nested})
    expect(value_of(executor, "nested(21) + 1"), 43)
