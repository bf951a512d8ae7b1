"""The same fleet on Ray and on services: real ones, of which one dies in the middle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types

import httpx
import pytest
from remote_standins.ports import held_port

from pinjra.fleet import Case, Fleet


def codes(count):
    return [f"print({i} * 2)" for i in range(count)]


def checked(results, count):
    found = {done.index: (done.ok, done.stdout, done.reason) for done in results}
    assert found == {i: (True, f"{2 * i}\n", "") for i in range(count)}


@pytest.fixture(scope="module")
def cluster():
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112  (else what runs beside this comes first)
    from ray.cluster_utils import Cluster

    # Ray's sockets are among its files: their path must be short, whatever TMPDIR says.
    place = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ["RAY_TMPDIR"] = place
    with pytest.MonkeyPatch.context() as patch:
        # it gives a node 30 s to start, whatever else the machine has to do: here they last 300
        slow = {**vars(time), "monotonic": lambda: time.monotonic() / 10}
        patch.setattr("ray._private.node.time", types.SimpleNamespace(**slow))
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        made.second = made.add_node(num_cpus=1)
        ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()
    shutil.rmtree(place, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_node_that_is_killed_loses_nothing_and_does_nothing_twice(cluster):
    with Fleet("ray", boxes=1, most_boxes=1) as fleet:
        checked(fleet.map(codes(100)), 100)
        verdict = fleet.score_sync("def f(x): return x", [Case(test="assert f(1) == 1", entry="f")])
        assert verdict.status == "passed"
        reach = "import socket\nfor port in (6379, 8265, 10001):\n    socket.create_connection(('127.0.0.1', port), 1)"
        assert fleet.submit(reach).result().ok is False
        seen = []
        for done in fleet.map(codes(600)):
            seen.append(done)
            if len(seen) == 50:
                cluster.remove_node(cluster.second, allow_graceful=False)
        assert len(seen) == 600
        checked(seen, 600)


@pytest.mark.slow
def test_services_share_the_work_and_one_that_dies_is_passed_over():
    held = [held_port(), held_port()]
    ports = [each.getsockname()[1] for each in held]
    processes = [
        subprocess.Popen([sys.executable, "-m", "pinjra", "serve", "--port", str(port)]) for port in ports
    ]
    try:
        for port, process in zip(ports, processes, strict=True):
            _await(f"http://127.0.0.1:{port}/ready", process)
        with Fleet(",".join(f"http://127.0.0.1:{port}" for port in ports), boxes=2, most_boxes=4) as fleet:
            seen = []
            for done in fleet.map(codes(200)):
                seen.append(done)
                if len(seen) == 40:
                    processes[0].send_signal(signal.SIGKILL)
            checked(seen, 200)
    finally:
        for process, each in zip(processes, held, strict=True):
            process.terminate()
            process.wait()
            each.close()


def _await(address, process):
    while process.poll() is None:
        try:
            if httpx.get(address).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.05)
    raise AssertionError("the service has ended")
