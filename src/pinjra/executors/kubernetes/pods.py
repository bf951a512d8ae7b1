"""A Kubernetes namespace -> running pods: made, claimed from a warm pool, swept, and the policy that takes their network away."""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pinjra.core.errors import ConfigurationError, MissingDependency, StartupFailed
from pinjra.executors.containers.ownership import holder, is_abandoned
from pinjra.executors.kubernetes.manifests import LABELS, OURS, POLICY, network_policy

LEASE = "pinjra.io/host"  # annotation: who holds the pod
CALL_SECONDS = 30.0  # of one request to the API server
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.05, 1.0  # at a pod that starts
# A container that waits for one of these waits for ever.
HOPELESS = (
    "ErrImageNeverPull InvalidImageName CreateContainerConfigError CreateContainerError RunContainerError"
)


def connect(kubeconfig: str | None, context: str | None) -> Any:
    """Return a client for a cluster; asks the cluster nothing.

    Raises:
        MissingDependency: The client is not installed.
        ConfigurationError: No cluster is configured.
    """
    try:
        from kubernetes import client, config
    except ImportError:
        raise MissingDependency("the Kubernetes client", "pip install 'pinjra[kubernetes]'") from None
    settings = client.Configuration()
    try:
        config.load_kube_config(kubeconfig, context, client_configuration=settings)
    except config.ConfigException as error:
        try:
            if kubeconfig or context:
                raise config.ConfigException from error
            config.load_incluster_config(client_configuration=settings)
        except config.ConfigException:
            raise ConfigurationError(
                f"Kubernetes needs a cluster: set KUBECONFIG, or pass kubeconfig= and context= ({error})"
            ) from None
    return client.ApiClient(settings)


@dataclass(frozen=True)
class Pod:
    """One running pod, and how to get rid of it."""

    core: Any
    namespace: str
    name: str
    delete: Callable[[], object]

    def describe(self) -> str:
        """Return how the cluster says that it ended; "" while it runs."""
        try:
            status = self.core.read_namespaced_pod(
                self.name, self.namespace, _request_timeout=CALL_SECONDS
            ).status
        except Exception:  # the pod or the API server is gone
            return "the pod is gone"
        ended = [c.state.terminated for c in status.container_statuses or [] if c.state.terminated]
        words = [f"{e.reason} (exit status {e.exit_code})" for e in ended]
        if status.reason:
            words.append(f"{status.reason}: {status.message}")
        return ", ".join(words)


class Cluster:
    """One namespace: starts, claims and sweeps pods.

    Raises, from every method:
        StartupFailed: The cluster refused or did not do it in time.
    """

    def __init__(self, api_client: Any, namespace: str) -> None:
        from kubernetes import client

        self._api_client = api_client
        self._core = client.CoreV1Api(api_client)
        self._networking = client.NetworkingV1Api(api_client)
        self._namespace = namespace

    def create(self, spec: dict[str, Any], start_seconds: float, *, has_network: bool) -> Pod:
        """Return a new pod that runs."""
        name = f"pinjra-{uuid.uuid4().hex[:12]}"
        labels = {**LABELS, "pinjra.io/network": "cluster"} if has_network else LABELS
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": labels, "annotations": {LEASE: holder()}},
            "spec": spec,
        }
        with _failing("the cluster did not take the pod"):
            self._core.create_namespaced_pod(self._namespace, manifest, _request_timeout=CALL_SECONDS)
        pod = Pod(self._core, self._namespace, name, lambda: self._delete(name))
        try:
            self._await_running(name, start_seconds)
        except BaseException:
            with contextlib.suppress(Exception):  # it may be gone; else its lifetime ends it
                pod.delete()
            raise
        return pod

    def _delete(self, name: str) -> None:
        self._core.delete_namespaced_pod(
            name, self._namespace, grace_period_seconds=0, _request_timeout=CALL_SECONDS
        )

    def _await_running(self, name: str, start_seconds: float) -> None:
        deadline, look, state = time.monotonic() + start_seconds, FIRST_LOOK_SECONDS, "pending"
        while time.monotonic() < deadline:
            with _failing("the pod vanished as it started"):
                pod = self._core.read_namespaced_pod(name, self._namespace, _request_timeout=CALL_SECONDS)
            state, is_hopeless = _state(pod.status)
            if pod.status.phase == "Running" and not is_hopeless:
                return
            if is_hopeless:
                raise StartupFailed(f"the pod did not start: {state}")
            time.sleep(look)
            look = min(2 * look, LAST_LOOK_SECONDS)
        raise StartupFailed(f"the pod did not start within {start_seconds:g} s: {state}")

    def claim(self, warm_pool: str, start_seconds: float, timeout_seconds: int) -> Pod:
        """Return a pod of a warm pool, claimed for one session."""
        try:
            from k8s_agent_sandbox import SandboxClient
        except ImportError:
            raise MissingDependency(
                "agent-sandbox's client (for warm_pool=)", "pip install 'pinjra[kubernetes]'"
            ) from None
        claims = SandboxClient(api_client=self._api_client)
        with _failing(f"no pod could be claimed from the warm pool {warm_pool!r}"):
            box = claims.create_sandbox(
                warm_pool,
                namespace=self._namespace,
                sandbox_ready_timeout=int(start_seconds),
                labels=OURS,
                shutdown_after_seconds=timeout_seconds,
            )
            return Pod(self._core, self._namespace, box.get_pod_name(), box.terminate)

    def require_policy(self) -> None:
        """See that the NetworkPolicy exists that takes the pods' network away; make it where there is none."""
        from kubernetes.client import ApiException

        networking, place = self._networking, self._namespace
        advice = "Apply the one of docs/remote.md and let this user get it, or pass network=True"
        with _failing(f"the NetworkPolicy {POLICY!r} cannot be had in namespace {place!r}", advice):
            try:
                networking.read_namespaced_network_policy(POLICY, place, _request_timeout=CALL_SECONDS)
            except ApiException as missing:
                if missing.status != 404:
                    raise
                policy = network_policy(place)
                try:
                    networking.create_namespaced_network_policy(place, policy, _request_timeout=CALL_SECONDS)
                except ApiException as error:
                    if error.status != 409:  # somebody else has just made it
                        raise

    def sweep(self) -> None:
        """Delete the pods that dead processes of this machine left behind."""
        ((label, value),) = OURS.items()
        with contextlib.suppress(Exception):  # a user who may not list pods leaves it to their lifetime
            listed = self._core.list_namespaced_pod(
                self._namespace, label_selector=f"{label}={value}", _request_timeout=CALL_SECONDS
            )
            for pod in listed.items:
                if is_abandoned((pod.metadata.annotations or {}).get(LEASE, "")):
                    with contextlib.suppress(Exception):  # somebody else deleted it
                        self._delete(pod.metadata.name)


@contextlib.contextmanager
def _failing(what: str, advice: str = "") -> Iterator[None]:
    try:
        yield
    except Exception as error:  # the client's and its HTTP client's own errors
        raise StartupFailed(f"{what}: {reason_of(error)}" + (f". {advice}" if advice else "")) from error


def _state(status: Any) -> tuple[str, bool]:
    """Return what a pod's status says, and whether waiting is in vain."""
    words, is_hopeless = [status.phase or "Pending"], status.phase in ("Failed", "Succeeded")
    for container in status.container_statuses or []:
        waiting = container.state.waiting
        if waiting is not None and waiting.reason:
            words.append(f"{waiting.reason} {waiting.message or ''}".strip())
            is_hopeless = is_hopeless or waiting.reason in HOPELESS.split()
    for condition in status.conditions or []:
        if condition.status == "False" and condition.message:
            words.append(condition.message)
    if status.message:
        words.append(status.message)
    return "; ".join(words)[:1000], is_hopeless


def reason_of(error: BaseException) -> str:
    """Return an API error in one line: status and the server's message, never headers."""
    status, body = getattr(error, "status", None), getattr(error, "body", None)
    if status is None:
        return f"{type(error).__name__}: {error}"[:500]
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        message = json.loads(body or "")["message"]
        return f"HTTP {status}: {message}"[:500]
    return f"HTTP {status}: {getattr(error, 'reason', '')}"[:500]
