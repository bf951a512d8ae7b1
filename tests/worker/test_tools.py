"""Calls of host tools from guest code: sync, async, threads, errors."""

import socket

import pytest

from pinjra.wire.messages import Answer, Call, Finished, Interrupt, Lost
from pinjra.worker.interpreter.channel import Channel
from pinjra.worker.interpreter.interrupts import Interrupts


@pytest.fixture(params=[True, False], ids=["guarded", "plain"])
def host(open_host, request):
    return open_host(guard=request.param)


def test_a_call_returns_the_hosts_value(host):
    host.grant(add=lambda a, b=0: a + b)
    assert host.run("add(1, b=2)") == 3


def test_calls_are_numbered_upwards_over_runs(host):
    host.grant(f=lambda: None)
    host.run("f()\nf()")
    first = [call.call for call in host.calls]
    host.run("f()")
    numbers = first + [call.call for call in host.calls]
    assert numbers == sorted(set(numbers))


def test_a_tools_exception_is_an_exception_in_the_guest(host):
    host.grant(fail=lambda: int("x"))
    assert host.run("try:\n fail()\nexcept ValueError as e:\n r = str(e)\nr").startswith("invalid literal")
    assert host.run("fail()")["type"] == "ValueError"


def test_large_arguments_and_answers_cross(host):
    host.grant(echo=lambda x: x)
    assert host.run("echo(b'x' * 3_000_000) == b'x' * 3_000_000") is True


def test_eight_async_calls_are_open_at_once(host):
    host.grant(is_async=True, g=lambda x: x)
    host.tools.clear()
    host.start(
        "import asyncio\nasync def main():\n return await asyncio.gather(*[g(i) for i in range(8)])\nasyncio.run(main())"
    )
    calls = [host.next(Call) for _ in range(8)]
    for call in reversed(calls):  # any order
        host.send(Answer(call=call.call, value=host.arguments(call)[0][0] * 10))
    assert host.finish().value == ["l", *range(0, 80, 10)]


def test_an_async_tool_can_be_a_task_and_be_awaited_at_top_level(open_host):
    host = open_host(guard=True)
    host.grant(is_async=True, g=lambda x: x + 1)
    assert host.run("import asyncio\nt = asyncio.create_task(g(1))\n(await t, await g(5))") == (2, 6)


def test_the_result_of_an_async_call_that_nobody_awaited_is_the_value_inside_of_others_too(open_host):
    host = open_host(guard=True)
    host.grant(is_async=True, g=lambda x: x + 1)
    assert host.run("g(1)") == 2
    assert host.run("[g(1), {'a': g(2)}]") == [2, {"a": 3}]
    assert host.run("final_answer(g(g(3)))") == 5


def test_an_async_call_made_outside_a_loop_is_sent_when_it_is_awaited(host):
    host.grant(is_async=True, g=lambda x: x + 1)
    assert host.run("import asyncio\nc = g(1)\nasyncio.run(c)") == 2


def test_an_async_tools_exception_reaches_its_await(host):
    host.grant(is_async=True, g=lambda: 1 / 0)
    code = (
        "import asyncio\nasync def m():\n try:\n  await g()\n except ZeroDivisionError as e:\n  return 'caught'\n"
        "asyncio.run(m())"
    )
    assert host.run(code) == "caught"


def test_a_sync_tool_works_inside_a_loop_with_async_calls_open(host):
    host.grant(is_async=True, g=lambda x: x)
    host.grant(f=lambda x: -x)
    code = (
        "import asyncio\nasync def m():\n t = asyncio.create_task(g(1))\n await asyncio.sleep(0)\n"
        " return f(2), await t\nasyncio.run(m())"
    )
    assert host.run(code) == (-2, 1)


def test_threads_call_tools_side_by_side(open_host):
    host = open_host()
    host.grant(f=lambda x: x)
    host.tools.clear()
    host.start(
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(4) as pool:\n r = list(pool.map(f, range(4)))\nr"
    )
    calls = [host.next(Call) for _ in range(4)]
    for call in calls:
        host.send(Answer(call=call.call, value=host.arguments(call)[0][0] + 100))
    assert host.finish().value == ["l", 100, 101, 102, 103]


def test_to_thread_works_with_a_sync_tool(open_host):
    host = open_host()
    host.grant(f=lambda x: x + 1)
    assert host.run("import asyncio\nasyncio.run(asyncio.to_thread(f, 1))") == 2


def test_a_call_after_the_run_is_over_is_refused():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        channel = Channel(theirs, Interrupts())
        with pytest.raises(RuntimeError, match="after the run was over"):
            channel.call(
                lambda run, number: Call(run=run, call=number, name="f", args=["l"], kwargs={}), print
            )


def test_a_thread_left_waiting_for_an_answer_is_told_that_the_run_is_over(open_host):
    host = open_host()
    host.grant(f=lambda: 1)
    host.tools.clear()
    host.start(
        "import threading\nseen = []\n"
        "def call():\n try:\n  f()\n except RuntimeError as e:\n  seen.append(str(e))\n"
        "t = threading.Thread(target=call); t.start()"
    )
    assert "threads are alive" in host.finish().notes[0]
    assert host.run("t.join()\nseen") in (["the run is over"], ["a tool was called after the run was over"])


def test_an_interrupt_while_a_tool_runs_ends_the_run_with_its_answer(host):
    host.grant(slow=lambda: None)
    host.tools.clear()
    host.start("slow()\nprint('not reached')")
    call = host.next(Call)
    host.send(Interrupt(grace_seconds=30))
    host.send(Answer(call=call.call, value=None))
    end = host.finish()
    assert isinstance(end, Finished)
    assert end.error["kind"] == "interrupted"
    assert host.text == ""


def test_a_tool_that_never_answers_can_be_interrupted(host):
    host.grant(slow=lambda: None)
    host.tools.clear()
    host.run("x = 1")
    host.start("x = 2\nslow()")
    host.next(Call)
    host.send(Interrupt(grace_seconds=0.01))
    assert host.finish() == Lost(
        cause="interrupt", detail="signal 9", rolled_back=True, cpu_seconds=pytest.approx(0, abs=60),
        memory_peak_bytes=pytest.approx(0, abs=1 << 40),
    )  # fmt: skip
    assert host.run("x") == 1


def test_a_stub_can_be_copied_but_not_pickled(open_host):
    host = open_host()
    host.grant(f=lambda: 7)
    assert host.run("import copy\ncopy.deepcopy({'f': f})['f']()") == 7


def test_a_thread_that_was_joined_is_no_thread_that_is_alive(host):
    for _ in range(20):
        host.start("import threading\nt = threading.Thread(target=int); t.start(); t.join()")
        assert host.finish().notes == ()
