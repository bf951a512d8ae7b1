"""Programs in the real jail: what may be started, what came of it, what is left of it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

import pytest

from pinjra import Cause, ConfigurationError, Limits, sandbox
from pinjra.executors.jail import JailExecutor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed here")


@pytest.fixture(scope="module")
def shell() -> Iterator[JailExecutor]:
    with sandbox("jail", programs=["bash"], guard=False) as box:
        assert isinstance(box, JailExecutor)
        yield box


def test_a_program_has_input_output_and_a_status(shell: JailExecutor) -> None:
    done = shell.exec(["bash", "-c", "cat; echo warned >&2; exit 3"], stdin="in ü\n")
    assert (done.status, done.stdout, done.stderr, done.error) == (3, "in ü\n", "warned\n", None)


def test_a_program_of_any_language_has_its_arguments(shell: JailExecutor) -> None:
    argv = ["name", "a b", "--c"]
    assert shell.run("import sys\nsys.argv", argv=argv).value == argv
    assert shell.run("sys.argv").value == argv
    named = "from pathlib import Path\nPath(__file__).name, Path(__file__).parent == Path.cwd()"
    assert shell.run(named, argv=["main.py"]).value == ("main.py", True)
    assert shell.run("", argv=["rm", "kept"]).error is None
    assert shell.run('printf "%s|" "$@"', language="bash", argv=argv).stdout == "a b|--c|"


@needs("g++")
def test_a_compiled_program_has_its_arguments() -> None:
    code = "#include <cstdio>\nint main(int n, char **words) { puts(words[n - 1]); }"
    with sandbox("jail", programs=["g++"]) as box:
        assert box.run(code, language="cpp", argv=["name", "a b"]).stdout == "a b\n"


@needs("node")
def test_a_program_of_node_has_its_arguments() -> None:
    with sandbox("jail", programs=["node"]) as box:
        done = box.run("console.log(process.argv[2])", language="javascript", argv=["name", "a b"])
        assert done.stdout == "a b\n"


def test_a_program_that_dies_of_a_signal_has_its_number_below_zero(shell: JailExecutor) -> None:
    assert shell.exec(["bash", "-c", "kill -SEGV $$"]).status == -11


def test_without_input_it_ends_at_once(shell: JailExecutor) -> None:
    assert shell.exec(["cat"]).stdout == ""


def test_a_megabyte_goes_in_and_is_counted(shell: JailExecutor) -> None:
    assert shell.exec(["wc", "-c"], stdin=b"\0\xff" * (1 << 19)).stdout.strip() == str(1 << 20)


def test_files_and_variables_of_python_and_programs_are_of_one_session(shell: JailExecutor) -> None:
    shell.put_file("a.csv", b"1\n2\n")
    assert shell.exec(["bash", "-c", "wc -l < a.csv > n"]).status == 0
    assert shell.run("kept = open('n').read().strip()\nkept").value == "2"
    shell.exec(["true"])
    assert shell.run("kept").value == "2"


def test_what_is_not_named_is_not_there(shell: JailExecutor) -> None:
    done = shell.exec(["git", "--version"])
    assert done.status is None
    assert done.error is not None
    assert done.error.type == "FileNotFoundError"
    assert "programs=" in (done.error.hint or "")


BEAT = "setsid bash -c 'while :; do date +%N > beat; sleep 0.01; done' & until [ -s beat ]; do sleep 0.01; done; "


def beats(box: JailExecutor) -> bool:
    """Return whether the process that writes the file is alive."""
    first = box.get_file("beat")
    box.exec(["sleep", "0.1"])
    return box.get_file("beat") != first


def test_a_program_that_takes_too_long_is_ended_with_all_that_it_started(shell: JailExecutor) -> None:
    shell.run("kept = 1")
    done = shell.exec(["bash", "-c", f"{BEAT} sleep 1000"], timeout=2)
    assert done.status is None
    assert done.error is not None
    assert done.error.cause is Cause.WALL
    assert shell.run("kept").value == 1
    assert not beats(shell)


def test_what_a_program_leaves_running_ends_with_the_run(shell: JailExecutor) -> None:
    assert shell.exec(["bash", "-c", f"{BEAT} true"]).status == 0
    shell.exec(["true"])
    assert not beats(shell)


def test_guest_code_starts_programs_with_pipes(shell: JailExecutor) -> None:
    code = """
import subprocess
first = subprocess.Popen(["seq", "5"], stdout=subprocess.PIPE)
second = subprocess.Popen(["tac"], stdin=first.stdout, stdout=subprocess.PIPE, text=True)
first.stdout.close()
second.communicate()[0].split()
"""
    assert shell.run(code).value == ["5", "4", "3", "2", "1"]


def test_this_python_is_one_of_the_programs(shell: JailExecutor) -> None:
    code = "import subprocess, sys\nsubprocess.check_output([sys.executable, '-c', 'import sys; print(sys.prefix)'], text=True)"
    assert shell.run(code).value == f"{sys.prefix}\n"


def test_bash_is_a_language(shell: JailExecutor) -> None:
    done = shell.run("for i in 1 2; do echo $i; done; false", language="bash")
    assert (done.stdout, done.status) == ("1\n2\n", 1)
    assert done.error is not None
    assert str(done.error) == "ProgramFailed: the program ended with exit status 1"
    assert not any(name.startswith(".run-") for name in shell.list_files())


def test_an_unknown_language_is_refused_with_the_known_ones(shell: JailExecutor) -> None:
    with pytest.raises(ConfigurationError, match="python, bash, javascript, cpp, not 'cobol'"):
        shell.run("x", language="cobol")


@needs("node")
def test_javascript_is_a_language_with_both_kinds_of_modules() -> None:
    with sandbox("jail", programs=["node"]) as box:
        assert box.run("console.log([1, 2].map(x => 2 * x).join())", language="javascript").stdout == "2,4\n"
        code = (
            "import fs from 'fs';\nfs.writeFileSync('out', 'x'); console.log(fs.readFileSync('out', 'utf8'))"
        )
        assert box.run(code, language="javascript").stdout == "x\n"
        failed = box.run("throw new Error('no')", language="javascript")
        assert (failed.status, "Error: no" in failed.stderr) == (1, True)


@needs("g++")
def test_cpp_is_compiled_and_run() -> None:
    with sandbox("jail", programs=["g++"]) as box:
        done = box.run("#include <iostream>\nint main() { std::cout << 6 * 7; return 3; }", language="cpp")
        assert (done.stdout, done.status) == ("42", 3)
        wrong = box.run("int main() { return x; }", language="cpp")
        assert (wrong.status, "not declared" in wrong.stderr) == (1, True)


@needs("git")
def test_git_keeps_a_repository_in_the_scratch_folder() -> None:
    with sandbox("jail", programs=["git", "bash"]) as box:
        steps = (
            "git init -q r && cd r && echo a > a && git add a && git commit -qm first && git log --format=%s"
        )
        env = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
        words = [f"{name}={value}" for name, value in env.items()]
        words += [word.replace("AUTHOR", "COMMITTER") for word in words]
        done = box.exec(["env", *words, "bash", "-c", steps])
        assert (done.stdout, done.status) == ("first\n", 0), done.stderr


def test_processes_count_against_the_limit_of_processes() -> None:
    with sandbox("jail", programs=["bash"], limits=Limits(processes=8, wall_seconds=20)) as box:
        done = box.exec(["bash", "-c", "for i in $(seq 40); do sleep 5 & done; wait"], timeout=10)
        assert "Resource temporarily unavailable" in done.stderr
        assert box.exec(["true"]).status == 0


def test_memory_of_programs_counts_as_the_guest_s() -> None:
    with sandbox("jail", programs=["bash"], limits=Limits(memory_bytes=64 << 20)) as box:
        done = box.exec(["bash", "-c", "x=$(head -c 200000000 /dev/zero | tr '\\0' a); echo ${#x}"])
        assert done.stdout != "200000000\n"
        assert box.exec(["true"]).status == 0


def test_programs_want_the_parameter() -> None:
    with sandbox("jail") as box:
        with pytest.raises(ConfigurationError, match=r'programs=\["bash", …\]'):
            box.exec(["true"])
        with pytest.raises(ConfigurationError, match="programs="):
            box.run("echo", language="bash")  # type: ignore[call-arg]


def test_a_program_that_is_not_installed_is_said_before_anything_starts() -> None:
    with pytest.raises(ConfigurationError, match="there is no program 'no-such-program'"):
        sandbox("jail", programs=["no-such-program"])


POOLS = {
    "multiprocessing": """
import multiprocessing
with multiprocessing.Pool(3) as pool:
    found = pool.map(abs, [-1, -2])
found
""",
    "executor": """
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2) as pool:
    found = list(pool.map(abs, [-1, -2]))
found
""",
    "spawned": """
import multiprocessing
def work(number):
    return abs(number)
multiprocessing.set_start_method("spawn", force=True)
with multiprocessing.Pool(2) as pool:
    found = pool.map(work, [-1, -2])
queue = multiprocessing.Queue()
process = multiprocessing.Process(target=queue.put, args=(found,))
process.start()
process.join()
queue.get()
""",
    "forked by a server": """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("forkserver")) as pool:
    found = list(pool.map(abs, [-1, -2]))
found
""",
    "shared memory": """
from multiprocessing import Value
from multiprocessing.shared_memory import SharedMemory
held = SharedMemory(create=True, size=100)
held.buf[0] = 7
again = SharedMemory(held.name)
found = [again.buf[0], Value("i", 5).value]
again.close(); held.close(); held.unlink()
found
""",
}


def test_locks_of_processes_are_no_files_of_a_run() -> None:
    with sandbox("jail") as box:
        done = box.run(
            "import multiprocessing\nkept = multiprocessing.get_context('spawn').Lock()\nopen('a', 'w').close()"
        )
    assert (done.error, list(done.files)) == (None, ["a"])


@pytest.mark.parametrize("executor", ["jail", "local"])
def test_an_event_loop_of_libuv_runs(executor: str) -> None:
    pytest.importorskip("uvloop")
    with sandbox(executor, authorized_imports=["uvloop"]) as box:
        done = box.run("import uvloop\nasync def one():\n    return 5\nuvloop.run(one())")
    assert (done.error, done.value) == (None, 5)


JOBLIB = """
from joblib import Parallel, delayed
k = 3
def f(x):
    return x * k
[
    Parallel(n_jobs=-1)(delayed(f)(n) for n in range(4)),
    Parallel(n_jobs=2)(delayed(lambda x: x + k)(n) for n in range(4)),
    list(Parallel(n_jobs=2, return_as="generator")(delayed(abs)(-n) for n in range(4))),
]
"""


@pytest.mark.parametrize("is_preloaded", [True, False])
def test_joblib_s_own_pools_work_in_run_after_run_and_take_no_rollback_away(is_preloaded: bool) -> None:
    pytest.importorskip("joblib")
    options = {} if is_preloaded else {"preload": ()}
    with sandbox("jail", authorized_imports=["joblib"], limits=Limits(wall_seconds=60), **options) as box:
        for _time in range(2):
            done = box.run(JOBLIB)
            assert (done.error, done.stderr) == (None, "")
            assert done.value == [[0, 3, 6, 9], [3, 4, 5, 6], [0, 1, 2, 3]]
        assert set(box.list_files()) == set()
        done = box.run("while True: pass", wall_seconds=0.5)
        assert done.error is not None and done.error.rolled_back
        assert box.run("k").value == 3


@pytest.mark.parametrize("kind", POOLS)
def test_process_pools_work_without_any_program(kind: str) -> None:
    with sandbox("jail", guard=False) as box:
        done = box.run(POOLS[kind])
        assert done.error is None, done.error
        assert done.value == ([7, 5] if kind == "shared memory" else [1, 2])


@pytest.mark.parametrize("is_preloaded", [True, False])
def test_where_there_are_no_locks_joblib_goes_on_in_one_process(is_preloaded: bool) -> None:
    pytest.importorskip("joblib")
    options = {"authorized_imports": ["joblib"]} if is_preloaded else {"guard": False}
    with sandbox("local", **options) as box:
        done = box.run(
            "from joblib import Parallel, delayed\nParallel(n_jobs=-1)(delayed(abs)(-i) for i in range(5))"
        )
        assert (done.value, done.error) == ([0, 1, 2, 3, 4], None)


@pytest.mark.parametrize("is_preloaded", [True, False])
@pytest.mark.parametrize("kind", ["jail", "local"])
def test_threads_of_libraries_are_found_and_limited_without_proc(kind: str, is_preloaded: bool) -> None:
    pytest.importorskip("threadpoolctl")
    options = {"authorized_imports": ["numpy", "threadpoolctl"]} if is_preloaded else {"guard": False}
    with sandbox(kind, **options) as box:
        done = box.run(
            "import numpy, threadpoolctl\n"
            "with threadpoolctl.threadpool_limits(1):\n"
            "    found = threadpoolctl.threadpool_info()\n"
            "[(each['internal_api'], each['num_threads']) for each in found]"
        )
        assert (done.value, done.error) == ([("openblas", 1)], None)


@needs("g++")
@pytest.mark.parametrize("kind", ["jail", "local"])
def test_what_is_compiled_runs_also_where_no_mode_can_be_changed(kind: str) -> None:
    code = "#include <iostream>\nint main() { int a; std::cin >> a; std::cout << a * 2; }"
    with sandbox(
        kind, programs=["g++"], guard=False, limits=Limits(memory_bytes=2 << 30, wall_seconds=60)
    ) as box:
        done = box.run(code, language="cpp", stdin="21")
        assert (done.stdout, done.error) == ("42", None)
        assert box.list_files() == {}
