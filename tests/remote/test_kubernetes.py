"""The stock Kubernetes client against a stand-in API server: what is asked of it, and faults."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pinjra import Mount, sandbox
from pinjra.core.errors import ConfigurationError, SessionLost, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.containers.ownership import holder
from pinjra.executors.kubernetes.manifests import LABELS, network_policy, sandbox_template


@pytest.fixture
def quiet(kubernetes_server: Any) -> Iterator[Any]:
    """The server without injected faults, before and after."""
    yield kubernetes_server
    kubernetes_server.next_phase = {}
    kubernetes_server.faults.clear()


def test_a_pod_is_asked_for_with_nothing_that_it_does_not_need(kubernetes: Any, kubernetes_server: Any):
    limits = Limits(memory_bytes=256 << 20, disk_bytes=32 << 20)
    with kubernetes(limits=limits, timeout_seconds=77, runtime_class="gvisor", scratch=""):
        pod = kubernetes_server.created[-1]
        assert pod["metadata"]["labels"] == LABELS
        assert pod["metadata"]["annotations"]["pinjra.io/host"] == holder()
    spec = pod["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["activeDeadlineSeconds"] == 77
    assert spec["runtimeClassName"] == "gvisor"
    (container,) = spec["containers"]
    security = container["securityContext"]
    assert security["runAsNonRoot"] is True
    assert security["runAsUser"] == 65534
    assert security["allowPrivilegeEscalation"] is False
    assert security["readOnlyRootFilesystem"] is True
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert "env" not in container
    assert int(container["resources"]["limits"]["memory"]) >= (256 + 32) << 20
    assert {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": str(32 << 20)}} in spec[
        "volumes"
    ]


def test_mounts_are_volumes_of_the_pod_as_a_manifest_says_them(kubernetes: Any, kubernetes_server: Any):
    mounts = {
        "data": "persistentVolumeClaim:dataset/2024",
        "out": Mount("persistentVolumeClaim:results", writable=True),
        "settings": "configMap:settings",
        "work": "emptyDir:2Gi",
        "models": "hostPath:/srv/models",
    }
    with kubernetes(mounts=mounts) as executor:
        links = {name: f"/mnt/{name}" for name in mounts}
        for _ in range(2):  # they are no files of the scratch folder: emptying it leaves the volumes alone
            assert executor.run("import os\n{n: os.readlink(n) for n in os.listdir()}").value == links
            executor.reset()
        assert executor.guarantees.files == (
            "scratch on a memory volume, persistentVolumeClaim read-only, persistentVolumeClaim, configMap read-only, "
            "emptyDir, hostPath read-only"
        )
    spec = kubernetes_server.created[-1]["spec"]
    assert spec["volumes"][2:] == [
        {"name": "mount-0", "persistentVolumeClaim": {"claimName": "dataset", "readOnly": True}},
        {"name": "mount-1", "persistentVolumeClaim": {"claimName": "results"}},
        {"name": "mount-2", "configMap": {"name": "settings"}},
        {"name": "mount-3", "emptyDir": {"sizeLimit": "2Gi"}},
        {"name": "mount-4", "hostPath": {"path": "/srv/models"}},
    ]
    assert spec["containers"][0]["volumeMounts"][2:] == [
        {"name": "mount-0", "mountPath": "/mnt/data", "readOnly": True, "subPath": "2024"},
        {"name": "mount-1", "mountPath": "/mnt/out", "readOnly": False},
        {"name": "mount-2", "mountPath": "/mnt/settings", "readOnly": True},
        {"name": "mount-3", "mountPath": "/mnt/work", "readOnly": False},
        {"name": "mount-4", "mountPath": "/mnt/models", "readOnly": True},
    ]


def test_a_pods_manifest_has_no_field_that_the_api_does_not_know(kubernetes: Any, kubernetes_server: Any):
    from kubernetes.client import ApiClient

    with kubernetes(mounts={"data": "persistentVolumeClaim:dataset", "conf": "configMap:settings/a.yaml"}):
        spec = kubernetes_server.created[-1]["spec"]
    api = ApiClient()
    read = api.deserialize(json.dumps(spec), "V1PodSpec", None)
    assert api.sanitize_for_serialization(read) == spec


@pytest.mark.parametrize(
    ("mount", "words"),
    [
        (Mount("configMap:settings", writable=True), "no pod can write to a configMap; name a persistentV"),
        ("persistentVolumeClaim:", "is none of"),
        ("persistentVolumeClaim:../dataset", "is none of"),
        ("persistentVolumeClaim:dataset/../other", "is none of"),
        ("emptyDir:much", "is none of"),
        ("hostPath:srv", "is none of"),
        ("hostPath:/srv/../etc", r"dangerous=True"),
        ("hostPath:/var/lib/kubelet", r"Mount\('hostPath:/var/lib/kubelet', dangerous=True\)"),
        ("secret:key", "there is no 'secret:key'"),
        (Mount("/usr/share", writable=True), r'executor_type="jail" or "docker", or Mount\("persistentVol'),
    ],
)
def test_a_volume_that_cannot_be_is_refused_before_a_pod_is_asked_for(
    kubernetes: Any, kubernetes_server: Any, mount: object, words: str
):
    before = len(kubernetes_server.created)
    with pytest.raises(ConfigurationError, match=words):
        kubernetes(mounts={"it": mount})
    with pytest.raises(ConfigurationError, match="SandboxTemplate"):
        kubernetes(mounts={"it": "configMap:settings"}, warm_pool="pool")
    assert len(kubernetes_server.created) == before


def test_a_cluster_s_volume_elsewhere_is_refused_with_the_name_of_what_has_it():
    for name in ("local", "wasm"):
        with pytest.raises(ConfigurationError, match=r'no configMap.*executor_type="kubernetes" has it'):
            sandbox(name, mounts={"it": "configMap:settings"})


def test_a_claimed_pods_template_is_as_hard_as_a_pod_of_ours():
    template = sandbox_template("pinjra", Limits(), image="registry/python:3.12", runtime_class="kata")
    spec = template["spec"]["podTemplate"]["spec"]
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["runtimeClassName"] == "kata"
    assert template["spec"]["podTemplate"]["metadata"]["labels"] == LABELS


def test_the_policy_that_takes_the_network_away_is_made_once_and_covers_the_pods(kubernetes: Any, quiet: Any):
    quiet.policies.clear()
    with kubernetes() as executor:
        assert executor.guarantees.network == "NetworkPolicy"
    policy = quiet.policies["pinjra-no-network"]
    assert policy == network_policy("default")
    assert policy["spec"]["podSelector"]["matchLabels"] == quiet.created[-1]["metadata"]["labels"]
    assert policy["spec"]["egress"] == [] == policy["spec"]["ingress"]


def test_without_the_right_to_the_policy_no_pod_is_started(kubernetes: Any, quiet: Any):
    quiet.policies.clear()
    quiet.faults.refusals = [403]
    before = len(quiet.created)
    with pytest.raises(StartupFailed, match=r"'pinjra-no-network' cannot be had.*HTTP 403.*docs/remote\.md"):
        kubernetes()
    assert len(quiet.created) == before
    with kubernetes(network=True) as executor:
        assert executor.guarantees.network == ""
    assert quiet.created[-1]["metadata"]["labels"]["pinjra.io/network"] == "cluster"


def test_closing_deletes_the_pod_and_a_dead_hosts_are_swept(kubernetes: Any, kubernetes_server: Any):
    host, boot, _, _ = holder().split("/")
    for name, lease in (("dead", f"{host}/{boot}/1/12345"), ("elsewhere", f"other/{boot}/1/12345")):
        metadata = {"name": name, "labels": dict(LABELS), "annotations": {"pinjra.io/host": lease}}
        kubernetes_server.pods[name] = {"metadata": metadata, "status": {"phase": "Running"}}
    with kubernetes() as first, kubernetes() as second:
        assert first.run("1").value == second.run("1").value == 1
        assert len(kubernetes_server.pods) == 3
    assert set(kubernetes_server.pods) == {"elsewhere"}
    kubernetes_server.pods.clear()


def test_a_cut_stream_is_a_loss_that_is_noticed_at_once_and_reset_starts_anew(
    kubernetes: Any, kubernetes_server: Any
):
    with kubernetes() as executor:
        executor.send_tools({"cut": kubernetes_server.cut})
        executor.run("x = 1")
        with pytest.raises(SessionLost):
            executor.run("cut()\nx")
        with pytest.raises(SessionLost):
            executor.run("x")
        executor.reset()
        assert executor.run("'x' in globals()").value is False
    assert kubernetes_server.pods == {}


def test_an_expired_lifetime_is_named(kubernetes: Any, kubernetes_server: Any):
    with kubernetes() as executor:
        executor.run("x = 1")
        (name,) = kubernetes_server.pods
        kubernetes_server.on_loop(kubernetes_server.expire, name)
        with pytest.raises(SessionLost, match="DeadlineExceeded"):
            executor.run("x")


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory"}, "low on memory"),
        (
            {
                "phase": "Pending",
                "containerStatuses": [
                    {
                        "name": "guest",
                        "image": "x",
                        "imageID": "",
                        "ready": False,
                        "restartCount": 0,
                        "state": {"waiting": {"reason": "InvalidImageName", "message": "no such name"}},
                    }
                ],
            },
            "InvalidImageName no such name",
        ),
    ],
)
def test_a_pod_that_cannot_start_says_why_and_is_deleted(
    kubernetes: Any, quiet: Any, given: dict[str, Any], words: str
):
    quiet.next_phase = given
    with pytest.raises(StartupFailed, match=words):
        kubernetes()
    assert quiet.pods == {}


def test_a_pod_that_stays_pending_says_what_it_waits_for(kubernetes: Any, quiet: Any):
    unschedulable = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }
    quiet.next_phase = {"phase": "Pending", "conditions": [unschedulable]}
    with pytest.raises(StartupFailed, match=r"within 0\.2 s: Pending; 0/3 nodes are available"):
        kubernetes(start_seconds=0.2)
    assert quiet.pods == {}


@pytest.mark.parametrize("code", [403, 500, 503])
def test_a_refused_pod_is_told_with_the_servers_words(kubernetes: Any, quiet: Any, code: int):
    with kubernetes():
        pass  # the policy is there
    quiet.faults.refusals = [code]
    with pytest.raises(StartupFailed, match=f"HTTP {code}: injected: no pod for you"):
        kubernetes()


def test_a_session_claims_a_warm_pod_without_environment_and_gives_it_back(
    kubernetes: Any, kubernetes_server: Any
):
    pytest.importorskip("k8s_agent_sandbox", reason="agent-sandbox's client is not installed")
    before = len(kubernetes_server.created)
    with kubernetes(warm_pool="pool", timeout_seconds=600) as executor:
        ((name, claim),) = kubernetes_server.claims.items()
        assert claim["spec"]["warmPoolRef"] == {"name": "pool"}
        assert "env" not in claim["spec"]
        assert "shutdownTime" in claim["spec"]["lifecycle"]
        assert executor.run("x = 20\nx + 1").value == 21
        assert executor.run("x").value == 20
        assert list(kubernetes_server.claims) == [name]
        assert "warm pool 'pool'" in executor.guarantees.isolation[0]
    assert kubernetes_server.claims == {}
    assert len(kubernetes_server.created) == before
    with pytest.raises(StartupFailed, match="no pod could be claimed from the warm pool 'empty'"):
        kubernetes(warm_pool="empty")


def test_a_server_that_speaks_only_the_older_protocol_does(tmp_path: Path):
    pytest.importorskip("kubernetes", reason="the Kubernetes client is not installed", exc_type=ImportError)
    from remote_standins.standin_kubernetes import KubernetesStandIn

    from pinjra.executors.kubernetes.executor import KubernetesExecutor

    server = KubernetesStandIn(("v4.channel.k8s.io",))
    try:
        config = server.kubeconfig(tmp_path)
        with KubernetesExecutor(kubeconfig=str(config), scratch="") as executor:
            assert executor.run("print('x' * 100_000)\n7").value == 7
            with pytest.raises(SessionLost, match="exit status 137"):
                executor.send_tools({"kill": lambda: kill_all(server)})
                executor.run("kill()\n1")
    finally:
        server.close()


def kill_all(server: Any) -> None:
    """Kill the processes; the pods and their streams are left to tell it."""
    from remote_standins.served import kill_group

    for ends in server.running.values():
        for process, _socket in ends:
            server.on_loop(kill_group, process)


def test_a_missing_cluster_is_one_clear_line(kubernetes: Any, tmp_path: Path):
    with pytest.raises(ConfigurationError, match="set KUBECONFIG"):
        kubernetes(kubeconfig=str(tmp_path / "nowhere"))


def test_a_cluster_that_does_not_answer_is_told(kubernetes: Any, tmp_path: Path):
    config = (tmp_path / "kubeconfig").read_text()
    address = config.partition('"server": "')[2].partition('"')[0]
    (tmp_path / "dead").write_text(config.replace(address, "http://127.0.0.1:9"))
    with pytest.raises(StartupFailed, match="cannot be had"):
        kubernetes(kubeconfig=str(tmp_path / "dead"))


def test_tokens_are_in_no_text_of_an_executor(kubernetes: Any):
    with kubernetes() as executor:
        shown = repr(executor) + str(executor.guarantees) + str(executor.run("1 / 0"))
        assert "token-of-a-user" not in shown
