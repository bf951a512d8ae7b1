"""Tools called by guest code, in real executors: they stay on the host, and what they refuse the guest is told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mcp
import pytest

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.core.limits import Limits
from pinjra.executors.base import PythonExecutor
from pinjra.executors.registry import create_executor
from pinjra.tools import FinalAnswerTool, PythonTool, Tool, ToolCollection, VisitWebpageTool, tool

SERVER = str(Path(__file__).with_name("mcp_server.py"))


def starts(name: str) -> bool:
    """Return False only where this machine cannot have the executor; a broken one fails the tests."""
    try:
        create_executor(name).close()
    except ExecutorUnavailable:
        return False
    except Exception:
        return True
    return True


EXECUTORS = [
    "local",
    pytest.param("jail", marks=pytest.mark.skipif(not starts("jail"), reason="no jail on this machine")),
]


@pytest.fixture(params=EXECUTORS)
def box(request: pytest.FixtureRequest) -> Iterator[PythonExecutor]:
    with create_executor(request.param, executor_kwargs={"limits": Limits(wall_seconds=20)}) as executor:
        yield executor


class Keyed(Tool):
    name = "keyed"
    description = "Give the length of the key."
    inputs = {"word": {"type": "string", "description": "A word."}}
    output_type = "integer"

    def __init__(self, api_key: str) -> None:
        self.api_key = api_key

    def forward(self, word: str) -> int:
        return len(self.api_key) + len(word)


@tool
async def slow_upper(text: str) -> str:
    """Upper-case.

    Args:
        text: A text.
    """
    await asyncio.sleep(0)
    return text.upper()


def send(box: PythonExecutor, *tools: Tool) -> None:
    box.send_tools({tool.name: tool for tool in tools})


def test_a_page_is_read_by_guest_code_though_the_guest_has_no_network(box: PythonExecutor, site: Any) -> None:
    send(box, VisitWebpageTool(allow_hosts=[f"127.0.0.1:{site.port}"]))
    done = box.run(f"'Fido' in visit_webpage('http://127.0.0.1:{site.port}/lincoln')")
    assert (done.value, done.error) == (True, None)


def test_a_refused_address_is_an_exception_in_the_guest(box: PythonExecutor, site: Any) -> None:
    send(box, VisitWebpageTool())
    done = box.run(
        f"try:\n    visit_webpage('http://127.0.0.1:{site.port}/')\nexcept Exception as error:\n    said = str(error)\nsaid"
    )
    assert "is not on the public internet (127.0.0.1: loopback)" in str(done.value), done
    assert site.seen == []


def test_arguments_that_do_not_fit_are_told_to_the_guest_before_the_tool_is_called(
    box: PythonExecutor,
) -> None:
    send(box, Keyed("sk-secret"))
    assert box.run("keyed('abc')").value == 12
    done = box.run("keyed(5)")
    assert done.error is not None
    assert "keyed(word: str): argument 'word' must be a string, not 5 (int)" in done.error.message
    assert "sk-secret" not in repr(box.run("repr(keyed)"))


def test_async_tools_are_awaited_in_the_guest(box: PythonExecutor) -> None:
    send(box, slow_upper)
    code = "import asyncio\nawait asyncio.gather(*[slow_upper(c) for c in 'abc'])"
    done = box.run(code)
    assert (done.value, done.error) == (["A", "B", "C"], None)


def test_tools_of_an_mcp_server_are_called_by_guest_code(box: PythonExecutor) -> None:
    parameters = mcp.StdioServerParameters(command=sys.executable, args=[SERVER, "stdio"])
    with ToolCollection.from_mcp(parameters, trust_remote_code=True, start_seconds=300) as collection:
        send(box, *collection.tools)
        done = box.run("sum(add(i, i) for i in range(5)), weather('Bonn')['degrees']")
        assert (done.value, done.error) == ((20, 21.5), None)
        failed = box.run("fail()")
        assert failed.error is not None
        assert "the disk is full" in failed.error.message


def test_the_final_answer_tool_ends_the_run(box: PythonExecutor) -> None:
    send(box, FinalAnswerTool())
    done = box.run("final_answer({'answer': 5})\nprint('not reached')")
    assert (done.value, done.is_final_answer, done.stdout) == ({"answer": 5}, True, "")


def test_the_python_tool_keeps_variables_and_tells_output_value_and_error(box: PythonExecutor) -> None:
    python = PythonTool(box)
    assert python("x = 20\nprint('hello')\nx + 1") == "Stdout:\nhello\n\nOutput: 21"
    assert python(code="x") == "Stdout:\n\nOutput: 20"
    failed = python("print('before')\n1 / 0")
    assert failed.startswith("Stdout:\nbefore\n\nError: ")
    assert "ZeroDivisionError: division by zero" in failed
    assert len(PythonTool(box, max_output_length=100)("print('x' * 10_000)")) < 250


def test_the_python_tool_says_what_may_be_imported() -> None:
    with create_executor("local", additional_authorized_imports=["numpy"]) as box:
        assert "it may import: numpy." in PythonTool(box, ["numpy"]).description
    with pytest.raises(ConfigurationError, match="PythonTool wants an executor, not str"):
        PythonTool("jail")  # type: ignore[arg-type]
