"""Docker and OCI runtimes for real: the contract, agents, and what the container must not be able to do.

As root, where `scripts/docker-for-tests --fetch` was run (as `scripts/check --all` does); elsewhere these tests skip.
"""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
from remote_standins.chosen import chosen, keep_contract, named
from remote_standins.shared import check_full_scratch_folder, check_row

from pinjra.cli.agent_checks import AGENT_CHECKS
from pinjra.core.access import Mount
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, SessionLost
from pinjra.executors.conformance.suite import Check

IMAGE = "pinjra-test:python"
KINDS = ["docker", "oci"]

pytestmark = [
    pytest.mark.docker,
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root here"),
]


@pytest.fixture
def make(request: pytest.FixtureRequest, kind: str) -> Any:
    """The executor's class."""
    return request.getfixturevalue(f"{kind}_executor")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [*chosen(), *AGENT_CHECKS], ids=named)
def test_a_container_keeps_the_contract(make: Any, wanted: Check):
    keep_contract(make, wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_says_what_a_container_says(make: Any, kind: str):
    with make() as executor:
        check_row(kind, executor.guarantees)


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_scratch_folder_of_a_container_is_an_error_of_the_guest(make: Any):
    check_full_scratch_folder(make)


@pytest.mark.parametrize("kind", KINDS)
def test_a_container_gives_code_without_a_guard_nothing_of_the_host(make: Any, tmp_path: Path):
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    with make(guard=False) as executor:
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
        known = ours | {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_SKIP_CPU_CHECK"}
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

    from pinjra.executors.containers.docker import LABEL, sweep
    from pinjra.executors.containers.ownership import holder

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
    from pinjra.executors.containers.docker import DockerExecutor

    with pytest.raises(ExecutorUnavailable, match="no docker daemon answers at unix:///nowhere"):
        DockerExecutor(base_url="unix:///nowhere")


@pytest.mark.parametrize("kind", KINDS)
def test_a_mount_that_is_writable_is_written_through(make: Any, tmp_path: Path):
    tmp_path.chmod(0o777)  # the guest is another user
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    with make(mounts={"out": Mount(str(tmp_path), writable=True)}, programs=["sh"], guard=False) as executor:
        done = executor.exec(["sh", "-c", "echo made >out/new.txt"])
        assert (done.status, done.error) == (0, None), done.stderr
        assert (tmp_path / "new.txt").read_text() == "made\n"
        executor.reset()  # empties the scratch folder, and nothing that is the user's
        assert executor.run("import os\nos.listdir(), os.listdir('out')").value == (["out"], ["new.txt"])
    assert (tmp_path / "new.txt").read_text() == "made\n"
    with make(mounts={"in": tmp_path, "one": tmp_path / "new.txt"}, guard=False) as executor:
        assert executor.run("open('in/new.txt').read() + open('one').read()").value == "made\nmade\n"
        assert executor.run("open('in/other.txt', 'w')").error is not None


def test_documented_parameters_of_docker_work_or_are_refused(docker_executor: Any, daemon: str):
    from pinjra.executors.containers.docker import DockerExecutor

    settings = {"mem_limit": "300m", "hostname": "mine"}
    with docker_executor([], None, host="127.0.0.1", port=8888, container_run_kwargs=settings) as executor:
        assert executor.run("1").value == 1
        (container,) = executor._client.containers.list(filters={"label": "io.pinjra.host"})
        assert container.attrs["HostConfig"]["Memory"] == 300 << 20
        assert "settings of the caller: hostname, mem_limit" in executor.guarantees.isolation
    with pytest.raises(ConfigurationError, match="'command' is what the worker is started and ended by"):
        docker_executor(container_run_kwargs={"command": "sh"})
    with pytest.raises(ConfigurationError, match="ever unpickled"):
        docker_executor(allow_pickle=True)
    recipe = f"FROM {IMAGE}\nENV MADE=1\n"
    for _ in range(2):  # the second finds it
        with DockerExecutor(
            image_name="pinjra-test:made",
            dockerfile_content=recipe,
            build_new_image=False,
            base_url=daemon,
            guard=False,
        ) as executor:
            assert executor.run("import os\nos.path.exists('/usr/bin/python3')").value is True
    with pytest.raises(ConfigurationError, match="packages= are built into an image of ours"):
        docker_executor(packages=["six"])


def test_packages_are_a_read_only_layer_of_an_oci_container(
    oci_executor: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    info = "tinyone-1.0.dist-info"
    with zipfile.ZipFile(tmp_path / "tinyone-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("tinyone.py", "answer = 42\n")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tinyone\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    settings = {"NO_INDEX": "1", "FIND_LINKS": str(tmp_path), "CONFIG_FILE": os.devnull}
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("PINJRA_CACHE", str(tmp_path / "cache"))
    with oci_executor(packages=["tinyone"]) as executor:
        assert executor.run("import tinyone\ntinyone.answer").value == 42
        assert executor.run("open('/packages/tinyone.py', 'w')").error is not None
    with pytest.raises(ConfigurationError, match="put them into rootfs="):
        oci_executor(packages=["tinyone"], rootfs=str(tmp_path))
    for folder, _, _ in os.walk(tmp_path / "cache"):
        os.chmod(folder, 0o700)  # so that pytest can remove it


@pytest.mark.parametrize("kind", KINDS)
def test_pools_of_processes_work_in_a_container(make: Any):
    with make() as executor:
        pool = "import multiprocessing\nwith multiprocessing.Pool(2) as pool:\n    found = pool.map(abs, [-1, -2])\nfound"
        done = executor.run(pool)
        assert (done.value, done.error) == ([1, 2], None)
