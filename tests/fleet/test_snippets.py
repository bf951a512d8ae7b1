"""Snippets end as programs of a shell end, and leave nothing to the next one."""

from __future__ import annotations

import asyncio
import itertools
import random
import sys
from dataclasses import replace

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.fleet import Fleet
from pinjra.fleet.requests import Request
from pinjra.jail.plan import JailUnavailable
from pinjra.jail.walls import landlock

SMALL = Limits(wall_seconds=60.0, memory_bytes=64 << 20, output_bytes=10_000, disk_bytes=1 << 20)


def result(fleet, code, **options):
    return fleet.submit(code, **options).result()


@pytest.mark.parametrize(
    ("code", "returncode", "reason", "error"),
    [
        ("pass", 0, "", ""),
        ("import sys; sys.exit()", 0, "", ""),
        ("exit(0)", 0, "", ""),
        ("import sys; sys.exit(3)", 3, "exit", "SystemExit"),
        ("import sys; sys.exit('sorry')", 1, "exit", "SystemExit"),
        ("import os; os._exit(7)", 7, "exit", ""),
        ("raise ValueError('x')", 1, "exception", "ValueError"),
        ("def f(:", 1, "compile", "SyntaxError"),
        ("x = 1\n  y = 2", 1, "compile", "IndentationError"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", -11, "exit", ""),
        ("raise KeyboardInterrupt", 1, "exception", "KeyboardInterrupt"),
        ("class E(Exception):\n    def __str__(self): raise E\nraise E", 1, "exception", "E"),
        ("import threading, time\nthreading.Thread(target=lambda: time.sleep(0.05)).start()", 0, "", ""),
        ("import atexit; atexit.register(print, 'bye')", 0, "", ""),
        ("import sys; sys.stdout.close()", 0, "", ""),
        ("import os; [os.close(fd) for fd in range(3, 50)] if 0 else os.closerange(3, 50)", 0, "", ""),
    ],
)
def test_a_snippet_ends_as_a_program_does(fleet, code, returncode, reason, error):
    done = result(fleet, code)
    assert (done.returncode, done.reason, done.ok) == (returncode, reason, reason == "")
    if "closerange" not in code:
        assert done.error_type == error


SHOWN = {
    "1/0": 'Traceback (most recent call last):\n  File "main.py", line 1, in <module>\n    1/0\n    ~^~\n'
    "ZeroDivisionError: division by zero\n",
    "x = '\x0c'\nassert x == 2, 'm'": 'Traceback (most recent call last):\n  File "main.py", line 2, in <module>\n'
    "    assert x == 2, 'm'\n           ^^^^^^\nAssertionError: m\n",
    "import warnings\nwarnings.warn('w')": "main.py:2: UserWarning: w\n  warnings.warn('w')\n",
    "import signal\nsignal.raise_signal(signal.SIGINT)": "Traceback (most recent call last):\n"
    '  File "main.py", line 2, in <module>\n    signal.raise_signal(signal.SIGINT)\nKeyboardInterrupt\n',
    "1 is 1": 'main.py:1: SyntaxWarning: "is" with a literal. Did you mean "=="?\n  1 is 1\n',
}


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="words and marks of Python 3.11")
@pytest.mark.parametrize("code", SHOWN)
def test_errors_and_warnings_are_shown_as_python_shows_them(fleet, code):
    assert result(fleet, code).stderr == SHOWN[code]


def test_warnings_can_be_caught_as_in_python(fleet):
    code = "import warnings\nwith warnings.catch_warnings(record=True) as seen:\n    warnings.warn('w')\nprint(len(seen))"
    assert result(fleet, code).stdout == "1\n"


def test_it_is_main_with_its_input_its_folder_and_its_files(fleet):
    code = (
        "import sys, os\nif __name__ == '__main__':\n"
        "    print(sys.stdin.read().upper(), input.__name__, open('a/b.txt').read())\n"
        "    print(sorted(os.listdir()), sys.argv)\n    open('out.bin', 'wb').write(b'123')"
    )
    done = result(
        fleet, code, stdin="abc", files={"a/b.txt": b"in"}, fetch=["out.bin", "nothing", "../../etc/passwd"]
    )
    assert done.stdout == "ABC input in\n['a'] ['main.py']\n"
    assert done.files == {"out.bin": b"123"}


def test_the_end_of_input_is_an_error_and_never_a_wait(fleet):
    assert result(fleet, "input()\ninput()", stdin="one").error_type == "EOFError"


def test_a_traceback_shows_the_snippets_own_lines_only(fleet):
    done = result(fleet, "def f():\n    return 1 / 0\nf()")
    assert done.stderr.startswith(
        'Traceback (most recent call last):\n  File "main.py", line 3, in <module>\n    f()'
    )
    assert done.stderr.endswith("ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True: pass", "processor"),
        ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory"),
        ("while True: print('x' * 1000)", "output"),
        ("import os\nwhile True: os.write(2, b'x' * 1000)", "output"),
        ("def f(): f()\nf()", "exception"),
        ("x = 10 ** 10 ** 9", "processor"),
    ],
)
def test_a_limit_that_is_met_is_named(fleet, code, reason):
    cpu = 0.3 if reason == "processor" else 10.0
    assert result(fleet, code, limits=replace(SMALL, cpu_seconds=cpu)).reason == reason


def test_the_clock_ends_what_only_waits(fleet):
    done = result(
        fleet, "import time\nprint('begun', flush=True)\ntime.sleep(1000)", limits=Limits(wall_seconds=2)
    )
    assert (done.reason, done.stdout) == ("wall", "begun\n")


@pytest.mark.parametrize(
    "leave",
    [
        "import os, time\nif os.fork() == 0:\n    time.sleep(1000)",
        "import os, time\nfor _ in range(5):\n    if os.fork() == 0:\n        os.fork() or time.sleep(1000)\n        os._exit(0)",
        "import os, signal, time\nif os.fork() == 0:\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    while True: pass",
        "import threading, time, os\nthreading.Thread(target=time.sleep, args=(1000,), daemon=True).start()",
        "open('/tmp/left', 'w').write('x')",
        "import json\njson.dumps = lambda *a: 'patched'",
        "import builtins\nbuiltins.len = lambda x: 42",
        "import sys\nsys.setrecursionlimit(50)",
        "import random\nrandom.seed(1)",
    ],
)
def test_nothing_of_a_snippet_is_left_to_the_next(leave):
    look = (
        "import json, os, sys, threading\n"
        "try:\n    os.waitpid(-1, os.WNOHANG)\n    children = True\nexcept ChildProcessError:\n    children = False\n"
        "print(children, threading.active_count(), json.dumps([1]), len([1]), sys.getrecursionlimit(), sorted(os.listdir('.')))"
    )
    with Fleet(boxes=1, most_boxes=1) as alone:
        before = result(alone, look).stdout
        result(alone, leave)
        assert result(alone, look).stdout == before
        pids = [int(result(alone, "import os; print(os.getpid())").stdout) for _ in range(2)]
        assert pids[1] - pids[0] < 4  # nobody forks any more


@pytest.mark.parametrize(
    "code",
    [
        "import atexit; atexit.register(print, 'at the end')",
        "import weakref\nclass C: pass\nc = C()\nweakref.finalize(c, print, 'at the end')",
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), print('at the end'))).start()",
        "import logging, logging.config, logging.handlers, sys\n"
        "logging.config.dictConfig({'version': 1})\n"
        "last = logging.StreamHandler(sys.stdout)\n"
        "logging.getLogger().addHandler(logging.handlers.MemoryHandler(10, target=last))\n"
        "logging.warning('at the end')",
        "print('at the end', end='\\n')",
    ],
)
def test_what_python_does_at_the_end_of_a_program_is_done(fleet, code):
    assert result(fleet, code).stdout == "at the end\n"


def test_random_numbers_of_two_snippets_are_different():
    pytest.importorskip("numpy")
    code = "import random, numpy\nprint(random.random(), numpy.random.rand())"
    with Fleet(boxes=1, most_boxes=1, preload=["numpy"]) as alone:
        first, second = (result(alone, code).stdout.split() for _ in range(2))
    assert first[0] != second[0]
    assert first[1] != second[1]


@pytest.mark.parametrize("seed", [0, 7, -7, 1 << 80])
def test_one_seed_gives_the_same_random_numbers(seed):
    with Fleet(boxes=1, most_boxes=1, seed=seed) as alone:
        first, second = (result(alone, "import random; print(random.random())").stdout for _ in range(2))
    assert first == second
    if abs(seed) < 1 << 63:
        assert float(first) == random.Random(seed).random()


@pytest.mark.parametrize(
    ("code", "printed", "reason"),
    [
        ("print('\ud800')", "", "compile"),
        ("x = '" + "y" * 300_000 + "'\nprint(len(x))", "300000\n", ""),
        ("", "", ""),
    ],
)
def test_a_source_of_any_length_and_of_any_characters_arrives(fleet, code, printed, reason):
    done = result(fleet, code)
    assert (done.stdout, done.reason) == (printed, reason)


@pytest.mark.parametrize("walk", ["traceback.extract_stack()", "inspect.stack()"])
def test_a_snippet_that_looks_at_its_stack_sees_itself_alone(fleet, walk):
    done = result(
        fleet, f"import inspect, traceback\ndef f():\n    return {walk}\nprint([each.lineno for each in f()])"
    )
    assert done.stdout in ("[4, 3]\n", "[3, 4]\n"), done.stderr


@pytest.mark.slow
def test_many_come_back_each_once_in_both_orders(fleet):
    codes = [f"print({i} * 2)" for i in range(200)]
    seen = {done.index: int(done.stdout) for done in fleet.map(codes)}
    assert seen == {i: 2 * i for i in range(200)}
    assert [int(done.stdout) for done in fleet.map(codes, ordered=True)] == [2 * i for i in range(200)]


def test_inputs_go_with_one_code_that_is_repeated(fleet):
    done = fleet.map(itertools.repeat("print(int(input()) + 1)"), inputs=map(str, range(20)), ordered=True)
    assert [int(each.stdout) for each in done] == list(range(1, 21))


@pytest.mark.parametrize("inputs", [["1"], ["1", "2", "3"]])
def test_no_snippet_is_left_out_for_want_of_an_input(fleet, inputs):
    with pytest.raises(ConfigurationError, match="2 codes have"):
        fleet.map(["print(1)", "print(2)"], inputs=inputs)


def test_codes_are_read_as_results_are_taken(fleet):
    read = []

    def codes():
        for i in itertools.count():
            read.append(i)
            yield "print(1)"

    results = iter(fleet.map(codes()))
    for _ in range(5):
        assert next(results).ok
    assert len(read) < 500
    results.close()


def test_the_same_in_asyncio(fleet):
    async def main():
        return [done.index async for done in fleet.map((f"print({i})" for i in range(50)), ordered=True)]

    assert asyncio.run(main()) == list(range(50))


def test_a_box_that_is_killed_loses_nothing(fleet):
    killer = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nprint('alive')"
    codes = [killer if i % 10 == 3 else f"print({i})" for i in range(30)]
    with Fleet(boxes=2, most_boxes=2) as own:
        done = list(own.map(codes, ordered=True))
    assert [each.index for each in done] == list(range(30))
    for i, each in enumerate(done):
        if i % 10 == 3:
            assert each.reason in (
                "exception",
                "",
            )  # it ended its own box each time, or the kernel did not let it
        else:
            assert each.stdout == f"{i}\n"


def test_a_fresh_jail_for_each_however_many_wait():
    with Fleet(isolation="fresh", boxes=2) as fresh:
        codes = [f"import os\nprint({i}, os.getpid())" for i in range(60)]
        said = [done.stdout.split() for done in fresh.map(codes, ordered=True)]
    assert [int(number) for number, _ in said] == list(range(60))
    assert len({pid for _, pid in said}) == 1  # each was the first process that its box has forked


def test_modules_are_there_before_the_snippet_and_one_that_is_missing_is_no_fault_of_it():
    with Fleet(boxes=1, most_boxes=1, preload=["decimal", "numpy"]) as own:
        assert result(own, "import sys; print('numpy' in sys.modules)").stdout == "True\n"
    with Fleet(boxes=1, most_boxes=1, preload=["no_such_module"]) as own:
        done = result(own, "print(1)")
    assert (done.reason, "no_such_module" in done.message) == ("infrastructure", True)


def test_wrong_arguments_are_named():
    with pytest.raises(ConfigurationError, match="isolation"):
        Fleet(isolation="none")
    with pytest.raises(ConfigurationError, match="engine"):
        Fleet("slurm")


def test_a_snippet_sends_signals_to_its_own_processes_only(fleet):
    if landlock.abi() < 6:
        pytest.skip("this kernel's Landlock has no scopes")
    code = """
import os, signal
child = os.fork()
if child == 0:
    signal.pause()
os.kill(child, signal.SIGTERM)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
refused = []
for pid in (1, os.getppid()):
    try:
        os.kill(pid, 0)
    except OSError as error:
        refused.append(type(error).__name__)
print(*refused)
"""
    assert fleet.submit(code).result().stdout == "-15\nPermissionError PermissionError\n"


def test_a_build_has_the_time_of_a_build_and_not_of_the_run_behind_it():
    busy = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
    short = Limits(wall_seconds=60.0, cpu_seconds=0.2, memory_bytes=256 << 20)
    with Fleet("local", programs="*", boxes=1) as fleet:
        for build_seconds, reason in ((600.0, ""), (60.0, "processor")):
            request = Request(
                build=("python3", "-c", busy), build_seconds=build_seconds, argv=("true",), limits=short
            )
            done = fleet.submit_request(request).result()
            assert (done.build.reason, done.reason) == (reason, reason)


@pytest.mark.parametrize(
    "options",
    [
        {"executor": "local"},
        {"without": ["mount namespace"], "folders": ("/var/tmp",)},
    ],  # everybody's by its mode, and not by Landlock
)
def test_what_a_snippet_leaves_is_removed_where_modes_cannot_be_changed(options):
    code = (
        "import os\nos.makedirs('a/b')\nopen('a/b/c', 'w').write('x')\nopen('../left', 'x').write('x')\n"
        "print(os.listdir())"
    )
    try:
        fleet = Fleet(boxes=1, **options)
    except JailUnavailable as error:
        pytest.skip(str(error))
    with fleet:
        found = [done.stdout or done.stderr or done.message for done in fleet.map([code] * 3)]
    assert found == ["['a']\n"] * 3


@pytest.mark.parametrize("depth", [300, 1500])
def test_a_program_that_leaves_folders_in_folders_without_end_is_judged_as_any_other(depth):
    """They are below what a path, the descriptors of a process and Python's own recursion can reach."""
    code = f"import os\nfor _ in range({depth}):\n    os.mkdir('d')\n    os.chdir('d')\nprint(1)"
    with Fleet(boxes=1, most_boxes=1) as alone:
        done = result(alone, code)
        assert (done.ok, done.stdout, done.message) == (True, "1\n", "")
        assert result(alone, "import os\nprint(os.listdir())").stdout == "[]\n"


def test_what_was_there_before_the_first_snippet_is_as_it_was_for_the_next(tmp_path):
    """A link to the user's folder, and what a module has written when it was imported in the box."""
    tmp_path.chmod(0o755)
    (tmp_path / "a.txt").write_text("the user's")
    modules = tmp_path / "modules"
    modules.mkdir()
    cache = "os.environ['HOME'] + '/.cache"
    source = f"import os\nos.makedirs({cache}/deep')\nopen({cache}/list', 'w').write('own')\n"
    (modules / "makes_a_cache.py").write_text(source)
    look = """texts = [open(name).read() for name in ("../data/a.txt", "../.cache/list")]
print(texts, os.listdir("../.cache/deep"), sorted(os.listdir("..")))"""
    leave = [
        "os.unlink('../data'); os.mkdir('../data'); open('../data/a.txt', 'w').write('forged')",
        "os.unlink('../data'); os.symlink('/tmp', '../data')",
        "open('../.cache/list', 'w').write('mine')",
        "open('../.cache/deep/note', 'w').write('mine'); os.chmod('../.cache/deep', 0)",
        "os.chdir('../.cache')\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')",
        "import shutil; shutil.rmtree('../.cache'); open('../.cache', 'w').close()",
    ]
    options = {"mounts": {"data": tmp_path}, "python_path": [modules], "preload": ["makes_a_cache"]}
    with Fleet(boxes=1, most_boxes=1, **options) as alone:
        before = result(alone, f"import os\n{look}").stdout
        assert before.startswith("""["the user's", 'own'] [] """), before
        for code in leave:
            assert result(alone, f"import os\n{code}").ok, code
            assert result(alone, f"import os\n{look}").stdout == before, code


def test_files_with_nothing_in_them_do_not_end_the_box():
    sparse = "for name in 'abcdef': open(name, 'wb').truncate(60 << 20)"
    with Fleet(boxes=1, most_boxes=1) as alone:
        first = int(result(alone, "import os; print(os.getpid())").stdout)
        done = alone.submit(sparse, fetch=[*"abcdef"]).result(300)
        assert (done.ok, [*done.files]) == (True, ["a"])
        assert int(result(alone, "import os; print(os.getpid())").stdout) > first  # the same box


@pytest.mark.parametrize("name", ["", ".", "folder", "link", "a\0b", "../x", "x" * 5000, "absent"])
def test_what_is_asked_for_and_is_no_file_is_left_out_and_changes_no_result(fleet, name):
    code = "import os\nos.mkdir('folder')\nos.symlink('f', 'link')\nopen('f', 'w').write('x')\nprint(1)"
    done = fleet.submit(code, fetch=[name, "f"]).result(300)
    assert (done.ok, done.stdout, dict(done.files)) == (True, "1\n", {"f": b"x"})


@pytest.mark.parametrize("seed", [7, -7, 1 << 40])
@pytest.mark.parametrize("preload", [(), ("numpy",), ("numpy.random",)])
def test_one_seed_gives_the_same_random_numbers_of_numpy_whoever_imports_it(seed, preload):
    numpy = pytest.importorskip("numpy")
    with Fleet(boxes=1, most_boxes=1, seed=seed, preload=preload) as alone:
        done = [result(alone, "import numpy; print(numpy.random.rand())") for _ in range(2)]
    wanted = numpy.random.RandomState(abs(seed) % (1 << 32)).rand()
    assert [each.stdout for each in done] == [f"{wanted}\n"] * 2, done


@pytest.mark.parametrize(
    ("files", "stdin"),
    [
        ({"a": b"1", "a/b": b"2"}, ""),
        ({"/etc/a": b"1"}, ""),
        ({"a": bytes(96 << 20)}, ""),
        ({}, bytes(96 << 20)),
    ],
)
def test_files_and_input_that_have_no_place_say_nothing_of_the_program(fleet, files, stdin):
    done = result(fleet, "print(1)", files=files, stdin=stdin)
    assert (done.reason, done.message[:31]) == ("infrastructure", "what it is given cannot be writ")
    assert result(fleet, "print(1)").ok


def test_no_times_of_folders_are_left_to_the_next():
    look = "import os\nprint(*(os.stat(p).st_mtime for p in ('/tmp', '/dev/shm', '/mnt')))"
    with Fleet(boxes=1, most_boxes=1, folders=("/mnt",)) as alone:
        result(alone, "")
        before = result(alone, look).stdout
        left = result(alone, "import os\nfor p in ('/tmp', '/dev/shm', '/mnt'): os.utime(p, (4242, 4242))")
        assert left.ok
        after = result(alone, look).stdout
    assert "4242" not in before + after
    assert after.split()[1:] == before.split()[1:]  # the first is where its own folder has just been made


def test_all_runs_of_what_kills_itself_are_counted():
    busy = "import os, time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nos.kill(os.getpid(), 9)"
    with Fleet(boxes=1, most_boxes=1) as alone:
        done = result(alone, busy)
    assert (done.reason, done.returncode) == ("exit", -9)
    assert done.total_cpu_seconds > 5 * 0.2 > done.cpu_seconds
