"""A refused system call: the error says what would allow it, or who does. A killed run says what became of its files."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pinjra import ConfigurationError, Limits, sandbox
from pinjra.core.values import Opaque
from pinjra.executors.base import PythonExecutor
from pinjra.executors.jail import JailExecutor

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what Linux refuses")
BOTH = ["local"] if JailExecutor.diagnose() else ["local", "jail"]

REFUSED = {
    "import subprocess\nsubprocess.run(['true'])": ("PermissionError", 'programs=["…"] allows programs'),
    "import socket\nsocket.socket()": ("PermissionError", 'network=["…"] allows hosts'),
    "import asyncio\nawait asyncio.start_server(print, '127.0.0.1', 0)": (
        "PermissionError",
        'network=["…"] allows hosts',
    ),
    "import socket\nsocket.gethostbyname('a.example')": ("gaierror", 'network=["…"] allows hosts'),
    "import urllib.request\nurllib.request.urlopen('http://a.example')": (
        "URLError",
        'network=["…"] allows hosts',
    ),
    "import os\ntry:\n    os.mkfifo('pipe')\nexcept OSError as e:\n    raise RuntimeError('no pipe') from e": (
        "RuntimeError",
        "the sandbox does not permit this system call",
    ),
    "import os\nos.mkfifo('pipe')": ("PermissionError", "the sandbox does not permit this system call"),
}
OF_LOCAL = {
    "import multiprocessing\nmultiprocessing.Pool(2)": 'pools of them, are in executor_type="jail"',
    "from concurrent.futures import ProcessPoolExecutor\nlist(ProcessPoolExecutor(2).map(abs, [-1]))": 'executor_type="jail"',
    "from multiprocessing import shared_memory\nshared_memory.SharedMemory(create=True, size=1)": "shared memory is in",
    "import multiprocessing\nmultiprocessing.Value('i', 0)": "shared memory is in",
}


@pytest.fixture(scope="module", params=BOTH)
def box(request: pytest.FixtureRequest):
    with sandbox(request.param, imports="standard") as opened:
        yield opened


@pytest.mark.parametrize("code", REFUSED)
def test_a_refused_system_call_says_what_allows_it(box: PythonExecutor, code: str) -> None:
    error = box.run(code).error
    assert error is not None
    kind, hint = REFUSED[code]
    assert (error.type, (error.hint or "").startswith(hint)) == (kind, True), error
    assert error.hint in str(error)


@pytest.mark.parametrize("code", OF_LOCAL)
def test_what_local_cannot_have_names_an_executor_that_has_it(box: PythonExecutor, code: str) -> None:
    error = box.run(code).error
    if isinstance(box, JailExecutor):
        assert error is None
    else:
        assert error is not None and OF_LOCAL[code] in (error.hint or ""), error


def test_a_shell_that_is_not_there_says_so_once_it_is_asked(box: PythonExecutor) -> None:
    done = box.run("import os\nos.system('ls')")
    assert (done.error, done.value) == (None, 127 << 8)
    assert done.stderr == 'os.system: there is no shell in this sandbox: programs=["…"] allows programs\n'


@pytest.mark.parametrize("mode", ["P_WAIT", "P_NOWAIT"])
def test_a_program_that_cannot_be_spawned_says_so(box: PythonExecutor, mode: str) -> None:
    done = box.run(
        f"import os\nstatus = os.spawnlp(os.{mode}, 'ls', 'ls')\nstatus == 127 or os.waitpid(status, 0)[1] >> 8 == 127"
    )
    assert (done.error, done.value) == (None, True)
    assert done.stderr == 'os.spawn: there are no programs in this sandbox: programs=["…"] allows programs\n'


@pytest.mark.parametrize("name", BOTH)
def test_a_shell_that_is_there_speaks_for_itself(name: str) -> None:
    with sandbox(name, imports="standard", programs=["sh"]) as box:
        done = box.run(
            "import os\n[os.system('exit 3'), os.system('no-such-program 2>&1'), "
            "os.spawnlp(os.P_WAIT, 'no-such-program', 'no')]"
        )
    assert (done.value, done.stderr) == ([3 << 8, 127 << 8, 127], "")


COMMANDS = {
    "!pip install polars": 'packages=["…"] installs packages',
    "import os\n%pip install polars": 'packages=["…"] installs packages',
    "if True:\n    !ls -l": 'programs=["…"] allows programs',
    "%matplotlib inline\n1": "lines that begin with % are IPython's",
}


@pytest.mark.parametrize("code", COMMANDS)
def test_a_command_of_ipython_says_what_is_there_instead(box: PythonExecutor, code: str) -> None:
    error = box.run(code).error
    assert error is not None and error.type == "SyntaxError"
    assert COMMANDS[code] in (error.hint or ""), error


def test_other_syntax_errors_get_no_hint(box: PythonExecutor) -> None:
    for code in ("x = (1\n% 2", "print('a'", "x !y"):
        error = box.run(code).error
        assert error is not None and (error.type, error.hint) == ("SyntaxError", None)


def test_a_guests_own_error_gets_no_hint(box: PythonExecutor) -> None:
    for code in ("open('absent')", "raise PermissionError('mine')", "1 / 0"):
        error = box.run(code).error
        assert error is not None and error.hint is None


def test_a_hint_is_of_the_call_and_not_of_what_a_guests_class_says(box: PythonExecutor) -> None:
    code = "class Odd(OSError):\n    errno = property(lambda self: 1)\nraise Odd('x')"
    error = box.run(code).error
    assert error is not None and (error.type, error.hint) == ("Odd", None)


@pytest.mark.parametrize("rollback", [True, False])
@pytest.mark.parametrize("name", BOTH)
def test_a_killed_run_says_what_became_of_its_variables_and_files(name: str, rollback: bool) -> None:
    code = "x = 2\nwith open('left.txt', 'w') as f:\n    f.write('x')\nwhile True:\n    pass"
    with sandbox(name, rollback=rollback, limits=Limits(cpu_seconds=1)) as box:
        box.run("x = 1")
        done = box.run(code)
        assert done.error is not None and done.files == {}
        assert (done.error.rolled_back, done.error.state_lost) == (rollback, not rollback)
        words = (
            "files that it wrote are still there" if rollback else "with the files that list_files() names"
        )
        assert done.error.message.endswith(words)
        assert box.list_files() == {"left.txt": 1}


def test_files_are_copied_where_no_mode_or_time_of_a_file_may_be_set(box: PythonExecutor) -> None:
    code = (
        "import os, shutil\nos.makedirs('from/below', exist_ok=True)\nopen('from/below/a', 'w').write('text')\n"
        "shutil.copy('from/below/a', 'b')\nshutil.copy2('from/below/a', 'c')\nshutil.copytree('from', 'to', dirs_exist_ok=True)\n"
        "copies = [open(name).read() for name in ('b', 'c', 'to/below/a')]\n"
        "try:\n    shutil.copystat('from/below/a', 'absent')\nexcept FileNotFoundError:\n    copies.append('absent')\ncopies"
    )
    assert box.run(code).value == ["text", "text", "text", "absent"]


def test_libraries_go_on_where_no_mode_of_a_file_may_be_set(box: PythonExecutor) -> None:
    code = (
        "import dbm.dumb, mailbox, os, pathlib\nwith dbm.dumb.open('words', 'c') as words:\n    words['a'] = '1'\n"
        "with dbm.dumb.open('words') as words:\n    found = [words['a'].decode()]\n"
        "for at in range(2):\n    box = mailbox.mbox('box')\n    box.add('text')\n    box.flush()\n    box.close()\n"
        "[*found, len(mailbox.mbox('box'))]"
    )
    done = box.run(code)
    assert (done.error, done.value) == (None, ["1", 2])


def test_a_mode_that_the_program_itself_sets_is_set_or_refused(box: PythonExecutor) -> None:
    for call in (
        "os.chmod('mine', 0o600)",
        "pathlib.Path('mine').chmod(0o600)",
        "exec('os.chmod(\"mine\", 0o600)')",
    ):
        code = f"import os, pathlib\nopen('mine', 'w').close()\nos.umask(0o22)\n{call}\noct(os.stat('mine').st_mode & 0o777)"
        done = box.run(code)
        assert done.value == "0o600" or (done.error is not None and done.error.type == "PermissionError"), (
            call
        )


def test_a_language_that_the_box_has_no_program_for_says_which_one_it_wants() -> None:
    wants = "language='javascript' wants programs=['node']"
    with sandbox("local") as box, pytest.raises(ConfigurationError, match=re.escape(wants)):
        box.run("1", language="javascript")
    with sandbox("local", programs=["sh"]) as box:
        error = box.run("1", language="javascript").error
        assert error is not None and (error.type, error.hint) == ("ProgramFailed", wants)


def test_an_error_without_words_is_its_name_alone(box: PythonExecutor) -> None:
    assert str(box.run("raise MemoryError").error) == "MemoryError (line 1: raise MemoryError)"


def test_a_file_of_a_mount_that_is_read_only_says_what_can_be_written(tmp_path: Path) -> None:
    tmp_path.joinpath("a").write_text("1")
    for name in BOTH:
        with sandbox(name, mounts={"data": tmp_path}) as box:
            error = box.run("open('data/a', 'w')").error
            assert error is not None and "the sandbox lets the scratch folder be written" in (
                error.hint or ""
            )


def test_names_that_python_cannot_have_are_refused_for_variables(box: PythonExecutor) -> None:
    for name in ("class", "1x", ""):
        with pytest.raises(
            ConfigurationError, match="a variable's name must be an identifier that is no keyword"
        ):
            box.send_variables({name: 1})


def test_a_tool_shows_itself_as_a_function_and_not_what_it_is_made_of(box: PythonExecutor) -> None:
    def price(item: str) -> int:
        """Return the price of an item."""
        return len(item)

    box.send_tools({"price": price})
    assert (
        "Help on function price in module __main__:\n\nprice(*args, **kwargs)\n    Return"
        in box.run("help(price)").stdout
    )
    for code in ("price", "import json\njson.dumps"):
        value = box.run(code).value
        assert isinstance(value, Opaque) and value.repr.startswith("<function "), value
    function = box.run("def f(): return 1\nf").value
    assert isinstance(function, Opaque) and function.repr == "def f(): return 1"


@pytest.mark.parametrize(
    "body",
    [
        "def __bool__(self): raise SystemExit(3)",
        "def __len__(self): return 0",
        "__cause__ = __context__ = __suppress_context__ = property(lambda self: 1 / 0)",
        "__traceback__ = property(lambda self: 1 / 0)",
        "def __getattribute__(self, name): raise KeyError(name)",
    ],
)
def test_an_error_is_told_whatever_its_class_says_of_itself(box: PythonExecutor, body: str) -> None:
    code = (
        f"class E(Exception):\n    {body}\n"
        "try:\n    raise E('the cause')\nexcept E as error:\n    raise ValueError('told') from error"
    )
    error = box.run(code).error
    assert error is not None and (error.type, error.message) == ("ValueError", "told")
    assert "E" in error.traceback and "direct cause" in error.traceback
    error = box.run("raise E('alone')").error
    assert error is not None and error.type == "E"


@pytest.mark.parametrize(
    ("code", "is_success"),
    [
        ("class S(SystemExit):\n    code = property(lambda self: 1 / 0)\nraise S(0)", True),
        ("class N:\n    def __eq__(self, other): raise SystemExit(9)\nimport sys\nsys.exit(N())", False),
        ("import sys\nsys.exit(True - 1)", True),
        ("import sys\nsys.exit(False)", True),
        ("import sys\nsys.exit('why')", False),
    ],
)
def test_an_exit_is_a_success_by_its_status_whatever_its_class_says(
    box: PythonExecutor, code: str, is_success: bool
) -> None:
    error = box.run(code).error
    assert (error is None) == is_success
    assert error is None or error.type == "SystemExit"
