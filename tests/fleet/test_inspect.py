"""Inspect's own evaluation and its own self-check of sandboxes, in our boxes."""
# ruff: noqa: E402  (what is imported is there or the file is skipped)

from __future__ import annotations

import inspect
import json
import math

import pytest

pytest.importorskip("inspect_ai")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput, ModelUsage, get_model
from inspect_ai.solver import solver
from inspect_ai.util import SandboxEnvironmentSpec, sandbox
from inspect_ai.util._sandbox import self_check

from pinjra.core.errors import ConfigurationError, PinjraError
from pinjra.fleet.inspect_ai import PinjraSandbox, PinjraSandboxEnvironment, verdict

DOUBLE = "Here it is:\n```python\nprint(int(input()) * 2)\n```\n"


def says(*answers):
    outputs = [ModelOutput.from_content("mockllm", answer) for answer in answers]
    for output in outputs:
        output.usage = ModelUsage()  # else it wants to fetch a tokenizer
    return get_model("mockllm/model", custom_outputs=outputs)


def run(task, model, folder):
    return eval(task, model=model, display="none", log_dir=str(folder), max_samples=1, score_display=False)[0]


@solver
def looks_around():
    async def solve(state, generate):
        await sandbox().write_file("data/in.txt", "3\n1\n2\n")
        done = await sandbox().exec(["sh", "-c", "sort data/in.txt | tail -1; exit 7"], env={"A": "b=c"})
        state.metadata["seen"] = [done.returncode, done.stdout, await sandbox().read_file("data/in.txt")]
        return await generate(state)

    return solve


def test_an_evaluation_with_our_sandbox_and_our_scorer(fleet, tmp_path):
    samples = [
        Sample(input="double", target="6", metadata={"stdin": "3"}),
        Sample(input="double", target="7", metadata={"stdin": "3"}),
        Sample(input="f", metadata={"cases": [{"call": "f", "args": [2], "equals": [2, 2]}]}),
        Sample(input="g", metadata={"test_list": ["assert g(1) == 2"]}),
    ]
    answers = (
        DOUBLE,
        DOUBLE,
        "```\ndef f(x):\n    return (x, x)\n```",
        "```python\ndef g(x): return x\n```",
    )
    task = Task(dataset=samples, solver=looks_around(), scorer=verdict(boxes=1), sandbox="pinjra")
    log = run(task, says(*answers), tmp_path)
    assert log.status == "success", log.error
    assert [sample.scores["verdict"].value for sample in log.samples] == ["C", "I", "C", "I"]
    assert log.results.scores[0].metrics["accuracy"].value == 0.5
    assert log.samples[0].metadata["seen"] == [7, "3\n", "3\n1\n2\n"]
    assert log.samples[1].scores["verdict"].metadata["status"] == "wrong"


def test_a_verdict_that_the_machine_prevented_counts_in_no_metric(fleet, tmp_path):
    task = Task(dataset=[Sample(input="x", target="6")], scorer=verdict(preload=("no_such_module",), boxes=1))
    log = run(task, says(DOUBLE), tmp_path)
    score = log.samples[0].scores["verdict"]
    assert math.isnan(score.value)
    assert "no_such_module" in score.explanation


def test_a_configuration_comes_from_a_file_and_from_a_log(tmp_path):
    path = tmp_path / "box.json"
    path.write_text(json.dumps({"programs": ["git"], "env": {"A": "1"}}))
    from pinjra.fleet.inspect_ai import _config

    assert _config(str(path)) == PinjraSandbox(programs=("git",), env={"A": "1"})
    spec = SandboxEnvironmentSpec("pinjra", PinjraSandbox(programs=("git",)))
    assert SandboxEnvironmentSpec.model_validate(spec.model_dump()).config == spec.config
    path.write_text('{"program": 1}')
    with pytest.raises(ConfigurationError, match="program"):
        _config(str(path))


# What a box is not: it has no root and no names of users, and no file /etc/passwd.
MISSING = {"test_exec_as_user", "test_exec_permission_error"}
# These write below /tmp, which is a box's folder unless this Python itself is there.
BELOW_TMP = {
    name for name in self_check.__all__ if "absolute" in name or ("is_directory" in name and "write" in name)
}
CHECKS = sorted(name for name in self_check.__all__ if inspect.iscoroutinefunction(getattr(self_check, name)))


@pytest.fixture(scope="module")
def made():
    try:
        box = PinjraSandbox().open()
    except PinjraError as error:
        pytest.skip(f"no jail here: {error}")
    yield box
    box.close()


@pytest.mark.parametrize("name", CHECKS)
def test_the_self_check_of_inspect(made, name, request):
    import anyio

    if name in MISSING:
        request.applymarker(pytest.mark.xfail(reason="a box has neither root nor /etc/passwd", strict=True))

    if name in BELOW_TMP and made.exec(["pwd", "-P"]).stdout.strip() != "/tmp":
        pytest.skip("this Python lies in /tmp, so a box's folder has another name")

    async def check():
        await getattr(self_check, name)(PinjraSandboxEnvironment(made))

    anyio.run(check)


def test_who_gives_up_waiting_for_its_turn_stops_nothing_of_the_others(made):
    import anyio

    box, found = PinjraSandboxEnvironment(made), {}

    async def first():
        found["first"] = await box.exec(["sh", "-c", "until test -e go; do sleep 0.05; done; echo whole"])

    async def main():
        async with anyio.create_task_group() as group:
            group.start_soon(first)
            while not box._turn.borrowed_tokens:
                await anyio.sleep(0.01)
            with anyio.move_on_after(0):
                await box.exec(["true"])
            await anyio.to_thread.run_sync(made.put_file, "go", b"")

    anyio.run(main)
    assert found["first"].stdout == "whole\n"
