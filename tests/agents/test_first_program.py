"""The first program of the documentation runs as written: a code agent reads a page and answers from it."""

from __future__ import annotations

import pytest
from remote_standins.page import check_first_program

from pinjra.agents import CodeAgent
from pinjra.core.errors import ExecutorUnavailable
from pinjra.tools.library.visit_webpage import VisitWebpageTool

from .conftest import code_model


@pytest.mark.parametrize("executor_type", ["local", "jail"])
def test_a_page_is_read_on_the_host_and_searched_in_the_guest(page: str, executor_type: str) -> None:
    try:
        check_first_program(page, executor_type)
    except ExecutorUnavailable as error:
        pytest.skip(f"{executor_type} cannot run here: {error}")


def test_a_page_on_loopback_is_refused_unless_allowed_and_the_model_sees_why(page: str) -> None:
    model = code_model(f"visit_webpage({page!r})", "final_answer('refused')")
    with CodeAgent([VisitWebpageTool()], model, executor_type="local", verbosity_level=0) as agent:
        assert agent.run("x") == "refused"
    assert "Fido" not in model.requests[1].messages[-1].content
    assert "127.0.0.1" in model.requests[1].messages[-1].content
