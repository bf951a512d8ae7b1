"""One agent runs in many threads at once, in every kind of executor that is here, and leaves nothing behind."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from pinjra.agents import CodeAgent, RunResult
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.core.events import FinalAnswer
from pinjra.executors.base import PythonExecutor
from pinjra.executors.registry import create_executor
from pinjra.models.base import ChatMessage
from pinjra.models.scripted import ScriptedModel
from processes import children_of, is_alive

from .conftest import code_model, fenced


@pytest.fixture(params=["local", "jail"])
def executor_type(request: pytest.FixtureRequest) -> str:
    try:
        create_executor(request.param).close()
    except ExecutorUnavailable as error:
        pytest.skip(f"{request.param} cannot run here: {error}")
    return str(request.param)


def weigh(thing: str) -> int:
    """Gives a weight.

    Args:
        thing: What to weigh.
    """
    return len(thing)


def team(executor_type: str) -> CodeAgent:
    """A manager whose two-step answer depends on its task, a tool and a managed agent."""

    def manage(messages: object) -> str:
        task = _number(messages)
        if any(m.role == "assistant" for m in messages):  # type: ignore[attr-defined]
            return fenced("final_answer(total + helper(f'double {number}'))")
        return fenced(f"number = {task}\ntotal = weigh('x' * number)\nprint(total)")

    helper = CodeAgent(
        [],
        ScriptedModel(lambda messages: fenced(f"final_answer({_number(messages)} * 2)")),
        name="helper",
        description="Doubles.",
        executor_type=executor_type,
        verbosity_level=0,
    )
    return CodeAgent(
        [weigh],
        ScriptedModel(manage),
        managed_agents=[helper],
        executor_type=executor_type,
        verbosity_level=0,
    )


def _number(messages: object) -> int:
    task: ChatMessage = messages[1]  # type: ignore[index]
    found = re.findall(r"\d+", task.content)
    return int(found[-1])


def test_runs_in_many_threads_have_states_of_their_own(executor_type: str) -> None:
    with team(executor_type) as agent, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: agent.run(f"task {n}"), range(24)))
    assert answers == [3 * n for n in range(24)]


@pytest.mark.slow
def test_fifty_runs_from_sixteen_threads_leave_no_process_behind() -> None:
    try:
        create_executor("jail").close()
    except ExecutorUnavailable as error:
        pytest.skip(f"jail cannot run here: {error}")
    before = children_of(os.getpid())  # the warm zygote may be among them
    with team("jail") as agent, ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: agent.run(f"task {n}"), range(50)))
    assert answers == [3 * n for n in range(50)]
    assert {pid for pid in children_of(os.getpid()) if is_alive(pid)} <= before


def test_sessions_are_closed_when_a_run_begins_after_and_at_the_end() -> None:
    made: list[PythonExecutor] = []
    closed: list[PythonExecutor] = []

    def make() -> PythonExecutor:
        executor = create_executor("local")
        end = executor.close
        executor.close = lambda: (closed.append(executor), end())[1]  # type: ignore[method-assign]
        made.append(executor)
        return executor

    agent = CodeAgent(
        [], ScriptedModel(lambda messages: fenced("final_answer(1)")), executor=make, verbosity_level=0
    )
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: agent.run(f"{n}"), range(12)))
    agent.close()
    assert len(made) <= 12
    assert {id(executor) for executor in closed} == {id(executor) for executor in made}


def test_a_last_session_is_used_again_without_its_variables() -> None:
    made: list[PythonExecutor] = []

    def make() -> PythonExecutor:
        made.append(create_executor("local"))
        return made[-1]

    model = code_model("x = 1\nfinal_answer(x)", "x", "final_answer('gone')")
    with CodeAgent([], model, executor=make, verbosity_level=0) as agent:
        assert agent.run("a") == 1
        assert agent.run("b") == "gone"
    assert len(made) == 1


def test_a_run_after_close_opens_a_new_session() -> None:
    agent = CodeAgent(
        [], code_model("final_answer(1)", "final_answer(2)"), executor_type="local", verbosity_level=0
    )
    agent.run("x")
    agent.close()
    assert agent.run("x") == 2
    agent.close()


def test_two_threads_may_not_go_on_with_one_run() -> None:
    agent: CodeAgent

    def second() -> str:
        """Tries to go on with the run that goes on."""
        try:
            agent.run("again", reset=False)
        except ConfigurationError as error:
            return str(error)
        return "went on"

    model = code_model("final_answer(1)", "final_answer(second())")
    agent = CodeAgent([second], model, executor_type="local", verbosity_level=0)
    with agent:
        agent.run("x")
        assert "another thread is continuing the last run" in str(agent.run("y", reset=False))


def test_a_given_executor_serves_one_run_after_the_other() -> None:
    with create_executor("local") as executor:
        agent = CodeAgent(
            [], ScriptedModel(lambda messages: fenced("count = count + 1\nfinal_answer(count)")), executor=executor,
            verbosity_level=0,
        )  # fmt: skip
        executor.send_variables({"count": 0})
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda n: agent.run(f"{n}"), range(8)))
    assert sorted(answers) == list(range(1, 9))  # type: ignore[type-var]


def test_two_agents_that_were_given_one_executor_take_turns() -> None:
    is_between_steps, may_go_on = threading.Event(), threading.Event()

    def secret() -> str:
        """Gives the first agent's secret."""
        return "secret"

    def first(messages: list[ChatMessage]) -> str:
        if len(messages) < 4:
            return fenced("mine = 1")
        is_between_steps.set()
        may_go_on.wait(300)
        return fenced("final_answer(mine)")

    def second(messages: list[ChatMessage]) -> str:
        return fenced("mine = 2\nfinal_answer(secret())" if len(messages) < 3 else "final_answer('refused')")

    with create_executor("local") as box, ThreadPoolExecutor(2) as pool:
        one = CodeAgent([secret], ScriptedModel(first), executor=box, verbosity_level=0)
        other = CodeAgent([], ScriptedModel(second), executor=box, verbosity_level=0)
        answer = pool.submit(one.run, "x")
        is_between_steps.wait(300)
        events = other.run("y", stream=True)
        following = pool.submit(lambda: [e.value for e in events if isinstance(e, FinalAnswer)])
        with suppress(TimeoutError):  # it is to wait; where it does not, it is done by then
            following.result(timeout=1)
        may_go_on.set()
        assert answer.result() == 1
        assert following.result() == ["refused"]


@pytest.fixture
def jailed() -> Iterator[Callable[..., CodeAgent]]:
    made: list[CodeAgent] = []

    def make(*codes: str, **options: object) -> CodeAgent:
        options.setdefault("verbosity_level", 0)
        made.append(CodeAgent(options.pop("tools", ()), code_model(*codes), executor_type="jail", **options))  # type: ignore[arg-type]
        return made[-1]

    try:
        create_executor("jail").close()
    except ExecutorUnavailable as error:
        pytest.skip(f"jail cannot run here: {error}")
    yield make
    for agent in made:
        agent.close()


def test_a_step_that_times_out_in_the_jail_leaves_the_variables(jailed: Callable[..., CodeAgent]) -> None:
    from pinjra.core.limits import Limits

    agent = jailed(
        "x = 1",
        "x = 2\nwhile True:\n    pass",
        "final_answer(x)",
        executor_kwargs={"limits": Limits(cpu_seconds=1)},
    )
    result = agent.run("x", return_full_result=True)
    assert isinstance(result, RunResult)
    assert result.output == 1
    assert "as they were before this step" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_a_tool_that_is_redefined_in_the_jail_is_told(jailed: Callable[..., CodeAgent]) -> None:
    agent = jailed("def weigh(thing):\n    return 0", "final_answer(weigh('abc'))", tools=[weigh])
    assert agent.run("x") == 3
    assert "weigh" in agent.model.requests[-1].messages[-1].content  # type: ignore[attr-defined]


def test_interrupt_takes_effect_in_the_jail(jailed: Callable[..., CodeAgent]) -> None:
    import threading

    from pinjra.agents import AgentInterrupted

    started = threading.Event()

    def begin() -> None:
        """Says that the code runs."""
        started.set()

    agent = jailed("begin()\nwhile True:\n    pass", "final_answer('went on')", tools=[begin])
    threading.Thread(target=lambda: started.wait(120) and agent.interrupt(), daemon=True).start()
    with pytest.raises(AgentInterrupted):
        agent.run("x")
    assert agent.run("y", reset=False) == "went on"


def test_a_run_makes_its_calls_on_one_thread_that_ends_with_it(
    code_agent: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[threading.Thread] = []
    start = threading.Thread.start

    def noted(thread: threading.Thread) -> None:
        begun.append(thread)
        start(thread)

    def add(a: int) -> int:
        """Add one.

        Args:
            a: A number.
        """
        return a + 1

    agent = code_agent("add(1)", "for number in range(20): add(number)\nfinal_answer(add(1))", tools=[add])
    monkeypatch.setattr(threading.Thread, "start", noted)
    assert agent.run("Add.") == 2
    calls = [thread for thread in begun if thread.name == "pinjra-call"]
    assert len(calls) == 1  # for two completions and 22 calls of a tool
    calls[0].join(300)
    assert not calls[0].is_alive()
