"""Docker and OCI runtimes for real: the whole conformance suite, and what the container must not be able to do.

As root the daemon is fetched and started by `scripts/docker-for-tests`; elsewhere, and where that fails, these tests skip.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinjra.core.errors import ExecutorUnavailable, SessionLost
from pinjra.executors.conformance import limits, output, tools, values  # noqa: F401  (they fill CHECKS)
from pinjra.executors.conformance.suite import CHECKS, Check, run_check

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "docker-for-tests"
IMAGE = "pinjra-test:python"

pytestmark = [pytest.mark.docker, pytest.mark.skipif(os.geteuid() != 0, reason="containers need root here")]


@pytest.fixture(scope="session")
def tools_folder() -> Iterator[Path]:
    """A folder with runc and dockerd, kept between runs where the environment names one."""
    kept = os.environ.get("PINJRA_TEST_DOCKER")
    folder = Path(kept or tempfile.mkdtemp(prefix="pinjra-docker-"))
    yield folder
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)


def prepare(folder: Path, *flags: str) -> dict[str, str]:
    """Return the environment that the script prints, or skip."""
    if shutil.which("apt-get") is None:
        pytest.skip("no apt-get to fetch a docker daemon with")
    done = subprocess.run(
        [str(SCRIPT), str(folder), *flags], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode:
        pytest.skip(f"no container runtime: {done.stderr.strip()[-300:]}")
    shown = subprocess.run(
        ["bash", "-c", done.stdout + "env -0"], capture_output=True, text=True, check=True
    ).stdout
    found = dict(line.partition("=")[::2] for line in shown.split("\0") if line)
    return {"PATH": found["PATH"], "DOCKER_HOST": found["DOCKER_HOST"]}


@pytest.fixture(scope="session")
def daemon(tools_folder: Path) -> Iterator[str]:
    """The address of a daemon that has the test image."""
    pytest.importorskip("docker", reason="the docker SDK is not installed")
    import docker
    from remote_standins import rootfs

    environment = prepare(tools_folder)
    client = docker.DockerClient(base_url=environment["DOCKER_HOST"])
    try:
        client.images.get(IMAGE)
    except docker.errors.ImageNotFound:
        packed = tools_folder / "root.tar"
        import numpy

        if not rootfs.build(packed, Path(numpy.__file__).parents[1]):
            pytest.skip("no system Python to make an image of")
        client.api.import_image_from_file(str(packed), repository="pinjra-test", tag="python")
    client.close()
    yield environment["DOCKER_HOST"]
    pid = int((tools_folder / "state" / "pid").read_text())
    os.kill(pid, signal.SIGTERM)
    (tools_folder / "state" / "docker.sock").unlink(missing_ok=True)


@pytest.fixture
def docker_executor(daemon: str) -> type[Any]:
    from pinjra.executors.docker import DockerExecutor

    class Here(DockerExecutor):
        def __init__(self, imports: Any = (), **options: Any) -> None:
            super().__init__(imports, image=IMAGE, base_url=daemon, **options)

    return Here


@pytest.fixture
def oci_executor(tools_folder: Path, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    monkeypatch.setenv("PATH", prepare(tools_folder, "--no-daemon")["PATH"])
    from pinjra.executors.oci import OciExecutor

    return OciExecutor


@pytest.mark.parametrize("name", ["docker_executor", "oci_executor"])
@pytest.mark.parametrize("wanted", CHECKS, ids=lambda check: check.name.replace(" ", "_"))
def test_a_container_keeps_the_contract(name: str, wanted: Check, request: pytest.FixtureRequest):
    result = run_check(request.getfixturevalue(name), wanted)
    if result.status == "skipped":
        pytest.skip(result.reason)
    assert result.status == "passed", result.reason


@pytest.mark.parametrize("name", ["docker_executor", "oci_executor"])
def test_a_container_gives_code_without_a_guard_nothing_of_the_host(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with request.getfixturevalue(name)(guard=False) as executor:
        for code in (
            f"open({str(secret)!r}).read()",
            "import socket; socket.create_connection(('127.0.0.1', 22), 1)",
            "import socket; socket.getaddrinfo('example.org', 80)",
            "open('/usr/new', 'w')",
            "import os; os.setuid(0)",
            "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.unshare(0x10000000) == 0, ctypes.get_errno()",
            "import ctypes; l = ctypes.CDLL(None, use_errno=True); assert l.mount(b'x', b'/tmp', b'tmpfs', 0, 0) == 0",
        ):
            assert executor.run(code).error is not None, code
        assert executor.run("import os; (os.getuid(), os.getgid())").value == (65534, 65534)
        ours = {"HOME", "HOSTNAME", "LANG", "LC_CTYPE", "MPLBACKEND", "MPLCONFIGDIR", "PATH", "PWD", "TMPDIR"}
        known = ours | {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}
        assert set(executor.run("import os; sorted(os.environ)").value) <= known
        status = executor.run("open('/proc/self/status').read()").value
        assert "CapEff:\t0000000000000000" in status
        assert "NoNewPrivs:\t1" in status
        assert "Seccomp:\t2" in status


def test_a_killed_container_is_noticed_and_named(docker_executor: Any, daemon: str):
    import docker

    client = docker.DockerClient(base_url=daemon)
    with docker_executor() as executor:
        executor.run("x = 1")
        for container in client.containers.list(filters={"label": "io.pinjra.host"}):
            container.kill()
        with pytest.raises(SessionLost, match="137"):
            executor.run("x")
    client.close()


def test_closing_leaves_no_container_and_a_dead_hosts_are_swept(docker_executor: Any, daemon: str):
    import docker

    from pinjra.executors.docker import LABEL, sweep
    from pinjra.executors.leases import holder

    client = docker.DockerClient(base_url=daemon)
    with docker_executor() as executor:
        executor.run("1")
    assert client.containers.list(all=True, filters={"label": LABEL}) == []
    host, boot, _, _ = holder().split("/")
    client.containers.create(IMAGE, ["true"], labels={LABEL: f"{host}/{boot}/1/12345"})
    sweep(client)
    assert client.containers.list(all=True, filters={"label": LABEL}) == []
    client.close()


def test_a_missing_daemon_is_one_clear_line():
    pytest.importorskip("docker", reason="the docker SDK is not installed")
    from pinjra.executors.docker import DockerExecutor

    with pytest.raises(ExecutorUnavailable, match="no docker daemon answers at unix:///nowhere"):
        DockerExecutor(base_url="unix:///nowhere")
