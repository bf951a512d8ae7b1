"""Sessions that are forked off a jailed one: the same state, lives of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from pinjra.core.errors import ExecutorUnavailable, SessionLost
from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.jail import JailExecutor

LIMITS = Limits(wall_seconds=20)


@pytest.fixture(
    params=[(), ("pid namespace", "mount namespace")], ids=["namespaces", "no pid or mount namespace"]
)
def without(request: pytest.FixtureRequest) -> tuple[str, ...]:
    return request.param


@pytest.fixture
def box(without: tuple[str, ...]) -> Iterator[JailExecutor]:
    with JailExecutor(
        ["os", "time", "threading"], guard=False, limits=LIMITS, without=without, spares=0
    ) as box:
        assert box.guarantees.fork
        yield box


def test_a_tree_of_twenty_forks_keeps_twenty_one_histories(without: tuple[str, ...]) -> None:
    with JailExecutor(guard=False, limits=LIMITS, without=without, spares=0) as root:
        if "cgroup pids" not in root.guarantees.isolation:
            pytest.skip("without a group RLIMIT_NPROC counts all branches together")
        root.run("path = []")
        boxes = [root]
        for number in range(1, 21):
            branch = boxes[number // 2].fork()
            branch.run(f"path.append({number})")
            boxes.append(branch)
        expected: list[list[int]] = [[]]
        for number in range(1, 21):
            expected.append([*expected[number // 2], number])
        try:
            assert [box.run("path").value for box in boxes] == expected
        finally:
            for box in boxes:
                box.close()


def test_a_branch_has_the_files_and_changes_only_its_own(box: JailExecutor) -> None:
    box.put_file("folder/a.txt", b"old")
    box.run("import os\nos.symlink('/etc/passwd', 'link')\nos.mkfifo('pipe')")
    with box.fork() as branch:
        assert branch.list_files() == {"folder/a.txt": 3}
        assert branch.run("open('folder/a.txt', 'w').write('new!')\nopen('b.txt', 'w').close()").error is None
        assert branch.run("os.readlink('link')").value == "/etc/passwd"
        assert branch.list_files() == {"folder/a.txt": 4, "b.txt": 0}
        assert box.list_files() == {"folder/a.txt": 3}
        assert box.get_file("folder/a.txt") == b"old"
        with branch.fork() as second:
            assert second.get_file("folder/a.txt") == b"new!"
    assert not any(name.startswith(".branch") for name in box.run("os.listdir('.')").value)


def test_a_branch_works_in_the_same_folder_of_its_own_files(box: JailExecutor) -> None:
    box.run("import os\nos.mkdir('below')\nos.chdir('below')")
    with box.fork() as branch:
        assert branch.run("open('a.txt', 'w').write('1')").value == 1
        assert (branch.list_files(), box.list_files()) == ({"below/a.txt": 1}, {})
        assert branch.run("os.chdir('/')").error is None
        with branch.fork() as other:
            assert other.run("os.getcwd()").value == "/"


def test_a_branch_lives_on_when_its_parent_is_closed_first(without: tuple[str, ...]) -> None:
    box = JailExecutor(guard=False, limits=LIMITS, without=without, spares=0)
    box.send_tools({"double": lambda x: 2 * x})
    box.run("x = 21")
    branch = box.fork()
    box.close()
    with branch:
        assert branch.run("double(x)").value == 42
        branch.put_file("a", b"1")
        with branch.fork() as last:
            assert last.run("double(x), open('a').read()").value == (42, "1")


def test_the_parent_lives_on_when_its_branch_is_closed(box: JailExecutor) -> None:
    box.run("x = 1")
    branch = box.fork()
    branch.run("import os, time\nif os.fork() == 0:\n    time.sleep(600)")
    branch.close()
    branch.close()
    assert box.run("x += 1\nx").value == 2


def test_a_killed_run_of_a_branch_is_rolled_back_and_touches_nobody_else(box: JailExecutor) -> None:
    box.run("x = 1")
    with box.fork() as branch:
        branch.run("x = 2")
        for code, wall_seconds, cause in (
            ("while True: x = 3", 0.2, Cause.WALL),
            ("x = 3\nimport os\nos._exit(3)", 60, Cause.EXIT),
        ):
            error = branch.run(code, wall_seconds=wall_seconds).error
            assert error is not None
            assert (error.cause, error.rolled_back) == (cause, True)
            both = branch.run("x"), box.run("x")
            assert [done.value for done in both] == [2, 1], [
                done.error and done.error.message for done in both
            ]
        assert box.run("x = 5\nimport os\nos.kill(os.getpid(), 9)").error.rolled_back
        assert (branch.run("x").value, box.run("x").value) == (2, 1)


def test_a_fork_after_a_rollback_has_the_restored_state(box: JailExecutor) -> None:
    box.run("x = 1")
    assert box.run("x = 2\nimport os\nos._exit(1)").error.rolled_back
    with box.fork() as branch:
        assert branch.run("x").value == 1


def test_tools_and_variables_that_no_run_has_seen_are_in_the_branch(box: JailExecutor) -> None:
    with box.fork() as fresh:
        assert fresh.run("'x' in globals()").value is False
    box.run("y = 1")
    box.send_tools({"one": lambda: 1})
    box.send_variables({"x": 5})
    with box.fork() as branch:
        assert branch.run("x + y + one()").value == 7


def test_a_tool_that_was_granted_after_a_run_is_there_after_a_rollback(box: JailExecutor) -> None:
    box.run("y = 1")
    box.send_tools({"one": lambda: 1})
    assert box.run("import os\nos._exit(1)").error.rolled_back
    assert box.run("one() + y").value == 2


def test_a_session_without_rollback_can_be_forked(without: tuple[str, ...]) -> None:
    with JailExecutor(guard=False, limits=LIMITS, rollback=False, without=without, spares=0) as box:
        box.run("x = 1")
        with box.fork() as branch:
            assert branch.run("x += 1\nx").value == 2
            assert box.run("x").value == 1


def test_a_session_with_threads_is_not_forked(box: JailExecutor) -> None:
    box.run(
        "import threading, time\nt = threading.Thread(target=time.sleep, args=(600,), daemon=True)\nt.start()"
    )
    with pytest.raises(ExecutorUnavailable, match="threads are alive"):
        box.fork()
    assert box.run("t.is_alive()").value is True


def test_branches_run_and_are_interrupted_at_the_same_time(box: JailExecutor) -> None:
    box.run("import time")
    with box.fork() as branch:
        at_work = threading.Event()
        branch.send_tools({"at_work": at_work.set})
        seen = []
        thread = threading.Thread(target=lambda: seen.append(branch.run("at_work()\ntime.sleep(600)")))
        thread.start()
        at_work.wait(120)
        assert box.run("sum(range(10))").value == 45
        branch.interrupt()
        thread.join(300)
        assert seen[0].error.cause is Cause.INTERRUPT
        assert box.run("1").value == 1


def test_a_process_of_a_running_branch_outlives_the_runs_of_the_others(box: JailExecutor) -> None:
    box.run("import os, time")
    with box.fork() as branch:
        made = threading.Event()
        seen: list[object] = []
        branch.send_tools({"made": lambda: (made.set(), done.wait(120))[1]})
        done = threading.Event()
        code = (
            "r, w = os.pipe()\npid = os.fork()\nif pid == 0:\n    os.read(r, 1)\n    os._exit(7)\n"
            "made()\nos.write(w, b'x')\nos.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
        )
        thread = threading.Thread(target=lambda: seen.append(branch.run(code).value))
        thread.start()
        made.wait(120)
        box.run("1")
        assert box.run("os._exit(1)").error.rolled_back
        done.set()
        thread.join(300)
        assert seen == [7]


def test_reset_of_one_leaves_the_other(box: JailExecutor) -> None:
    box.run("x = 1")
    box.put_file("a", b"1")
    with box.fork() as branch:
        box.reset()
        assert box.run("'x' in globals()").value is False
        assert branch.run("x").value == 1
        assert branch.list_files() == {"a": 1}
        branch.reset()
        assert branch.list_files() == {}
        assert branch.run("'x' in globals()").value is False


def test_files_too_large_for_a_second_copy_are_said(box: JailExecutor) -> None:
    quota = LIMITS.disk_bytes or 0
    box.run(f"with open('big', 'wb') as f:\n    for _ in range(3):\n        f.write(bytes({quota // 4}))")
    if "scratch tmpfs" not in box.guarantees.isolation:
        pytest.skip("only a tmpfs is full")
    with pytest.raises(ExecutorUnavailable, match="cannot be forked"):
        box.fork()
    assert box.run("1").value == 1
    assert list(box.list_files()) == ["big"]


def test_the_box_ends_for_all_when_its_supervisor_is_killed(box: JailExecutor) -> None:
    box.run("x = 1")
    branch = box.fork()
    branch._connection.messages.transport.box.kill()
    for each in (box, branch):
        with pytest.raises(SessionLost):
            each.run("x")
    branch.reset()
    assert branch.run("1 + 1").value == 2
    branch.close()
