"""The stand-ins as fixtures: each a real server on loopback with the vendor's real SDK against it."""

from __future__ import annotations

import importlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_standins.page import page as page
from remote_standins.sshd import ssh as ssh
from remote_standins.sshd import sshd as sshd

from pinjra.executors.base import PythonExecutor

Make = Callable[..., PythonExecutor]
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "docker-for-tests"
IMAGE = "pinjra-test:python"


def standin(sdk: str, name: str) -> Any:
    """Return a fixture: the stand-in of that class, from the start of the tests to their end."""

    @pytest.fixture(scope="session")
    def server() -> Iterator[Any]:
        pytest.importorskip(sdk, reason=f"the SDK {sdk} is not installed", exc_type=ImportError)
        module = importlib.import_module(f"remote_standins.standin_{name.removesuffix('StandIn').lower()}")
        made = getattr(module, name)()
        yield made
        made.close()

    return server


e2b_server = standin("e2b_code_interpreter", "E2BStandIn")
modal_server = standin("modal", "ModalStandIn")
blaxel_server = standin("blaxel", "BlaxelStandIn")
kubernetes_server = standin("kubernetes", "KubernetesStandIn")
daytona_server = standin("daytona", "DaytonaStandIn")


@pytest.fixture
def e2b(e2b_server: Any, monkeypatch: pytest.MonkeyPatch) -> type[PythonExecutor]:
    monkeypatch.setenv("E2B_API_URL", e2b_server.url)
    monkeypatch.setenv("E2B_SANDBOX_URL", e2b_server.url)
    monkeypatch.setenv("E2B_API_KEY", "e2b_" + "0" * 40)
    from pinjra.executors.remote.e2b import E2BExecutor

    class Installed(E2BExecutor):
        """The stand-in's sandbox is this machine: what is there need not be installed."""

        def __init__(self, imports: Any = (), **options: Any) -> None:
            super().__init__(imports, install=False, **options)

    return Installed


@pytest.fixture
def modal(modal_server: Any, monkeypatch: pytest.MonkeyPatch) -> type[PythonExecutor]:
    monkeypatch.setenv("MODAL_SERVER_URL", modal_server.url)
    monkeypatch.setenv("MODAL_TOKEN_ID", "ak-x")
    monkeypatch.setenv("MODAL_TOKEN_SECRET", "as-x")
    from pinjra.executors.remote.modal import ModalExecutor

    return ModalExecutor


@pytest.fixture
def blaxel(blaxel_server: Any, monkeypatch: pytest.MonkeyPatch) -> type[PythonExecutor]:
    monkeypatch.setenv("BL_API_KEY", "k")
    monkeypatch.setenv("BL_WORKSPACE", "w")
    from blaxel.core import SyncSandboxInstance
    from blaxel.core.client.models import Metadata, Sandbox, SandboxSpec

    from pinjra.executors.remote.blaxel import BlaxelExecutor

    class OnLoopback(BlaxelExecutor):
        """The control plane's address is fixed in the SDK, so the sandbox is given."""

        def __init__(self, imports: Any = (), **options: Any) -> None:
            sandbox = SyncSandboxInstance(
                Sandbox(metadata=Metadata(name="x"), spec=SandboxSpec()), force_url=blaxel_server.url
            )
            super().__init__(imports, install=False, sandbox=sandbox, **options)

    return OnLoopback


@pytest.fixture
def kubernetes(
    kubernetes_server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> type[PythonExecutor]:
    monkeypatch.setenv("KUBECONFIG", str(kubernetes_server.kubeconfig(tmp_path)))
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig")
    )
    from pinjra.executors.kubernetes.executor import KubernetesExecutor

    class Here(KubernetesExecutor):
        """The stand-in's pods are this machine, which has no /scratch: the worker makes a folder."""

        def __init__(self, imports: Any = (), **options: Any) -> None:
            super().__init__(imports, **{"scratch": "", **options})

    return Here


@pytest.fixture
def daytona(daytona_server: Any, monkeypatch: pytest.MonkeyPatch) -> type[PythonExecutor]:
    monkeypatch.setenv("DAYTONA_API_URL", f"{daytona_server.url}/api")
    monkeypatch.setenv("DAYTONA_API_KEY", "dtn_" + "0" * 40)
    monkeypatch.setenv("DAYTONA_USE_DEPRECATED_POLLING", "true")  # the stand-in has no stream of events
    from pinjra.executors.remote.daytona import DaytonaExecutor

    class Installed(DaytonaExecutor):
        """The stand-in's sandbox is this machine: what is there need not be installed."""

        def __init__(self, imports: Any = (), **options: Any) -> None:
            super().__init__(imports, **{"install": False, **options})

        def _open(self) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of polling
                return super()._open()

    return Installed


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
    if os.geteuid() != 0:
        pytest.skip("containers need root here")
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
    if os.environ.get("PINJRA_TEST_DOCKER"):
        return  # whoever named the folder keeps its daemon
    stop(int((tools_folder / "state" / "pid").read_text()))


def stop(daemon: int) -> None:
    """End a daemon, and wait until it has ended what it started itself."""
    handle = os.pidfd_open(daemon)
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    ended, _, _ = select.select([handle], [], [], 60)
    os.close(handle)
    assert ended, "dockerd does not end"


@pytest.fixture
def docker_executor(daemon: str) -> type[Any]:
    from pinjra.executors.containers.docker import DockerExecutor

    class Here(DockerExecutor):
        def __init__(self, imports: Any = (), **options: Any) -> None:
            super().__init__(imports, image=IMAGE, base_url=daemon, **options)

    return Here


@pytest.fixture
def oci_executor(tools_folder: Path, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    monkeypatch.setenv("PATH", prepare(tools_folder, "--no-daemon")["PATH"])
    from pinjra.executors.containers.oci import OciExecutor

    return OciExecutor


@pytest.fixture
def http() -> Iterator[Make]:
    """Executors in a real service, in a thread of this process."""
    import functools
    import threading

    uvicorn = pytest.importorskip("uvicorn")
    from pinjra.executors.http import HttpExecutor
    from pinjra.server.http.app import create_app
    from pinjra.server.http.settings import ServeSettings

    server = uvicorn.Server(uvicorn.Config(create_app(ServeSettings(port=0)), port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        thread.join(0.02)
        assert thread.is_alive(), "the service has ended"
    port = server.servers[0].sockets[0].getsockname()[1]
    yield functools.partial(HttpExecutor, url=f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join()
