"""Limits -> the manifests of a hardened pod, of the network policy beside it, and of a warm pool's template. Plain data."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pinjra.core.access import Mount
from pinjra.core.errors import ConfigurationError
from pinjra.core.file_names import is_file_name
from pinjra.core.limits import Limits
from pinjra.executors.session.capabilities import MOUNTS, NOBODY, SCRATCH

CONTAINER = "guest"
POLICY = "pinjra-no-network"
OURS = {"app.kubernetes.io/managed-by": "pinjra"}
LABELS = {**OURS, "pinjra.io/network": "none"}
# Supervisor, checkpoint and the first process, besides the guest's memory and scratch folder.
OWN_BYTES = 96 << 20
TEMPORARY_BYTES = 16 << 20  # the worker's zip lies there
_OBJECT = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")  # RFC 1123, as the API server checks names
_QUANTITY = re.compile(r"[0-9]+(\.[0-9]+)?([kMGTPE]|[KMGTPE]i)?")
_HELD_BY = {"persistentVolumeClaim": "claimName", "configMap": "name"}  # the field that names what is mounted
# The container's first process: it waits, and lets the kernel reap what the sessions leave behind.
FIRST = "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.sigwait({signal.SIGTERM})"


def pod_spec(
    limits: Limits,
    *,
    image: str,
    cpus: float = 1.0,
    runtime_class: str | None = None,
    lifetime_seconds: int | None = None,
) -> dict[str, Any]:
    """Return the `spec` of a pod, read top to bottom by an auditor.

    Args:
        runtime_class: A RuntimeClass of the cluster ("gvisor", "kata").
        lifetime_seconds: After which the cluster ends the pod, whatever the host does; None: not.
    """
    disk = limits.disk_bytes or 1 << 30
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,  # SECURITY: no credential of the cluster in the pod
        "enableServiceLinks": False,  # SECURITY: no addresses of the cluster's services in the environment
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "terminationGracePeriodSeconds": 0,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "runAsGroup": NOBODY,
            "fsGroup": NOBODY,
            "fsGroupChangePolicy": "OnRootMismatch",  # else every start goes through all files of a writable claim
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(limits, image, cpus, disk)],
        "volumes": [
            {"name": "scratch", "emptyDir": {"medium": "Memory", "sizeLimit": str(disk)}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(TEMPORARY_BYTES)}},
        ],
    }
    if lifetime_seconds is not None:
        spec["activeDeadlineSeconds"] = lifetime_seconds
    if runtime_class:
        spec["runtimeClassName"] = runtime_class
    return spec


def _container(limits: Limits, image: str, cpus: float, disk: int) -> dict[str, Any]:
    resources: dict[str, str] = {"cpu": f"{int(cpus * 1000)}m", "ephemeral-storage": "64Mi"}
    if limits.memory_bytes is not None:
        # What lies on a volume of medium Memory counts against the container's memory.
        resources["memory"] = str(limits.memory_bytes + disk + TEMPORARY_BYTES + OWN_BYTES)
    return {
        "name": CONTAINER,
        "image": image,
        "command": ["python3", "-I", "-S", "-c", FIRST],
        "workingDir": SCRATCH,
        "stdin": False,
        "tty": False,
        "resources": {"limits": resources, "requests": resources},  # the same numbers: no overcommitment
        "securityContext": {
            "allowPrivilegeEscalation": False,  # SECURITY: no setuid binary helps
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": NOBODY,
            "capabilities": {"drop": ["ALL"]},  # SECURITY: no capability at all
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": "scratch", "mountPath": SCRATCH},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  (in the pod)
        ],
    }


def add_volumes(spec: dict[str, Any], mounts: Iterable[tuple[str, Mount]]) -> None:
    """Add volumes of the cluster to a pod's `spec`, each at its name below `MOUNTS`.

    Raises:
        ConfigurationError: A volume is named as none can be, or cannot be written to (the caller's fault).
    """
    for number, (name, mount) in enumerate(mounts):
        source, place = _volume(name, mount)
        volume = f"mount-{number}"
        spec["volumes"].append({"name": volume, **source})
        shown = {"name": volume, "mountPath": f"{MOUNTS}/{name}", "readOnly": not mount.writable, **place}
        spec["containers"][0]["volumeMounts"].append(shown)


def _volume(name: str, mount: Mount) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a volume's source, and what its mount says of where in it."""
    kind, _, said = mount.path.partition(":")
    held, slash, below = said.partition("/")
    if kind == "configMap" and mount.writable:
        raise ConfigurationError(
            f"mounts= for {name!r}: no pod can write to a configMap; name a persistentVolumeClaim, or leave writable= out"
        )
    if kind == "hostPath" and said.startswith("/") and ".." not in said.split("/"):
        return {kind: {"path": said}}, {}
    if kind == "emptyDir" and (not said or _QUANTITY.fullmatch(said)):
        return {kind: {"sizeLimit": said} if said else {}}, {}
    if kind in _HELD_BY and _OBJECT.fullmatch(held) and (is_file_name(below) or not slash):
        # Read-only here too: else the cluster gives all files of the claim to the pod's group.
        own = {"readOnly": True} if kind == "persistentVolumeClaim" and not mount.writable else {}
        return {kind: {_HELD_BY[kind]: held, **own}}, {"subPath": below} if below else {}
    raise ConfigurationError(
        f'mounts= for {name!r}: {mount.path!r} is none of "persistentVolumeClaim:NAME", "configMap:NAME" (or NAME/PATH in it), '
        '"emptyDir:", "emptyDir:1Gi", "hostPath:/PATH"'
    )


def network_policy(namespace: str = "default") -> dict[str, Any]:
    """Return the NetworkPolicy that lets nothing in or out of the pods of `LABELS`, where the cluster enforces policies."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "namespace": namespace, "labels": dict(LABELS)},
        "spec": {
            "podSelector": {"matchLabels": dict(LABELS)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }


def sandbox_template(name: str, limits: Limits, *, image: str, **options: Any) -> dict[str, Any]:
    """Return the SandboxTemplate of agent-sandbox whose pods are as hard as ours, for a SandboxWarmPool to refer to.

    Args:
        options: Of `pod_spec`.
    """
    return {
        "apiVersion": "extensions.agents.x-k8s.io/v1beta1",
        "kind": "SandboxTemplate",
        "metadata": {"name": name},
        "spec": {
            "podTemplate": {
                "metadata": {"labels": dict(LABELS)},
                "spec": pod_spec(limits, image=image, **options),
            }
        },
    }
