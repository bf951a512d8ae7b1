"""Remote backends side by side, against stand-ins and daemons on loopback: opening, round trip, tool call, 4 MiB value.

    python bench/remote.py [e2b modal blaxel daytona kubernetes docker oci ssh jupyter run_code …] [--reps 5] [--json out.json]

docker needs `scripts/docker-for-tests FOLDER` running, DOCKER_HOST=unix://FOLDER/docker.sock and PINJRA_TEST_IMAGE; oci needs
`scripts/docker-for-tests --path` on the PATH; ssh needs a folder with a running `scripts/sshd-for-tests` in
PINJRA_TEST_SSHD="FOLDER PORT". "jupyter" and "run_code" are what other libraries use (see `kernels`); they have no tools. All are measured
in turn, round by round, so that a busy machine is as busy for each. "round trip" ends when the next run may begin, with the checkpoint
that makes a rollback possible; a kernel has none, so that "without rollback" is the like for like. A vendor's network comes on top.
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

import kernels
from kernels import TRIPS, once

FIGURES = ("open to first result", "round trip", "without rollback", "tool call", "4 MiB value", "close")


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
        trips = _round_trips(executor, "round trip", add)
        total = once(lambda: executor.run(f"for i in range({TRIPS}):\n    echo(i)"))
        add("tool call", (total - statistics.median(trips)) / TRIPS)
        add("4 MiB value", once(lambda: executor.run("b'x' * (4 << 20)")))
    finally:
        add("close", once(executor.close))
    with create_executor(name, executor_kwargs={**options, "rollback": False}) as executor:
        executor.run("1 + 1")
        _round_trips(executor, "without rollback", add)


def _round_trips(executor: Any, figure: str, add: Callable[[str, float], None]) -> list[float]:
    """Note how long short runs took, one after the other."""
    trips = [once(lambda: executor.run("x = 1 + 1")) for _ in range(TRIPS)]
    for trip in trips:
        add(figure, trip)
    return trips


def measure(names: list[str], reps: int) -> dict[str, dict[str, list[float]]]:
    """Return backend -> figure -> milliseconds, one round of all backends after the other."""
    found: dict[str, dict[str, list[float]]] = {}
    with contextlib.ExitStack() as stack:
        uses: dict[str, Callable[[Callable[[str, float], None]], None]] = {}
        for name in names:
            try:
                uses[name] = opened(name, stack)
            except Exception as error:  # a backend that is not here is told, the others are measured
                print(f"{name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
        for _ in range(reps):
            for name, use in list(uses.items()):
                figures = found.setdefault(name, {})
                try:
                    use(lambda figure, value, into=figures: into.setdefault(figure, []).append(value))  # type: ignore[misc]
                except Exception as error:
                    print(f"{name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
                    del uses[name]
    return found


def opened(name: str, stack: contextlib.ExitStack) -> Callable[[Callable[[str, float], None]], None]:
    """Return what opens, uses and closes one session of a backend."""
    if name == "jupyter":
        return kernels.jupyter
    if name == "run_code":
        return stack.enter_context(kernels.run_code())
    options = stack.enter_context(PLACES[name]())
    return lambda add: session(name, options, add)


def table(found: dict[str, dict[str, list[float]]], show: Callable[[str, str], str]) -> None:
    """Print one row a backend."""
    print(f"| backend | {' | '.join(FIGURES)} |\n|{' --- |' * (len(FIGURES) + 1)}")
    for name in found:
        print(f"| {name} | {' | '.join(show(name, figure) for figure in FIGURES)} |")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=["e2b", "modal", "blaxel", "daytona", "kubernetes"])
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--json")
    options = parser.parse_args()
    warnings.simplefilter("ignore", DeprecationWarning)
    before = os.getloadavg()[0]
    found = measure(options.names, options.reps)
    print(
        f"least (median) of {options.reps} rounds, ms; load {before:.1f} before, {os.getloadavg()[0]:.1f} after\n"
    )

    def milliseconds(name: str, figure: str) -> str:
        values = found[name].get(figure)
        return f"{min(values):.1f} ({statistics.median(values):.1f})" if values else "–"

    def times(name: str, figure: str) -> str:
        ours, theirs = found[name].get(figure), found["jupyter"].get(figure)
        return f"{min(ours) / min(theirs):.2f}" if ours and theirs else "–"

    table(found, milliseconds)
    if "jupyter" in found:
        print("\ntimes a Jupyter kernel's least\n")
        table(found, times)
    if options.json:
        Path(options.json).write_text(json.dumps({"load": before, "milliseconds": found}, indent=1))


if __name__ == "__main__":
    main()
