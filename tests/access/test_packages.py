"""Packages in a box: from wheels, kept, never imported outside; wheels of people who mean harm."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pinjra import ConfigurationError, StartupFailed, sandbox
from pinjra.access import layers
from pinjra.core.temporary_folders import make_folder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the jail is Linux's")


def make_wheel(folder: Path, name: str, files: dict[str, str], version: str = "1.0", needs: str = "") -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (
        f"Requires-Dist: {needs}\n" if needs else ""
    )
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in files.items():
            wheel.writestr(file, text)
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of wheels that pip takes for the whole world, and an empty cache."""
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    for name, value in {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_CONFIG_FILE": os.devnull,
        "PINJRA_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    yield wheels
    for folder, _, _ in os.walk(tmp_path / "cache"):
        os.chmod(folder, 0o700)  # so that pytest can remove it


@pytest.mark.parametrize("kind", ["jail", "local"])
def test_a_package_and_what_it_needs_can_be_imported_at_once(kind: str, index: Path) -> None:
    make_wheel(index, "tinyone", {"tinyone/__init__.py": "from tinytwo import answer\n"}, needs="tinytwo>=1")
    make_wheel(index, "tinytwo", {"tinytwo.py": "answer = 42\n"})
    with sandbox(kind, packages=["tinyone==1.0"]) as box:
        done = box.run("import tinyone\ntinyone.answer")
        assert done.error is None, done.error
        assert done.value == 42
        box.reset()
        assert box.run("import tinytwo\ntinytwo.answer").value == 42


def test_programs_of_the_box_have_it_too_and_nobody_changes_it(index: Path) -> None:
    make_wheel(index, "tinyone", {"tinyone.py": "answer = 42\n"})
    with sandbox("jail", packages=["tinyone"], programs=["bash"], guard=False) as box:
        done = box.exec([sys.executable, "-c", "import tinyone; print(tinyone.answer)"])
        assert done.stdout == "42\n", done.stderr
        assert box.run("import tinyone\nopen(tinyone.__file__, 'a')").error is not None
        assert box.run("import os\nos.remove(tinyone.__file__)").error is not None


def test_the_second_time_nothing_is_fetched_or_said(index: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wheel = make_wheel(index, "tinyone", {"tinyone.py": "answer = 42\n"})
    first = layers.layer_for(["tinyone==1.0"])
    assert "fetching tinyone==1.0" in capsys.readouterr().err
    wheel.unlink()
    assert layers.layer_for([" tinyone ==1.0"]) == first
    assert capsys.readouterr().err == ""
    assert first.modules == ("tinyone",)


def test_a_layer_is_named_by_its_content(index: Path) -> None:
    make_wheel(index, "tinyone", {"tinyone.py": "answer = 42\n"})
    assert layers.layer_for(["tinyone"]).path == layers.layer_for(["tinyone==1.0"]).path
    make_wheel(index, "tinyone", {"tinyone.py": "answer = 43\n"}, version="2.0")
    assert layers.layer_for(["tinyone==2.0"]).path != layers.layer_for(["tinyone==1.0"]).path


def test_a_layer_comes_before_what_is_installed_and_behind_what_python_brings(index: Path) -> None:
    files = {"requests/__init__.py": "here = 'layer'\n", "json.py": "here = 'layer'\n"}
    make_wheel(index, "tinyone", files)
    with sandbox("jail", packages=["tinyone"], guard=False) as box:
        assert box.run("import requests\nrequests.here").value == "layer"
        assert box.run("import json\nhasattr(json, 'dumps')").value is True


@pytest.mark.parametrize("imports", [["tinyone"], ["numpy", "tinyone", "requests"], ["*"]])
def test_no_line_of_a_package_runs_outside_of_the_box(
    imports: list[str], index: Path, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    code = f"open({str(mark)!r}, 'w').close()\n"
    names = ("tinyone", "numpy", "requests", "sitecustomize", "usercustomize", "_virtualenv")
    files = {f"{name}.py": code for name in names}
    files["tinyone.pth"] = f"import os; {code}"
    files["tinyone-1.0.data/data/lib/x.pth"] = f"import os; {code}"
    files["tinyone-1.0.data/scripts/tinyone"] = f"#!python\n{code}"
    make_wheel(index, "tinyone", files)
    with sandbox("jail", authorized_imports=imports, packages=["tinyone"], guard=False) as box:
        box.run("import tinyone")
        assert not mark.exists()
        layer = Path(layers.layer_for(["tinyone"]).path)
    assert not list(layer.rglob("*.pth"))
    assert not (layer / "tinyone-1.0.data").exists()
    assert not mark.exists()


@pytest.mark.parametrize(
    ("packages", "words"),
    [
        (["no-such-package-9"], "packages=: no-such-package-9 is not found, or has no wheel for Python"),
        (["tinysource==1.0"], "packages=: tinysource==1.0 is not found, or has no wheel"),
        (["tinyone==9.0"], "packages=: tinyone==9.0 is not found"),
        (["../wheels"], "packages= wants requirements"),
        (["--index-url=http://evil.example"], "packages= wants requirements"),
        (["-r/etc/passwd"], "packages= wants requirements"),
        (["tinyone @ http://evil.example/x.whl"], "no addresses"),
        (["tinyone @ file:///etc"], "no addresses"),
        (["git+https://evil.example/x"], "packages= wants requirements"),
    ],
)
def test_what_cannot_be_had_is_one_clear_line(packages: list[str], words: str, index: Path) -> None:
    make_wheel(index, "tinyone", {"tinyone.py": ""})
    import tarfile

    with tarfile.open(index / "tinysource-1.0.tar.gz", "w:gz"):
        pass
    with pytest.raises(ConfigurationError) as caught:
        sandbox("jail", packages=packages)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["needsfolder", "needsarchive", "needsrepository"])
def test_what_a_wheel_needs_from_an_address_is_not_built_here(name: str, index: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    attack = ATTACK.with_name("wheels_that_would_be_built.py")
    subprocess.run([sys.executable, str(attack), str(index), str(ran)], check=True)
    with pytest.raises(ConfigurationError) as caught:
        layers.layer_for([name])
    assert str(caught.value) == f"packages=: {name} needs what is no wheel, and would be built here"
    assert not ran.exists()


ATTACK = Path(__file__).parents[1] / "escapes" / "wheels_that_lead_out.py"


def test_a_wheel_that_leads_out_or_is_none_is_refused_by_name(tmp_path: Path) -> None:
    wheels, layer = tmp_path / "wheels", tmp_path / "below" / "layer"
    wheels.mkdir()
    layer.mkdir(parents=True)
    subprocess.run([sys.executable, ATTACK, wheels], check=True)
    for wheel in sorted(wheels.iterdir()):
        with pytest.raises(StartupFailed, match=rf"leads out of a package|{wheel.name} is broken"):
            layers.unpack(wheel, layer)
    assert not list(tmp_path.rglob("evil*")) or {path.parent for path in tmp_path.rglob("evil*")} == {wheels}
    assert not Path("/etc/evil.py").exists()


def test_nothing_of_a_failed_fetch_is_left(index: Path, tmp_path: Path) -> None:
    make_wheel(index, "evil", {"../evil.py": "evil"})
    with pytest.raises(StartupFailed):
        sandbox("jail", packages=["evil"])
    left = {path.suffix for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert left <= {".lock"}
    assert not list(tmp_path.rglob("evil.py"))


def test_what_a_killed_fetch_has_left_is_removed_by_the_next_one_and_no_other(
    index: Path, tmp_path: Path
) -> None:
    make_wheel(index, "tinyone", {"tinyone.py": "answer = 42\n"})
    place = tmp_path / "cache" / "packages"
    left = place / "new-left"
    (left / "layer" / "deep").mkdir(parents=True)
    (left / "layer" / "deep" / "a.py").touch()
    for folder in ("layer/deep", "layer"):
        os.chmod(left / folder, 0o555)
    used, lock = make_folder("new-", str(place))
    for folder in (str(left), used):
        os.utime(folder, (0, 0))
    layers.layer_for(["tinyone==1.0"])
    assert [str(path) for path in place.glob("new-*")] == [used]
    os.close(lock)


def test_a_program_that_is_killed_leaves_no_fetch_behind(tmp_path: Path) -> None:
    code = "from pinjra.access.layers import layer_for\nlayer_for(['tinyone'])"
    (tmp_path / "temporary").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as registry:  # takes connections, and says nothing
        registry.settimeout(300)
        variables = {
            "PIP_INDEX_URL": f"http://127.0.0.1:{registry.getsockname()[1]}/simple",
            "PIP_TIMEOUT": "3600",
            "PIP_CONFIG_FILE": os.devnull,
            "PINJRA_CACHE": str(tmp_path / "cache"),
            "TMPDIR": str(tmp_path / "temporary"),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1"),
        }
        with subprocess.Popen([sys.executable, "-c", code], env={**os.environ, **variables}) as program:
            fetching, _ = registry.accept()
            program.kill()
        with fetching:
            fetching.settimeout(300)
            while fetching.recv(4096):  # until whoever fetches has ended
                pass
    assert not list((tmp_path / "temporary").iterdir())
    [left] = tmp_path.glob("cache/packages/new-*")
    folder = os.open(left, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)  # nobody holds it: the next one may remove it
    os.close(folder)
