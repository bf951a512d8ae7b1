"""A container of a Docker (or Podman) daemon, hardened -> a transport over its attached stdin and stdout.

One container a session; the worker is its only command, so that closing stdin ends it. No port, no `docker exec`, no network.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pinjra.core.access import Access
from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, MissingDependency, StartupFailed
from pinjra.core.limits import Limits
from pinjra.executors.bootstrap.first_bytes import bootstrap_command
from pinjra.executors.containers.ownership import holder, is_abandoned
from pinjra.executors.guarantees import BY_CONTAINER, Guarantees
from pinjra.executors.remote.base import RemoteTransport, Take, is_readable, refuse_pickle
from pinjra.executors.remote.packages import distributions_for, modules_of
from pinjra.executors.session.capabilities import IMAGE, MOUNTS, NOBODY, SCRATCH, links_to
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

LABEL = "io.pinjra.host"  # "<host name>/<boot id>/<pid>/<start time>": who holds the container
# Without which there is no worker, or no end of it.
OWN_SETTINGS = "command entrypoint stdin_open tty labels log_config image detach remove auto_remove"
NETWORK_SETTINGS = frozenset(("network", "network_mode", "ports", "links"))


@dataclass(kw_only=True, eq=False, repr=False)
class DockerExecutor(SessionExecutor):
    """Runs guest code in a container: no network, read-only root, no capabilities, an unprivileged user, limits by cgroup.

    Args:
        image: An image with Python 3.10 or later as `python3`. None: one is built once from `base_image` and cached, with the
            third-party authorised imports and `packages` in it.
        image_name: Another name of `image`, which is built first where it is not there or `build_new_image` says so.
        dockerfile_content: What to build `image_name` from; None: `base_image`.
        runtime: An OCI runtime that the daemon knows ("runsc" for gVisor).
        base_url: The daemon's address; None: `DOCKER_HOST` or the default socket. Podman's socket works too.
        cpus: Processors the container may use at one time.
        container_run_kwargs: Settings of the container, as the docker SDK names them, instead of ours: yours to answer for.
        additional_imports: Another name of `additional_authorized_imports`.
        logger, host, port: Taken for the sake of programs that were written for another library; no port is opened.
        allow_pickle: False; nothing is ever unpickled.

    Raises:
        MissingDependency: The docker SDK is not installed.
        ExecutorUnavailable: No daemon answers.
        StartupFailed: The container did not start.
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **SessionExecutor.ACCESS,
        "packages": "built into the image",
        "mounts": "bind mounts",
        "programs": "whatever the image has",
        "network": "the daemon's, all of it",
    }
    HOSTS = "all"
    PATIENCE = Patience(start_seconds=60.0, interrupt_seconds=0.2, kill_seconds=2.0, close_seconds=1.0)

    logger: object = field(default=None, kw_only=False)
    image: str | None = None
    image_name: str | None = None
    build_new_image: bool = True
    dockerfile_content: str | None = None
    base_image: str = IMAGE
    runtime: str | None = None
    base_url: str | None = None
    cpus: float = 1.0
    container_run_kwargs: Mapping[str, Any] | None = None
    additional_imports: Iterable[str] = ()
    allow_pickle: bool = False
    host: str = ""
    port: int = 0
    scratch: str = SCRATCH

    def _configure(self) -> None:
        refuse_pickle(self.allow_pickle)
        self.additional_authorized_imports = (*self.additional_authorized_imports, *self.additional_imports)
        self._given = dict(self.container_run_kwargs or {})
        for name in self._given.keys() & set(OWN_SETTINGS.split()):
            raise ConfigurationError(
                f"container_run_kwargs: {name!r} is what the worker is started and ended by; leave it out"
            )
        if self.image and self.access.packages:
            raise ConfigurationError(
                "packages= are built into an image of ours: leave image= out, or put them into yours"
            )
        self._links = links_to(self.access.mounts)
        packages = (
            ()
            if self.image
            else (*distributions_for(self.additional_authorized_imports), *self.access.packages)
        )
        self._client = connect(self.base_url)
        if not self.image:
            self._modules = modules_of(self.access.packages)
            recipe = self.dockerfile_content or f"FROM {self.base_image}\n"
            self.image = build_image(
                self._client, recipe, packages, name=self.image_name, is_new=self.build_new_image
            )

    def _open(self) -> Transport:
        sweep(self._client)
        settings = container_settings(self.limits, self.access, cpus=self.cpus)
        if self.runtime:
            settings["runtime"] = self.runtime
        settings.update(self._given)
        return DockerTransport(self._client, self.image or "", settings).start()

    def close(self) -> None:
        """End the session, remove its container, and close the connections to the daemon."""
        super().close()
        self._client.close()

    @classmethod
    def _check_here(cls) -> None:
        connect(None).close()

    @property
    def guarantees(self) -> Guarantees:
        runtime = [f"runtime {self.runtime}"] if self.runtime else []
        own = [f"settings of the caller: {', '.join(sorted(self._given))}"] if self._given else []
        walls = ("namespaces", "docker's seccomp profile", "no capabilities", "no-new-privileges")
        network = "" if self.access.open_network or self._given.keys() & NETWORK_SETTINGS else "none"
        isolation = (*runtime, *walls, "read-only root", *own)
        return self._enforced("container", *isolation, network=network, **BY_CONTAINER)


def connect(base_url: str | None) -> Any:
    """Return a client of a daemon that answers.

    Raises:
        MissingDependency: The docker SDK is not installed.
        ExecutorUnavailable: No daemon answers at that address.
    """
    try:
        import docker
    except ImportError:
        raise MissingDependency("the docker SDK", "pip install 'pinjra[docker]'") from None
    try:
        client = docker.DockerClient(base_url=base_url) if base_url else docker.from_env()
        client.ping()
    except Exception as error:  # the SDK raises requests' and its own errors here
        where = base_url or os.environ.get("DOCKER_HOST") or "the default socket"
        raise ExecutorUnavailable(
            f"no docker daemon answers at {where} ({type(error).__name__}); start one, set DOCKER_HOST, or use the jail"
        ) from error
    return client


def container_settings(limits: Limits, access: Access, *, cpus: float) -> dict[str, Any]:
    """Return what the container may do, read top to bottom by an auditor."""
    memory = limits.memory_bytes
    disk = limits.disk_bytes or 1 << 30
    # What is compiled in the scratch folder is to be started there, where programs may be started at all.
    execution = "exec" if access.programs else "noexec"
    return {
        "command": bootstrap_command(),
        "entrypoint": [],
        "user": f"{NOBODY}:{NOBODY}",  # SECURITY: nobody, also inside
        "cap_drop": ["ALL"],  # SECURITY: no capability at all
        "security_opt": ["no-new-privileges"],  # SECURITY: no setuid binary helps
        "read_only": True,  # SECURITY: nothing outlives the container
        "network_mode": "bridge" if access.open_network else "none",
        "ipc_mode": "none",
        "tmpfs": {
            SCRATCH: f"rw,nosuid,nodev,{execution},size={disk},nr_inodes=16384,mode=1777",
            "/tmp": "rw,nosuid,nodev,noexec,size=16m,nr_inodes=1024,mode=1777",  # noqa: S108  (in the container)
            # Locks and memory that processes share; without ipc_mode there is none. Counted as the container's memory.
            "/dev/shm": f"rw,nosuid,nodev,noexec,size={disk},nr_inodes=1024,mode=1777",  # noqa: S108
        },
        "working_dir": SCRATCH,
        "volumes": {
            mount.path: {"bind": f"{MOUNTS}/{name}", "mode": "rw" if mount.writable else "ro"}
            for name, mount in access.mounts
        },
        "mem_limit": memory,
        "memswap_limit": memory,  # the same number: no swap
        "pids_limit": (limits.processes or 512) + 8,  # supervisor, checkpoint and their helpers are ours
        "nano_cpus": int(cpus * 1e9),
        "stdin_open": True,
        "tty": False,
        "log_config": {"Type": "none", "Config": {}},  # else every frame is written to the daemon's disk
        "environment": {},
        "labels": {LABEL: holder()},
        "name": f"pinjra-{uuid.uuid4().hex[:12]}",
    }


class DockerTransport(RemoteTransport):
    """The attached stream of one container: 8-byte headers (1 = stdout, 2 = stderr; big-endian length) and payloads.

    Source of the framing: Docker Engine API, "Attach to a container", stream format.
    """

    VENDOR = "the container"
    INPUT_BYTES = 1 << 20
    eight_bit_clean = True

    def __init__(self, client: Any, image: str, settings: dict[str, Any]) -> None:
        super().__init__(None)
        self._client = client
        self._image = image
        self._settings = settings
        self._sockets: tuple[Any, ...] = ()

    def _start(self) -> None:
        self._sandbox = self._client.containers.create(self._image, **self._settings)
        streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
        attached = self._client.api.attach_socket(self._sandbox.id, params=streams)
        self._sockets = (getattr(attached, "_sock", attached), attached)  # both are closed at the end
        self._sandbox.start()

    def _listen(self, take: Take) -> None:
        stream, buffer = self._sockets[0], bytearray()
        while not self._closed.is_set():
            if is_readable(stream):
                data = stream.recv(1 << 18)
                if not data:
                    return
                buffer += data
                for kind, payload in _payloads(buffer):
                    if kind == 1:
                        take(payload)
                    else:
                        self._note_stderr(payload.decode("utf-8", "replace"))

    def _send(self, data: bytes) -> None:
        self._sockets[0].sendall(data)

    def _end(self) -> None:
        self._sandbox.remove(force=True, v=True)

    def _free(self) -> None:
        for stream in self._sockets:
            stream.close()

    def _ending(self) -> Iterator[str]:
        self._sandbox.reload()
        state = self._sandbox.attrs["State"]
        yield "still running" if state.get("Running") else f"exit status {state.get('ExitCode')}"
        yield "out of memory" if state.get("OOMKilled") else ""


def _payloads(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take whole payloads out of `buffer`, each with the number of its stream."""
    while len(buffer) >= 8 and len(buffer) >= (end := 8 + int.from_bytes(buffer[4:8], "big")):
        kind, payload = buffer[0], bytes(buffer[8:end])
        del buffer[:end]
        yield kind, payload


def build_image(
    client: Any, text: str, packages: tuple[str, ...], *, name: str | None, is_new: bool = False
) -> str:
    """Return the name of an image, built where need be.

    Args:
        text: Of a Dockerfile, which `packages` are added to.
        name: None: one that tells its content, so that it is built once.
        is_new: Build it although there is one of that name.

    Raises:
        ConfigurationError: A package's name could be more than a requirement (the caller's fault).
        StartupFailed: The build failed; the end of its log is in the message.
    """
    import docker.errors

    for package in packages:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._,\[\]=<>!~-]*", package):
            raise ConfigurationError(f"not a requirement: {package!r}")
    text = text.rstrip("\n") + "\n"
    if packages:
        quoted = " ".join(f"'{package}'" for package in packages)
        text += f"RUN python3 -m pip install --no-cache-dir {quoted}\n"
    tag = name or f"pinjra-python:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    try:
        client.images.get(tag)
        if name is None or not is_new:
            return tag
    except docker.errors.ImageNotFound:
        pass
    try:
        client.images.build(fileobj=io.BytesIO(text.encode()), tag=tag, rm=True)
    except docker.errors.DockerException as error:
        raise StartupFailed(f"the image {tag!r} could not be built: {error}"[:2000]) from error
    return tag


def sweep(client: Any) -> None:
    """Remove the containers that dead processes of this machine left behind."""
    with contextlib.suppress(Exception):  # a container may vanish while they are listed
        for container in client.containers.list(all=True, filters={"label": LABEL}):
            if is_abandoned(container.labels.get(LABEL, "")):
                with contextlib.suppress(Exception):  # somebody else removed it
                    container.remove(force=True, v=True)
