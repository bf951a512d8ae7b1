"""What gets in and out of a box, in the real jail: effects only."""

from __future__ import annotations

import sys

import pytest

from pinjra import ConfigurationError, Mount, sandbox

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")


def value(box, code):
    done = box.run(code)
    assert done.error is None, done.error
    return done.value


def test_variables_are_in_the_environment_and_the_time_zone_is_in_force():
    with sandbox("jail", env={"TZ": "Asia/Kolkata", "GREETING": "namaste = ok"}, guard=False) as box:
        code = (
            "import os, time\n(os.environ['GREETING'], time.localtime(0).tm_hour, time.localtime(0).tm_min)"
        )
        assert value(box, code) == ("namaste = ok", 5, 30)
        box.reset()
        assert value(box, code) == ("namaste = ok", 5, 30)


def test_what_an_executor_has_not_is_an_error_that_names_one_that_has():
    from pinjra.executors.session.executor import SessionExecutor
    from pinjra.executors.session.transport import Transport

    class Bare(SessionExecutor):
        def _open(self) -> Transport:
            raise AssertionError("nothing is started")

    with pytest.raises(ConfigurationError, match=r"Bare has no programs=; .*jail"):
        Bare(programs=["git"])


def test_a_backend_that_opens_all_or_nothing_refuses_single_hosts():
    from pinjra.core.access import parse_access
    from pinjra.executors.session.capabilities import check_can

    with pytest.raises(ConfigurationError, match=r"True or False only.*jail"):
        check_can("docker", {"network"}, parse_access({"network": ["api.github.com"]}), hosts="all")


@pytest.mark.parametrize("path", ["/", "/etc", "/etc/ssl", "/proc/self", "/run", "~", "~/.ssh", "/home"])
def test_a_folder_that_holds_more_than_a_guest_should_see_is_refused_unless_told(path, tmp_path, monkeypatch):
    from pinjra.core.access import Mount, parse_access
    from pinjra.executors.session.capabilities import check_can

    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "data").mkdir()
    with pytest.raises(ConfigurationError, match=r"dangerous=True"):
        check_can("X", {"mounts"}, parse_access({"mounts": {"d": path}}))
    check_can("X", {"mounts"}, parse_access({"mounts": {"d": Mount(path, dangerous=True)}}))
    check_can("X", {"mounts"}, parse_access({"mounts": {"d": tmp_path / "data"}}))


@pytest.mark.parametrize("kind", ["jail", "local"])
def test_modules_of_one_s_own_are_found_below_the_temporary_folder_too(kind, tmp_path):
    tmp_path.chmod(0o755)  # root's guests are another user
    (tmp_path / "own_module_of_mine.py").write_text("answer = 42\n")
    with sandbox(kind, python_path=[tmp_path], authorized_imports=["own_module_of_mine"], guard=False) as box:
        assert value(box, "import own_module_of_mine\nown_module_of_mine.answer") == 42
        assert value(box, "open('x', 'w').write('scratch')") == 7


def test_modules_that_a_guest_has_written_run_in_a_box_only(tmp_path):
    own, outside = tmp_path / "own", tmp_path / "outside"
    own.mkdir()
    tmp_path.chmod(0o755)
    with sandbox("jail", mounts={"own": Mount(str(own), writable=True)}) as box:
        code = f"import os\nname = {str(outside)!r}\ntry:\n    open(name, 'w')\nexcept OSError:\n    where = 'in the box'\n"
        for name in ("_pytest", "a_module_of_the_guest"):
            value(box, f"open('own/{name}.py', 'w').write({code!r})")
    for written in own.iterdir():
        written.chmod(0o644)
    names = ["_pytest", "a_module_of_the_guest"]
    with sandbox("jail", python_path=[own], authorized_imports=names) as box:
        assert value(box, "import _pytest, a_module_of_the_guest as other\n_pytest.where, other.where") == (
            "in the box",
            "in the box",
        )
    assert not outside.exists()


@pytest.mark.parametrize("how", ["python_path", "python_path and PYTHONPATH", "loaded in advance"])
@pytest.mark.parametrize("kind", ["jail", "local"])
def test_modules_of_one_s_own_come_before_an_installed_package_of_their_name(kind, how, tmp_path):
    tmp_path.chmod(0o755)  # root's guests are another user
    (tmp_path / "_pytest.py").write_text("answer = 42\n")  # this Python has one of this name
    (tmp_path / "json.py").write_text("raise RuntimeError('not the one of Python')\n")
    env = {"PYTHONPATH": str(tmp_path)} if "PYTHONPATH" in how else {}
    named = {"authorized_imports": ["_pytest"]} if "loaded" in how else {"imports": "all"}
    with sandbox(kind, python_path=[tmp_path], env=env, **named) as box:
        assert value(box, "import _pytest, json\n_pytest.answer, json.dumps([1])") == (42, "[1]")
