"""What guest code cannot reach, with the guard off: the walls are WASI's and the process's, not the language's."""

# ruff: noqa: E501 (guest programs in one line)

from __future__ import annotations

import pytest

from pinjra.core.execution import Cause
from pinjra.core.limits import Limits
from pinjra.executors.wasm.executor import WasmExecutor


def value(executor, code):
    done = executor.run(code)
    assert done.error is None, done.error
    return done.value


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/scratch/../etc/passwd", "/pinjra/../../etc/passwd", "/proc/self/environ", "."]
)
def test_files_of_the_machine_are_not_there(plain, path):
    found = value(
        plain,
        f"try:\n    r = open({path!r}, 'rb').read(10)\nexcept OSError as e:\n    r = type(e).__name__\nr",
    )
    assert isinstance(found, str)


def test_a_link_out_of_the_scratch_folder_leads_nowhere_for_guest_and_host(plain):
    code = (
        "import os\n"
        "def attempt(f):\n    try:\n        return f()\n    except OSError as e:\n        return type(e).__name__\n"
        "made = attempt(lambda: os.symlink('../../../../../../../../etc/passwd', '/scratch/out'))\n"
        "attempt(lambda: open('/scratch/out').read())"
    )
    assert value(plain, code) in ("PermissionError", "FileNotFoundError", "OSError")
    with pytest.raises(FileNotFoundError):
        plain.get_file("out")
    assert "out" not in plain.list_files()


def test_an_absolute_link_cannot_be_made(plain):
    code = "import os\ntry:\n    os.symlink('/etc', '/scratch/etc')\n    r = os.listdir('/scratch/etc')\nexcept OSError as e:\n    r = 'refused'\nr"
    assert value(plain, code) == "refused"


def test_the_worker_that_sessions_share_cannot_be_written(plain):
    code = (
        "import os\nseen = []\n"
        "for f in (lambda: open('/pinjra/worker.zip', 'r+b'), lambda: open('/pinjra/new', 'wb'),\n"
        "          lambda: os.remove('/pinjra/worker.zip'), lambda: os.rename('/pinjra/worker.zip', '/scratch/w')):\n"
        "    try:\n        f()\n        seen.append('done')\n    except OSError as e:\n        seen.append('refused')\nseen"
    )
    assert value(plain, code) == ["refused"] * 4


def test_there_is_no_network_no_process_and_no_environment(plain):
    code = (
        "import os, socket, subprocess\nseen = []\n"
        "def attempt(f):\n    try:\n        f()\n        return 'done'\n    except BaseException as e:\n        return 'refused'\n"
        "[attempt(lambda: socket.socket().connect(('127.0.0.1', 80))), attempt(lambda: socket.create_connection(('127.0.0.1', 80))),\n"
        " attempt(lambda: subprocess.run(['true'])), attempt(lambda: os.system('true')), hasattr(os, 'fork'), sorted(os.environ)]"
    )
    assert value(plain, code)[:5] == ["refused", "refused", "refused", "refused", False]
    assert not {"PATH", "USER", "PYTHONPATH"} & set(value(plain, "import os\nsorted(os.environ)"))


def test_a_forged_control_message_ends_the_instance_and_not_the_session(plain):
    forged = '["c",1,1,"Lost",{"cause":"wall","rolled_back":true}]\\n'
    done = plain.run(f"import os\nos.write(1, b'{forged}')\nwhile True:\n    pass")
    assert done.error is not None
    assert (done.error.cause, done.error.state_lost) == (Cause.PROTOCOL, True)
    assert value(plain, "1 + 1") == 2


def test_an_answer_that_nobody_asked_for_is_dropped(plain):
    forged = '["g","Done",{"request":1}]\\n["g","Done",{"request":2,"files":{"a":1}}]\\n["g","Done",{"request":0}]\\n'
    assert value(plain, f"import os\nos.write(1, b'{forged}')\n5") == 5
    plain.put_file("real.txt", b"data")
    assert plain.get_file("real.txt") == b"data"


def test_one_large_file_meets_the_quota(plain):
    code = "try:\n    f = open('/scratch/big', 'wb')\n    for _ in range(64):\n        f.write(bytes(1 << 18))\n        f.flush()\n    r = 'written'\nexcept OSError as e:\n    r = 'refused'\nr"
    done = plain.run(code)
    assert done.value == "refused" or (done.error is not None and done.error.cause is Cause.DISK)
    plain.reset()
    assert plain.list_files() == {}


def test_many_small_files_meet_the_quota(plain):
    done = plain.run(
        "for n in range(10**9):\n    with open(f'/scratch/f{n % 2000}', 'wb') as f:\n        f.write(bytes(4096))"
    )
    assert done.error is not None
    assert done.error.cause is Cause.DISK
    plain.reset()


@pytest.mark.parametrize("make", ["open(f'/scratch/e{n}', 'w').close()", "os.mkdir(f'/scratch/e{n}')"])
def test_entries_without_bytes_meet_the_quota(plain, make):
    done = plain.run(f"import os\nfor n in range(10**9):\n    {make}")
    assert done.error is not None
    assert done.error.cause is Cause.DISK
    assert value(plain, "1 + 1") == 2
    assert plain.list_files() == {}


DEEP = "import os\npath = '/scratch'\nfor _ in range(1100):\n    path += '/a'\n    os.mkdir(path)"


@pytest.mark.slow
def test_folders_in_one_another_hide_nothing_from_the_quota_and_are_removed():
    with WasmExecutor(limits=Limits(disk_bytes=8 << 20), guard=False) as box:  # as many entries as 2,048
        value(box, DEEP)
        done = box.run(
            "for n in range(10**9):\n    with open(f'/scratch/f{n % 400}', 'wb') as f:\n        f.write(bytes(1 << 16))"
        )
        assert done.error is not None
        assert done.error.cause is Cause.DISK
        assert value(box, "import os\nos.listdir('/scratch')") == []
        value(box, DEEP)
        folder = box._connection.messages.transport._folder
    assert not folder.exists()


def test_the_exit_of_the_guest_is_its_own_end_only(plain):
    done = plain.run("import os\nos._exit(3)")
    assert done.error is not None
    assert (done.error.cause, done.error.state_lost) == (Cause.EXIT, True)
    assert value(plain, "2 + 2") == 4
