"""A Kubernetes pod, hardened -> a transport over the WebSocket of one `exec` in it. A pod, or a claim, a session.

The stock client makes the connection (credentials, TLS, proxies). Its frames are read here one at a time: the client's own
`update` reads on for as long as a pod talks and keeps all of it, so that a talkative guest would fill the host's memory.
What does not work: settings in the environment (a claim that sets any cannot use the warm pool), and attaching again (the
process dies with its stream, so the loss is an error).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from pinjra.core.errors import BackendError, ConfigurationError
from pinjra.executors.bootstrap.first_bytes import bootstrap_command
from pinjra.executors.guarantees import Guarantees
from pinjra.executors.kubernetes.manifests import CONTAINER, add_volumes, pod_spec
from pinjra.executors.kubernetes.pods import CALL_SECONDS, Cluster, Pod, connect, reason_of
from pinjra.executors.remote.base import RemoteTransport, Take, is_readable
from pinjra.executors.session.capabilities import IMAGE, SCRATCH, links_to
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.transport import Transport
from pinjra.executors.session.uploading import UploadingExecutor

WALLS = (
    "pod", "seccomp RuntimeDefault", "no capabilities", "no privilege escalation", "read-only root"
)  # fmt: skip
CHANNEL_CLOSED = 255  # of v5: the next byte names the channel that ended
TEXT_FRAME, BINARY_FRAME, CLOSE_FRAME = 1, 2, 8  # RFC 6455, section 5.2
DATA_FRAMES = (TEXT_FRAME, BINARY_FRAME)
# Channels of v4.channel.k8s.io: the first byte of each WebSocket frame.
STDIN, STDOUT, STDERR, STATUS = range(4)
STATUS_BYTES = 4096  # of the message in which an exec's end is told


@dataclass(kw_only=True, eq=False, repr=False)
class KubernetesExecutor(UploadingExecutor):
    """Runs guest code in a pod of its own: no network, read-only root, no capabilities, an unprivileged user.

    Args:
        namespace: Of the pod.
        image: With Python 3.10 or later as `python3`, and what guest code may import.
        runtime_class: A RuntimeClass of the cluster ("gvisor", "kata").
        warm_pool: Name of a SandboxWarmPool of agent-sandbox: the session claims one of its pods, whose template then
            decides image, resources and hardening.
        container: Where the worker runs in a claimed pod; None: its first one.
        scratch: The scratch folder in the pod; None: `/scratch`, or one that the worker makes in a claimed pod.
        timeout_seconds: Lifetime of the pod: how long it outlives a dead host.
        start_seconds: For the pod to run.
        kubeconfig, context: As kubectl takes them; None: the environment's, or the cluster that this program runs in.
        network: True leaves the pod's network as the cluster makes it. Else the NetworkPolicy `pinjra-no-network` must exist, and
            is made where this user may.
        mounts: Volumes of the cluster, or copies of folders of this machine.

    Raises:
        MissingDependency: The Kubernetes client (or agent-sandbox's) is not installed.
        ConfigurationError: There is no cluster configuration.
        StartupFailed: The pod did not start, or its network cannot be taken away.
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **UploadingExecutor.ACCESS,
        "mounts": "volumes of the pod; folders of this machine uploaded at the start, never written back",
        "programs": "whatever the image has",
        "network": "the cluster's, all of it",
    }
    HOSTS = "all"
    VOLUMES = True
    PATIENCE = Patience(start_seconds=120.0, interrupt_seconds=0.5, kill_seconds=5.0, close_seconds=2.0)

    namespace: str = "default"
    image: str = IMAGE
    runtime_class: str | None = None
    cpus: float = 1.0
    warm_pool: str | None = None
    container: str | None = None
    scratch: str | None = None  # type: ignore[assignment]  # None: by `warm_pool`
    timeout_seconds: int = 3600
    start_seconds: float = 180.0
    kubeconfig: str | None = None
    context: str | None = None

    def _configure(self) -> None:
        if self.scratch is None:
            self.scratch = "" if self.warm_pool else SCRATCH
        self._api_client = connect(self.kubeconfig, self.context)
        self._volumes = [(name, mount) for name, mount in self.access.mounts if mount.volume]
        if self._volumes and self.warm_pool:
            raise ConfigurationError(
                f"mounts= for {self._volumes[0][0]!r}: a pod of a warm pool has the volumes of its SandboxTemplate; put it "
                "there, or leave warm_pool= out"
            )
        self._spec = pod_spec(
            self.limits,
            image=self.image,
            cpus=self.cpus,
            runtime_class=self.runtime_class,
            lifetime_seconds=self.timeout_seconds,
        )
        add_volumes(self._spec, self._volumes)
        self._links = links_to(self._volumes)

    def _open(self) -> Transport:
        cluster = Cluster(self._api_client, self.namespace)
        if self.warm_pool:
            pod: Pod = cluster.claim(self.warm_pool, self.start_seconds, self.timeout_seconds)
        else:
            cluster.sweep()
            if not self.access.open_network:
                cluster.require_policy()
            pod = cluster.create(self._spec, self.start_seconds, has_network=self.access.open_network)
        container = self.container or (None if self.warm_pool else CONTAINER)
        return KubernetesTransport(pod, container).start()

    @classmethod
    def _check_here(cls) -> None:
        connect(None, None)

    @property
    def guarantees(self) -> Guarantees:
        if self.warm_pool:
            pool = f"pod of the warm pool {self.warm_pool!r}: hardened as its SandboxTemplate says"
            missing = ("network: as the warm pool's SandboxTemplate says",)
            return self._enforced("container", pool, files="scratch folder in the pod", missing=missing)
        runtime = [f"runtime class {self.runtime_class}"] if self.runtime_class else []
        shown = [f"{mount.volume}{'' if mount.writable else ' read-only'}" for _, mount in self._volumes]
        policy = "network: the cluster's network plugin must enforce NetworkPolicy; not every one does"
        return self._enforced(
            "container",
            *(*runtime, *WALLS),
            network="" if self.access.open_network else "NetworkPolicy",
            memory="cgroup, RLIMIT_DATA",
            cpu="measured by the supervisor, cgroup share",
            disk="emptyDir sizeLimit, supervisor's quota",
            processes="counted by the supervisor, the kubelet's pod limit",
            files=", ".join(("scratch on a memory volume", *shown)),
            missing=() if self.access.open_network else (policy,),
        )


class KubernetesTransport(RemoteTransport):
    """The channels of one exec: the first byte of each binary WebSocket message names the channel.

    Source: Kubernetes, remotecommand subprotocols v4.channel.k8s.io and v5.channel.k8s.io (v5 adds a message that closes one).
    """

    VENDOR = "the pod"
    INPUT_BYTES = 64 << 10
    eight_bit_clean = True

    def __init__(self, pod: Pod, container: str | None) -> None:
        super().__init__(pod)
        self._container = {"container": container} if container else {}
        self._status = b""
        self._using = threading.Lock()  # one TLS connection may not be read and written at the same time
        self._socket: Any = None

    def _start(self) -> None:
        from kubernetes.stream import stream

        pod: Pod = self._sandbox
        try:
            client = stream(
                pod.core.connect_get_namespaced_pod_exec,
                pod.name,
                pod.namespace,
                command=bootstrap_command(),
                stdin=True,
                stdout=True,
                stderr=True,
                tty=False,
                binary=True,
                _preload_content=False,
                **self._container,
            )
        except Exception as error:
            raise BackendError(f"pod {pod.name}: {reason_of(error)}") from error
        self._socket = client.sock
        self._socket.settimeout(CALL_SECONDS)

    def _listen(self, take: Take) -> None:
        """Hand over what comes on stdout, until the stream or its stdout ends."""
        while not self._closed.is_set():
            if self._socket.sock is None:
                raise BackendError("the connection was closed")
            if not is_readable(self._socket.sock):
                continue
            with self._using:  # not while it waits
                kind, frame = self._socket.recv_data_frame(True)
            if kind == CLOSE_FRAME:
                return
            if kind not in DATA_FRAMES or not frame.data:
                continue
            channel, data = frame.data[0], bytes(frame.data[1:])
            if channel == STDOUT:
                take(data)
            elif channel == STDERR:
                self._note_stderr(data.decode("utf-8", "replace"))
            elif channel == STATUS:
                self._status = (self._status + data)[:STATUS_BYTES]
            elif channel == CHANNEL_CLOSED and data == bytes([STDOUT]):
                return

    def _send(self, data: bytes) -> None:
        with self._using:
            self._socket.send_binary(bytes([STDIN]) + data)

    def _end(self) -> None:
        self._sandbox.delete()

    def _free(self) -> None:
        self._socket.shutdown()

    def _ending(self) -> Iterator[str]:
        yield _exit_of(self._status)
        yield "the pod was deleted" if self._closed.is_set() else self._sandbox.describe()


def _exit_of(status: bytes) -> str:
    """Return the exit status in the last message of an exec (a `Status` object); "" without one."""
    try:
        said = json.loads(status)
        if said["status"] == "Success":
            return "exit status 0"
        causes = said.get("details", {}).get("causes", [])
        code = next((c["message"] for c in causes if c.get("reason") == "ExitCode"), "")
        return f"exit status {code}" if code else str(said.get("message", ""))[:500]
    except (ValueError, TypeError, KeyError, AttributeError):
        return ""
