"""The stand-ins as fixtures: each a real server on loopback with the vendor's real SDK against it."""

from __future__ import annotations

import importlib
import os
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from remote_standins.daemon import running, wait_until_it_says
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

        def __init__(self, imports: Any = (), logger: Any = None, **options: Any) -> None:
            super().__init__(imports, logger, install=False, **options)

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

        def __init__(self, imports: Any = (), logger: Any = None, **options: Any) -> None:
            sandbox = SyncSandboxInstance(
                Sandbox(metadata=Metadata(name="x"), spec=SandboxSpec()), force_url=blaxel_server.url
            )
            super().__init__(imports, logger, install=False, sandbox=sandbox, **options)

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
def docker_tools() -> str:
    """The folder with runc and dockerd; `scripts/check --all` fetches them."""
    if os.geteuid() != 0:
        pytest.skip("containers need root here")
    found = subprocess.run([str(SCRIPT), "--path"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip(f"docker is {found.stderr.strip()}")
    return found.stdout.strip()


@pytest.fixture(scope="session")
def daemon(docker_tools: str) -> Iterator[str]:
    """The address of a daemon that has the test image."""
    docker = pytest.importorskip("docker", reason="the docker SDK is not installed")
    import numpy
    from remote_standins import rootfs

    with running("docker", [str(SCRIPT)]) as (folder, server):
        problem = wait_until_it_says("API listen on", server)
        assert not problem, problem
        address = f"unix://{folder}/docker.sock"
        packed = folder / "root.tar"
        if not rootfs.build(packed, Path(numpy.__file__).parents[1]):
            pytest.skip("no system Python to make an image of")
        client = docker.DockerClient(base_url=address)
        client.api.import_image_from_file(str(packed), repository="pinjra-test", tag="python")
        client.close()
        yield address


@pytest.fixture
def docker_executor(daemon: str) -> type[Any]:
    from pinjra.executors.containers.docker import DockerExecutor

    class Here(DockerExecutor):
        def __init__(self, imports: Any = (), logger: Any = None, **options: Any) -> None:
            super().__init__(imports, logger, image=IMAGE, base_url=daemon, **options)

    return Here


@pytest.fixture
def oci_executor(docker_tools: str, monkeypatch: pytest.MonkeyPatch) -> type[Any]:
    monkeypatch.setenv("PATH", f"{docker_tools}:{os.environ['PATH']}")
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
