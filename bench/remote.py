"""Remote backends side by side, against stand-ins and daemons on loopback: opening, round trip, tool call, 4 MiB value.

    python bench/remote.py [e2b modal blaxel daytona kubernetes docker oci ssh jupyter …] [--reps 5] [--json out.json]

docker and oci need `eval "$(scripts/docker-for-tests FOLDER)"` first and PINJRA_TEST_IMAGE; ssh needs a folder with a running `scripts/sshd-for-tests` in
PINJRA_TEST_SSHD="FOLDER PORT". "jupyter" is a kernel driven as other libraries do it, by execute requests (ipykernel and jupyter_client must be
installed); it has no tools. Figures are medians in milliseconds of this machine and of loopback: a vendor's network comes on top. The vendors' own
code interpreters are not measured here: E2B's server wants two kernels, a fixed port and a home folder of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "remote"))

TRIPS = 30
FIGURES = ("open to first result", "round trip", "tool call", "4 MiB value", "close")


def once(function: Callable[[], Any]) -> float:
    """Return milliseconds."""
    started = time.perf_counter()
    function()
    return (time.perf_counter() - started) * 1e3


# ---------------------------------------------------------------- where each is found


@contextlib.contextmanager
def e2b() -> Iterator[dict[str, Any]]:
    from remote_standins.standin_e2b import E2BStandIn

    server = E2BStandIn()
    os.environ.update(E2B_API_URL=server.url, E2B_SANDBOX_URL=server.url, E2B_API_KEY="e2b_" + "0" * 40)
    yield {"install": False}
    server.close()


@contextlib.contextmanager
def modal() -> Iterator[dict[str, Any]]:
    from remote_standins.standin_modal import ModalStandIn

    server = ModalStandIn()
    os.environ.update(MODAL_SERVER_URL=server.url, MODAL_TOKEN_ID="ak-x", MODAL_TOKEN_SECRET="as-x")
    yield {}
    server.close()


@contextlib.contextmanager
def blaxel() -> Iterator[dict[str, Any]]:
    from blaxel.core import SyncSandboxInstance
    from blaxel.core.client.models import Metadata, Sandbox, SandboxSpec
    from remote_standins.standin_blaxel import BlaxelStandIn

    server = BlaxelStandIn()
    os.environ.update(BL_API_KEY="k", BL_WORKSPACE="w")
    box = Sandbox(metadata=Metadata(name="x"), spec=SandboxSpec())
    yield {"install": False, "sandbox": SyncSandboxInstance(box, force_url=server.url)}
    server.close()


@contextlib.contextmanager
def daytona() -> Iterator[dict[str, Any]]:
    from remote_standins.standin_daytona import DaytonaStandIn

    server = DaytonaStandIn()
    os.environ.update(DAYTONA_API_URL=f"{server.url}/api", DAYTONA_API_KEY="k")
    os.environ["DAYTONA_USE_DEPRECATED_POLLING"] = "true"
    yield {"install": False}
    server.close()


@contextlib.contextmanager
def kubernetes() -> Iterator[dict[str, Any]]:
    from remote_standins.standin_kubernetes import KubernetesStandIn

    server = KubernetesStandIn()
    with tempfile.TemporaryDirectory() as folder:
        yield {"kubeconfig": str(server.kubeconfig(Path(folder))), "scratch": ""}
    server.close()


@contextlib.contextmanager
def docker() -> Iterator[dict[str, Any]]:
    yield {"image": os.environ.get("PINJRA_TEST_IMAGE", "pinjra-test:python")}


@contextlib.contextmanager
def oci() -> Iterator[dict[str, Any]]:
    yield {}


@contextlib.contextmanager
def ssh() -> Iterator[dict[str, Any]]:
    folder, _, port = os.environ["PINJRA_TEST_SSHD"].partition(" ")
    flags = ["-F", "none", "-i", f"{folder}/key", "-p", port, "-o", "StrictHostKeyChecking=no"]
    flags += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    yield {"host": "visitor@127.0.0.1", "python": "/usr/bin/python3", "options_ssh": flags}


PLACES = {f.__name__: f for f in (e2b, modal, blaxel, daytona, kubernetes, docker, oci, ssh)}


# ---------------------------------------------------------------- what is measured


def session(name: str, options: dict[str, Any], add: Callable[[str, float], None]) -> None:
    """Open, use and close one session of ours."""
    from pinjra import create_executor

    started = time.perf_counter()
    executor = create_executor(name, executor_kwargs=options)
    try:
        assert executor.run("1 + 1").value == 2
        add("open to first result", (time.perf_counter() - started) * 1e3)
        executor.send_tools({"echo": lambda x: x})
        executor.run("echo(1)")
        trips = [once(lambda: executor.run("x = 1 + 1")) for _ in range(TRIPS)]
        add("round trip", statistics.median(trips))
        total = once(lambda: executor.run(f"for i in range({TRIPS}):\n    echo(i)"))
        add("tool call", (total - statistics.median(trips)) / TRIPS)
        add("4 MiB value", once(lambda: executor.run("b'x' * (4 << 20)")))
    finally:
        add("close", once(executor.close))


def jupyter(add: Callable[[str, float], None]) -> None:
    """Start, use and end one kernel, as libraries do that run cells in one."""
    from jupyter_client.manager import start_new_kernel

    started = time.perf_counter()
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        client.execute_interactive("1 + 1", output_hook=lambda _: None)
        add("open to first result", (time.perf_counter() - started) * 1e3)
        trips = [
            once(lambda: client.execute_interactive("x = 1 + 1", output_hook=lambda _: None))
            for _ in range(TRIPS)
        ]
        add("round trip", statistics.median(trips))
        code = "import base64; print(base64.b64encode(b'x' * (4 << 20)).decode())"
        add("4 MiB value", once(lambda: client.execute_interactive(code, output_hook=lambda _: None)))
    finally:
        client.stop_channels()
        add("close", once(lambda: manager.shutdown_kernel(now=True)))


def measure(name: str, reps: int) -> dict[str, float]:
    """Return figure -> median milliseconds."""
    samples: dict[str, list[float]] = {}

    def add(figure: str, milliseconds: float) -> None:
        samples.setdefault(figure, []).append(milliseconds)

    if name == "jupyter":
        for _ in range(reps):
            jupyter(add)
    else:
        with PLACES[name]() as options:
            for _ in range(reps):
                session(name, options, add)
    return {figure: statistics.median(values) for figure, values in samples.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["e2b", "modal", "blaxel", "daytona", "kubernetes"])
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    found: dict[str, dict[str, float]] = {}
    print(
        f"| backend | {' | '.join(f'{figure}, ms' for figure in FIGURES)} |\n|{' --- |' * (len(FIGURES) + 1)}"
    )
    for name in options.names:
        try:
            found[name] = measure(name, options.reps)
        except Exception as error:  # a backend that is not here is told, the others are measured
            print(f"{name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
            continue
        cells = [f"{found[name][f]:.1f}" if f in found[name] else "–" for f in FIGURES]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    if options.json:
        Path(options.json).write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
