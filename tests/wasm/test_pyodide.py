"""Pyodide under Deno: the contract, what JavaScript cannot reach, limits, and what is said when Deno is not there."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinjra.core.errors import MissingDependency
from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.conformance import runs, tools, values  # noqa: F401  (they fill CHECKS)
from pinjra.executors.conformance.suite import CHECKS, Check, run_check
from pinjra.executors.wasm.deno import deno_command, deno_parts, find_deno, find_pyodide
from pinjra.executors.wasm.executor import WasmExecutor

LACKING = {"rollback", "fork"}


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def needs_deno_and_pyodide() -> None:
    try:
        find_deno(), find_pyodide()
    except MissingDependency as error:
        pytest.skip(str(error))


def make(imports: list[str] | None = None, **options: Any) -> WasmExecutor:
    return WasmExecutor(imports or (), runtime="pyodide", **options)


@pytest.fixture(scope="module")
def plain() -> Iterator[WasmExecutor]:
    with make(guard=False, limits=Limits(wall_seconds=60, memory_bytes=256 << 20)) as executor:
        yield executor


def javascript(executor: WasmExecutor, expression: str) -> str:
    """Return what came of an expression in the guest's own thread, through Pyodide's bridge."""
    code = (
        "from pyodide.code import run_js\n"
        f"try:\n    r = 'got ' + str(run_js({expression!r}))\nexcept Exception as e:\n    r = f'refused: {{e}}'\nr"
    )
    done = executor.run(code)
    assert done.error is None, done.error
    return str(done.value)


@pytest.mark.parametrize("wanted", CHECKS, ids=lambda check: check.name.replace(" ", "_"))
def test_pyodide_keeps_the_contract(wanted: Check):
    result = run_check(make, wanted)
    if set(wanted.needs) & LACKING or result.status == "skipped":
        assert result.status == "skipped"
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason


def test_nothing_of_the_machine_can_be_reached_with_a_sessions_permissions(tmp_path):
    """Without the jail's walls around it: this is Deno's own, as it stands on every system."""
    script = Path(__file__).with_name("attacks.mjs")
    command = list(deno_command(deno_parts(), Limits()))
    command[[part.endswith("main.mjs") for part in command].index(True)] = str(script)
    blocked = tmp_path / "file"
    blocked.touch()
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=120,
        cwd=tmp_path,
        env={"DENO_DIR": str(blocked / "deno"), "DENO_NO_UPDATE_CHECK": "1", "PATH": "/secret"},
    )
    results = json.loads(done.stdout.splitlines()[-1])
    assert {name: said for name, said in results.items() if not said.startswith("refused: ")} == {}
    assert len(results) > 40
    assert not Path("/tmp/pinjra-escaped").exists()


@pytest.mark.parametrize(
    "expression",
    [
        "Deno.readTextFileSync('/etc/passwd')",
        "Deno.writeTextFileSync('/tmp/pinjra-escaped', 'x')",
        "Deno.env.get('PATH')",
        "JSON.stringify(process.env)",
        "new Deno.Command('/bin/true').outputSync()",
        "Deno.listen({port: 0})",
        "process.getBuiltinModule('fs').readFileSync('/etc/passwd', 'utf8')",
        "process.getBuiltinModule('child_process').spawnSync('/bin/true').status.toString()",
        "Deno.dlopen('/lib/x86_64-linux-gnu/libc.so.6', {})",
        "Deno.permissions.requestSync({name: 'read'}).state === 'granted' ? 1 : notGranted",
    ],
)
def test_guest_code_that_reaches_javascript_is_refused(plain, expression):
    assert javascript(plain, expression).startswith("refused: ")


def test_the_modules_that_lead_to_javascript_are_not_authorised_under_the_guard():
    with make() as executor:
        for name in ("js", "pyodide_js", "pyodide", "_pyodide", "_pinjra"):
            error = executor.run(f"import {name}").error
            assert error is not None
            assert "not authorised" in error.message


def test_the_environment_and_the_folders_are_the_sandboxs_own(plain):
    code = "import os\n[sorted(os.environ), os.getcwd(), os.path.exists('/etc/passwd')]"
    assert plain.run(code).value == [["HOME", "PWD", "TMPDIR"], "/scratch", False]


def test_sessions_do_not_draw_the_same_random_numbers():
    drawn = []
    for _ in range(2):
        with make() as executor:
            drawn.append(executor.run("import random\nrandom.random()").value)
    assert drawn[0] != drawn[1]


def test_memory_of_python_and_memory_of_javascript_are_limited(plain):
    done = plain.run("kept = 1\nblocks = []\nwhile True:\n    blocks.append(bytearray(1 << 20))")
    assert done.error is not None
    assert (done.error.cause, done.error.state_lost) == (Cause.MEMORY, False)
    assert plain.run("blocks = None\nkept").value == 1
    code = "from pyodide.code import run_js\nrun_js('const a = []; for (;;) a.push(new Uint8Array(1 << 24).fill(1))')"
    done = plain.run(code)
    assert done.error is not None
    assert "allocation failed" in done.error.message or done.error.cause is Cause.MEMORY
    assert plain.run("1 + 1").value == 2


def test_a_step_that_looks_keeps_its_variables(patient):
    with make() as executor:
        executor.run("kept = 5")
        done = executor.run("while True:\n    pass", wall_seconds=1)
        assert done.error is not None
        assert (done.error.cause, done.error.state_lost) == (Cause.WALL, False)
        assert executor.run("kept").value == 5


def test_a_step_that_does_not_look_is_killed():
    with make(guard=False) as executor:
        done = executor.run("while True:\n    pass", wall_seconds=1)
        assert done.error is not None
        assert (done.error.cause, done.error.state_lost) == (Cause.WALL, True)
        assert executor.run("2").value == 2


def test_ends_of_the_interpreter_are_told_by_name(plain):
    for code in ("import os\nos._exit(3)", "import os\nos.abort()", "import json\njson.loads('[' * 10**6)"):
        done = plain.run(code)
        assert done.error is not None
        assert (done.error.cause, done.error.state_lost) == (Cause.EXIT, True), code


def test_the_guarantees_name_the_walls_and_what_is_not_there():
    with make() as executor:
        found = executor.guarantees
        assert (found.boundary, found.rollback, found.fork) == ("wasm", "", "")
        assert found.isolation[-2:] == ("Deno without permissions", "V8")
        assert [text.partition(":")[0] for text in found.missing][:4] == [
            "rollback",
            "fork",
            "modules",
            "files",
        ]


@pytest.mark.skipif(os.name != "posix", reason="a file that can be run is made with POSIX modes")
def test_where_only_node_is_there_it_is_refused_by_name(tmp_path, monkeypatch):
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setattr("pinjra.executors.wasm.deno.find_spec", lambda name: None)
    with pytest.raises(
        MissingDependency, match=r"Node\.js is no boundary .* pip install 'pinjra\[pyodide\]'"
    ):
        find_deno()


def test_where_pyodide_is_not_there_the_command_that_installs_it_is_said(tmp_path):
    with pytest.raises(MissingDependency, match=r"npm install --ignore-scripts --prefix .* pyodide@314"):
        find_pyodide(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells whether the process is there")
def test_a_busy_instance_ends_with_a_host_that_was_killed():
    code = (
        "from pinjra.executors.wasm.executor import WasmExecutor\n"
        "x = WasmExecutor(runtime='pyodide', guard=False)\n"
        "print(x._connection.messages.transport._instance._process.pid, flush=True)\nx.run('while True:\\n    pass')"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    watch = os.pidfd_open(int(host.stdout.readline()))
    host.send_signal(signal.SIGKILL)
    host.wait(120)
    host.stdout.close()
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    ended = poll.poll()
    os.close(watch)
    assert ended
