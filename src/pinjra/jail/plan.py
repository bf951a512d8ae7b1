"""Profile + kernel + what the caller requires -> the mechanisms that a session gets, or JailUnavailable. Never weaker."""

from __future__ import annotations

import errno
from collections.abc import Collection
from dataclasses import dataclass

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable, StartupFailed
from pinjra.jail import profile
from pinjra.jail.probe import Kernel

_FULL = (errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.ENOSPC)
_CHOICES = (
    "Choices: a kernel of 5.13 or later with Landlock and seccomp; user namespaces for this user "
    "(sysctl kernel.unprivileged_userns_clone=1, or an AppArmor profile that allows them); a container run with a seccomp "
    'profile that lets them through; or another executor (executor_type="docker", "wasm", a remote one, or "local", '
    "which takes what this kernel gives and promises nothing)."
)


class JailUnavailable(ExecutorUnavailable):
    """The machine's fault: the jail cannot give here what was asked. Names what is missing and the choices."""


def unavailable(what: str, why: str) -> JailUnavailable:
    """Return the error that says what cannot be had here, why, and the choices."""
    return JailUnavailable(f"the jail cannot give {what} here ({why}). {_CHOICES}")


def refused(name: str, error: Exception) -> ExecutorUnavailable | StartupFailed:
    """Return the error for a call that this machine refuses; that there is no room for one more now is no lack of its kernel."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return StartupFailed(f"the jail did not start: {name}: {error}")
    return unavailable("a start", f"{name}: {error}")


@dataclass(frozen=True)
class Plan:
    """What is put around every session of one zygote.

    Args:
        applied: Names of the mechanisms, outermost first.
        missing: Mechanisms that are not applied, each with its reason.
        by_root: Namespaces are made with root's rights, and the session becomes another user; else it stays who it is, and
            namespaces are made by a user namespace of the zygote's own.
        network: The guest may open internet sockets.
        hosts: The guest has internet sockets in a network of its own, which ends at the host's gateway.
        programs: The guest may start programs of the view.
        makes_code: ... among them such that make machine code: what they make may be executed.
        terminals: The guest may open terminals, of a file system of its own.
    """

    applied: tuple[str, ...]
    missing: tuple[str, ...]
    by_root: bool
    network: bool
    hosts: bool = False
    programs: bool = False
    makes_code: bool = False
    terminals: bool = False

    def has(self, mechanism: str) -> bool:
        """Return whether `mechanism` is applied."""
        return mechanism in self.applied


def make(
    kernel: Kernel,
    *,
    required: Collection[str] = profile.REQUIRED,
    require: Collection[str] = (),
    without: Collection[str] = (),
    network: bool = False,
) -> Plan:
    """Return what will be applied here.

    Args:
        required: The properties that a jail has; () for a confinement that promises nothing and never refuses.
        require: Properties (`profile.PROPERTIES`) or mechanisms by name, besides those.
        without: Mechanisms to leave out although they would work.

    Raises:
        JailUnavailable: Something required is not to be had (the machine's fault).
        ConfigurationError: `require` or `without` has an unknown name (the operator's fault).
    """
    reasons = _reasons(kernel, network)
    _check_names((*require, *without), reasons)
    for name in without:
        reasons[name] = "left out on purpose"
    by_root = kernel.uid == 0 and not reasons["unprivileged uid"]
    _without_their_base(reasons, by_root=by_root)
    applied = tuple(name for name, reason in reasons.items() if not reason)
    for wish in dict.fromkeys((*required, *require)):
        _demand(wish, applied, reasons, network)
    missing = [f"{name}: {reason}" for name, reason in reasons.items() if reason]
    if kernel.uid == 0 and not by_root:
        missing.append("RLIMIT_NPROC: the kernel does not hold it against root; the supervisor counts")
    return Plan(applied, tuple(missing), by_root=by_root, network=network)


def _reasons(kernel: Kernel, network: bool) -> dict[str, str]:
    """Return mechanism → "" or why it is not to be had here, outermost mechanism first."""
    parents = kernel.cgroups
    reasons = {
        f"cgroup {name}": "" if name in parents.folders else parents.missing.get(name, "not found")
        for name in ("memory", "pids")
    }
    if kernel.uid == 0:
        reasons["unprivileged uid"] = kernel.unprivileged_uid
    reasons["own uid"] = kernel.own_uid
    reasons["user namespace"] = kernel.nested_user_namespace
    reasons.update(kernel.namespaces)
    if network:
        reasons["network namespace"] = "network=True: the host's network is used"
    reasons["scratch tmpfs"] = ""
    reasons.update(_landlock_reasons(kernel, network))
    reasons["capabilities dropped"] = ""
    reasons["rlimits"] = ""
    reasons["seccomp"] = kernel.seccomp
    return reasons


def _landlock_reasons(kernel: Kernel, network: bool) -> dict[str, str]:
    needed = {"landlock files": 3, "landlock tcp": 4, "landlock scopes": 6}
    abi = kernel.landlock_abi
    found = "no Landlock" if abi == 0 else f"Landlock ABI {abi}"
    reasons = {
        name: kernel.landlock if abi >= least else f"the kernel has {found}, ABI {least} is needed"
        for name, least in needed.items()
    }
    if network:
        reasons["landlock tcp"] = "network=True: TCP is open"
    return reasons


def _without_their_base(reasons: dict[str, str], *, by_root: bool) -> None:
    """Give a reason to each mechanism whose base is not there."""
    if reasons.get("unprivileged uid"):
        reasons["own uid"] = reasons["own uid"] or f"no unprivileged uid: {reasons['unprivileged uid']}"
    if not by_root and reasons["user namespace"]:
        for name in reasons:
            if name.endswith(" namespace") and not reasons[name]:
                reasons[name] = f"no user namespace: {reasons['user namespace']}"
    # SECURITY: one rule set holds all three; what is not applied must not be promised
    if reasons["landlock files"]:
        for name in ("landlock tcp", "landlock scopes"):
            reasons[name] = reasons[name] or f"no Landlock rules: {reasons['landlock files']}"
    if reasons["mount namespace"]:
        reasons["scratch tmpfs"] = (
            "no mount namespace: the quota is a limit for each file and a watch on the folder"
        )


def _check_names(names: Collection[str], reasons: dict[str, str]) -> None:
    known = {*reasons, *profile.PROPERTIES}
    for name in names:
        if name not in known:
            raise ConfigurationError(
                f"{name!r} is no mechanism or property of the jail; known: {', '.join(sorted(known))}"
            )


def _demand(wish: str, applied: tuple[str, ...], reasons: dict[str, str], network: bool) -> None:
    """Raise unless `wish` holds with what is applied."""
    if profile.holds(wish, applied) or (wish == "network" and network):
        return
    alternatives = profile.PROPERTIES.get(wish, ((wish,),))
    why = "; ".join(f"{name}: {reasons[name]}" for group in alternatives for name in group if reasons[name])
    raise unavailable(repr(wish), why)
