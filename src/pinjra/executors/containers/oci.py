"""An OCI bundle, run by `runc` or `runsc` without any daemon -> a transport on its stdin and stdout.

The root file system is a given folder or, without one, this machine's own Python, bound read-only into an empty root.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pinjra.core.access import Access
from pinjra.core.errors import (
    BackendError,
    ConfigurationError,
    ExecutorUnavailable,
    MissingDependency,
    StartupFailed,
)
from pinjra.core.limits import Limits
from pinjra.core.temporary_folders import discard_folder, own_folder
from pinjra.executors.bootstrap.first_bytes import bootstrap_command, bootstrap_payload
from pinjra.executors.guarantees import BY_CONTAINER, Guarantees
from pinjra.executors.pipes import SubprocessTransport
from pinjra.executors.session.capabilities import MOUNTS, NOBODY, SCRATCH, links_to
from pinjra.executors.session.connection import Patience
from pinjra.executors.session.executor import SessionExecutor
from pinjra.executors.session.transport import Transport

RUNTIMES = ("runc", "crun", "runsc")
STARTS = 3  # gVisor's systrap platform was seen to start and say nothing, 6 times of 40
COMMAND_SECONDS = 30
FIRST_BYTE_SECONDS = 20.0
# CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET: clone(2), linux/sched.h
NAMESPACE_FLAGS = (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000)
PACKAGES = "/packages"
PROGRAM_FOLDERS = "/usr/local/bin:/usr/bin:/bin"
SYSTEM_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")


MASKED_PATHS = "/proc/kcore /proc/keys /proc/latency_stats /proc/timer_list /proc/sched_debug /sys/firmware"
READONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
REFUSED_CALLS = """
    acct add_key bpf clock_adjtime clock_settime create_module delete_module fanotify_init finit_module fsconfig fsmount
    fsopen fspick get_mempolicy init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl kcmp
    kexec_file_load kexec_load keyctl lookup_dcookie mbind mount mount_setattr move_mount move_pages name_to_handle_at
    nfsservctl open_by_handle_at open_tree perf_event_open personality pivot_root process_madvise process_vm_readv
    process_vm_writev ptrace query_module quotactl reboot request_key set_mempolicy setns settimeofday stime swapoff
    swapon sysfs umount umount2 unshare uselib userfaultfd ustat vm86 vm86old
"""


@dataclass(kw_only=True, eq=False, repr=False)
class OciExecutor(SessionExecutor):
    """Runs guest code in a container of an OCI runtime: the hardening of the docker executor, an eighth of its start time.

    Args:
        runtime: "runc", "crun" or "runsc", or a path; None: the first that is installed.
        rootfs: A folder with a Python 3.10 or later; None: this machine's own, bound read-only.
        python: The interpreter inside; None: `python3` of `rootfs`, or the one that runs this program.
        platform: Of gVisor ("systrap", "ptrace", "kvm").

    Raises:
        MissingDependency: No runtime is installed.
        ExecutorUnavailable: Containers need root here.
        StartupFailed: The container did not start; what the runtime said is in the message.
    """

    ACCESS: ClassVar[Mapping[str, str]] = {
        **SessionExecutor.ACCESS,
        "mounts": "bind mounts",
        "packages": "wheels, a read-only layer, with this machine's own Python",
        "programs": "whatever the root file system has",
    }
    PATIENCE = Patience(start_seconds=60.0, interrupt_seconds=0.2, kill_seconds=2.0, close_seconds=1.0)

    runtime: str | None = None
    rootfs: str | None = None
    python: str | None = None
    platform: str | None = None
    cpus: float = 1.0
    scratch: str = SCRATCH

    def _configure(self) -> None:
        self._runtime = find_runtime(self.runtime)
        self._python = self.python or ("python3" if self.rootfs else os.path.realpath(sys.executable))
        self.starts: list[str] = []  # what empty starts said, for who wants to know
        self._layer = ""
        self._links = links_to(self.access.mounts)
        if self.access.programs:
            self._environment = (f"PATH={PROGRAM_FOLDERS}",)
        if self.access.packages:
            if self.rootfs is not None:
                raise ConfigurationError("packages= are for this machine's own Python: put them into rootfs=")
            from pinjra.access.layers import layer_for

            layer = layer_for(self.access.packages)
            self._layer, self._modules = layer.path, layer.modules
            self._environment = (*self._environment, f"PYTHONPATH={PACKAGES}")

    def _open(self) -> Transport:
        config = bundle_config(
            self.limits, self.access, python=self._python, rootfs=self.rootfs, cpus=self.cpus
        )
        if self._layer:
            config["mounts"].append(_bind(self._layer, PACKAGES))
        flags = ["--platform", self.platform, "--network=none"] if self.platform else []
        for _ in range(STARTS):
            transport = OciTransport(self._runtime, flags, config)
            try:
                transport.write(bootstrap_payload())
                transport.await_first_byte()
                return transport
            except (OSError, BackendError, StartupFailed) as error:
                self.starts.append(f"{error}. {transport.describe_death()}")
                transport.close()
        raise StartupFailed(f"{self._runtime} started {STARTS} times without a word: {self.starts[-1]}")

    @classmethod
    def _check_here(cls) -> None:
        find_runtime(None)

    @property
    def guarantees(self) -> Guarantees:
        walls = ("namespaces", "no capabilities", "no-new-privileges", "seccomp", "read-only root")
        runtime = Path(self._runtime).name
        return self._enforced("container", runtime, *walls, network="none", **BY_CONTAINER)


class OciTransport(SubprocessTransport):
    """The runtime in the foreground, its stdio the container's; the bundle is a temporary folder."""

    def __init__(self, runtime: str, flags: list[str], config: dict[str, Any]) -> None:
        self._folder, self._folder_lock = own_folder("pinjra-oci-")
        self._name = f"pinjra-{uuid.uuid4().hex[:12]}"
        self._base = [runtime, "--root", str(self._folder / "state"), *flags]
        (self._folder / "rootfs").mkdir()
        (self._folder / "config.json").write_text(json.dumps(config))
        command = [*self._base, "run", "--bundle", str(self._folder), self._name]
        try:
            super().__init__(command, environment={"PATH": os.environ.get("PATH", "")})
        except BaseException:
            self._discard()
            raise

    def await_first_byte(self) -> None:
        """Return when the worker speaks; raise `TimeoutError` when it says nothing, `StartupFailed` when it ended."""
        self._wait(FIRST_BYTE_SECONDS)
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        if not poll.poll(0)[0][1] & select.POLLIN:
            raise StartupFailed("the container ended before the worker spoke")

    def kill(self) -> None:
        """Kill the container, then the runtime in front of it."""
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            subprocess.run(  # noqa: S603  (the operator's runtime, no shell)
                [*self._base, "delete", "--force", self._name],
                capture_output=True,
                check=False,
                timeout=COMMAND_SECONDS,
            )
        super().kill()

    def close(self) -> None:
        super().close()
        self._discard()

    def _discard(self) -> None:
        discard_folder(self._folder, self._folder_lock)
        self._folder_lock = -1


def find_runtime(wanted: str | None) -> str:
    """Return the path of an OCI runtime.

    Raises:
        ExecutorUnavailable: This user may not start containers.
        MissingDependency: It, or any, is not installed.
    """
    if os.geteuid() != 0:
        raise ExecutorUnavailable("executor oci needs root (or use the jail, which needs no privilege)")
    for name in [wanted] if wanted else RUNTIMES:
        found = shutil.which(name)
        if found:
            return found
    raise MissingDependency(
        f"an OCI runtime ({wanted or ', '.join(RUNTIMES)})", "install runc, crun or gVisor's runsc"
    )


def bundle_config(
    limits: Limits, access: Access, *, python: str, rootfs: str | None, cpus: float
) -> dict[str, Any]:
    """Return config.json (OCI runtime specification 1.0), read top to bottom by an auditor."""
    memory = limits.memory_bytes
    disk = limits.disk_bytes or 1 << 30
    resources: dict[str, Any] = {
        "pids": {"limit": (limits.processes or 512) + 8},
        "cpu": {"quota": int(cpus * 100_000), "period": 100_000},
        "devices": [{"allow": False, "access": "rwm"}],  # SECURITY: no device but the ones below
    }
    if memory is not None:
        resources["memory"] = {"limit": memory + disk, "swap": memory + disk}
    return {
        "ociVersion": "1.0.2",
        "hostname": "pinjra",
        "root": {"path": rootfs or "rootfs", "readonly": True},
        "process": {
            "terminal": False,
            "user": {"uid": NOBODY, "gid": NOBODY},  # SECURITY: nobody, also inside
            "args": bootstrap_command(python),
            "env": [],
            "cwd": SCRATCH,
            "capabilities": {name: [] for name in ("bounding", "effective", "permitted", "inheritable", "ambient")},
            "noNewPrivileges": True,
            "rlimits": [{"type": "RLIMIT_CORE", "hard": 0, "soft": 0}, {"type": "RLIMIT_NOFILE", "hard": 256, "soft": 256}],
        },
        "mounts": [*_mounts(disk, rootfs, python, bool(access.programs)), *_shown(access)],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "resources": resources,
            "seccomp": _seccomp(),
            "maskedPaths": MASKED_PATHS.split(),
            "readonlyPaths": list(READONLY_PATHS),
        },
    }  # fmt: skip


def _mounts(disk_bytes: int, rootfs: str | None, python: str, has_programs: bool) -> list[dict[str, Any]]:
    plain = ["nosuid", "nodev", "noexec"]
    # What is compiled in the scratch folder is to be started there, where programs may be started at all.
    scratch = plain[:2] if has_programs else plain
    mounts = [
        _mount("/proc", "proc", plain),
        _mount("/dev", "tmpfs", ["nosuid", "noexec", "mode=755", "size=64k"]),
        # Locks and memory that processes share, counted as the container's memory.
        _mount("/dev/shm", "tmpfs", [*plain, "mode=1777", f"size={disk_bytes}", "nr_inodes=1024"]),  # noqa: S108
        _mount("/tmp", "tmpfs", [*plain, "mode=1777", "size=16m", "nr_inodes=1024"]),  # noqa: S108  (in the container)
        _mount(SCRATCH, "tmpfs", [*scratch, "mode=1777", f"size={disk_bytes}", "nr_inodes=16384"]),
    ]
    if rootfs is None:
        folders = [*SYSTEM_FOLDERS, *_python_folders(python)]
        mounts[:0] = [_bind(path, path) for path in folders if os.path.exists(path)]
    return mounts


def _shown(access: Access) -> list[dict[str, Any]]:
    # A folder of our own, so that none is made in the user's root file system.
    own = [_mount(MOUNTS, "tmpfs", ["nosuid", "nodev", "noexec", "mode=755", "size=64k"])]
    shown = ((f"{MOUNTS}/{name}", mount) for name, mount in access.mounts)
    binds = [_bind(mount.path, place, is_writable=mount.writable) for place, mount in shown]
    return [*own, *binds] if binds else []


def _bind(source: str, destination: str, *, is_writable: bool = False) -> dict[str, Any]:
    options = ["rbind", "rw" if is_writable else "ro", "nosuid", "nodev"]
    return {"destination": destination, "type": "bind", "source": source, "options": options}


def _mount(destination: str, kind: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": kind, "options": options}


def _python_folders(python: str) -> list[str]:
    """Return where the interpreter and its libraries lie, beyond the system's folders."""
    found = {os.path.realpath(p) for p in (sys.base_prefix, sys.prefix, os.path.dirname(python))}
    return sorted(
        p for p in found if not any(p == s or p.startswith(s + "/") for s in SYSTEM_FOLDERS) and p != "/"
    )


def _seccomp() -> dict[str, Any]:
    """Refuse what neither Python nor the worker needs, and what kernels were broken through."""
    return {
        "defaultAction": "SCMP_ACT_ALLOW",
        "architectures": ["SCMP_ARCH_X86_64"] if os.uname().machine == "x86_64" else ["SCMP_ARCH_AARCH64"],
        "syscalls": [
            {"names": REFUSED_CALLS.split(), "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
            {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},  # its flags cannot be filtered
            *[_no_clone(flag) for flag in NAMESPACE_FLAGS],
        ],
    }


def _no_clone(flag: int) -> dict[str, Any]:
    """Refuse `clone` with this flag: a masked comparison asks for all bits of the mask, so each has a rule of its own."""
    argument = {"index": 0, "value": flag, "valueTwo": flag, "op": "SCMP_CMP_MASKED_EQ"}
    return {"names": ["clone"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1, "args": [argument]}
