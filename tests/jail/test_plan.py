"""What is planned for a kernel: never weaker than asked, and what is missing said by name."""

from __future__ import annotations

import os
import signal

import pytest

from pinjra.core.errors import ConfigurationError, ExecutorUnavailable
from pinjra.jail import plan, profile
from pinjra.jail.probe import Kernel, _attempt
from pinjra.jail.walls.cgroups import Parents
from pinjra.jail.walls.namespaces import FLAGS

KINDS = [name for name in FLAGS if name != "user namespace"]
NO_GROUPS = Parents(2, {}, {"memory": "not delegated", "pids": "not delegated"}, "1")


def kernel(**changes: object) -> Kernel:
    base: dict[str, object] = {
        "uid": 1000,
        "seccomp": "",
        "landlock_abi": 7,
        "unprivileged_uid": "not started as root",
        "own_uid": "not started as root",
        "nested_user_namespace": "",
        "namespaces": dict.fromkeys(KINDS, ""),
        "cgroups": NO_GROUPS,
    }
    return Kernel(**{**base, **changes})  # type: ignore[arg-type]


def test_a_good_kernel_gives_all_but_what_needs_delegation() -> None:
    chosen = plan.make(kernel())
    assert {"seccomp", "landlock files", "landlock scopes", "scratch tmpfs", *FLAGS} <= set(chosen.applied)
    assert "cgroup memory: not delegated" in chosen.missing


def test_without_user_namespaces_the_rest_still_holds_and_the_loss_is_said() -> None:
    chosen = plan.make(kernel(nested_user_namespace="unshare: Operation not permitted"))
    assert not any("namespace" in name for name in chosen.applied)
    assert "pid namespace: no user namespace: unshare: Operation not permitted" in chosen.missing
    assert any(reason.startswith("scratch tmpfs: ") for reason in chosen.missing)


def test_no_seccomp_is_no_jail() -> None:
    with pytest.raises(plan.JailUnavailable, match=r"'syscalls' here \(seccomp: the kernel has no seccomp"):
        plan.make(kernel(seccomp="the kernel has no seccomp filters (Invalid argument)"))


def test_neither_landlock_nor_mount_namespaces_is_no_jail() -> None:
    with pytest.raises(plan.JailUnavailable, match=r"'files' here .*ABI 3 is needed.*Choices: .*docker"):
        plan.make(kernel(landlock_abi=0, nested_user_namespace="refused"))


def test_an_old_landlock_does_not_guard_files_that_can_be_truncated() -> None:
    with pytest.raises(plan.JailUnavailable, match="Landlock ABI 2, ABI 3 is needed"):
        plan.make(kernel(landlock_abi=2, nested_user_namespace="refused"))


def test_the_host_must_be_safe_from_signals() -> None:
    with pytest.raises(plan.JailUnavailable, match="'signals'"):
        plan.make(kernel(landlock_abi=5, nested_user_namespace="refused"))


@pytest.mark.parametrize("wish", ["namespaces", "cgroup", "disk", "pid namespace", "cgroup memory"])
def test_what_is_required_and_missing_is_refused(wish: str) -> None:
    poor = kernel(nested_user_namespace="refused")
    with pytest.raises(plan.JailUnavailable, match=repr(wish)):
        plan.make(poor, require=[wish])


def test_every_property_is_had_on_a_machine_with_everything() -> None:
    groups = Parents(2, {"memory": "/g", "pids": "/g"}, {}, "1")
    rich = kernel(uid=0, unprivileged_uid="", own_uid="", cgroups=groups)
    assert plan.make(rich, require=list(profile.PROPERTIES)).missing == ()


NO_RIGHTS = {
    "uid": 0,
    "unprivileged_uid": "setgroups: Operation not permitted",
    "own_uid": "setgroups: Operation not permitted",
    "nested_user_namespace": "refused",
}


def test_root_without_its_rights_runs_as_an_unprivileged_user_does() -> None:
    chosen = plan.make(kernel(**NO_RIGHTS))
    assert not chosen.by_root
    assert {"landlock files", "landlock scopes", "capabilities dropped", "seccomp"} <= set(chosen.applied)
    assert not {"unprivileged uid", "own uid"} & set(chosen.applied)


def test_root_without_its_rights_is_refused_where_nothing_keeps_its_signals_in() -> None:
    with pytest.raises(plan.JailUnavailable, match=r"'signals' here .*Landlock ABI 5.*setgroups: Operation"):
        plan.make(kernel(**NO_RIGHTS, landlock_abi=5))


def test_a_confinement_that_promises_nothing_never_refuses() -> None:
    poor = kernel(seccomp="none", landlock_abi=0, nested_user_namespace="refused")
    chosen = plan.make(poor, required=())
    assert chosen.applied == ("capabilities dropped", "rlimits")
    assert "seccomp: none" in chosen.missing


def test_a_uid_that_others_have_too_does_not_keep_signals_in() -> None:
    shared = {"uid": 0, "unprivileged_uid": "", "own_uid": "shared with nobody", "landlock_abi": 5}
    with pytest.raises(plan.JailUnavailable, match=r"'signals' here .*own uid: shared with nobody"):
        plan.make(kernel(**shared), without=["pid namespace"])
    assert "unprivileged uid" in plan.make(kernel(**shared)).applied


def test_an_unknown_name_is_the_callers_fault() -> None:
    with pytest.raises(
        ConfigurationError, match="'landlok' is no mechanism or property of the jail; known: "
    ):
        plan.make(kernel(), require=["landlok"])


def test_with_the_network_the_namespace_is_not_promised() -> None:
    chosen = plan.make(kernel(), network=True)
    assert "network namespace: network=True: the host's network is used" in chosen.missing
    assert "landlock scopes" in chosen.applied


def test_an_unavailable_jail_is_an_unavailable_executor() -> None:
    assert issubclass(plan.JailUnavailable, ExecutorUnavailable)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seccomp": "no seccomp filters"}, "'syscalls' here (seccomp: no seccomp filters"),
        (
            {"landlock_abi": 0, "nested_user_namespace": "refused"},
            "landlock files: the kernel has no Landlock",
        ),
        (
            {"landlock_abi": 5, "nested_user_namespace": "refused"},
            "landlock scopes: the kernel has Landlock ABI 5",
        ),
        (
            {"landlock_abi": 5, "namespaces": {**dict.fromkeys(KINDS, ""), "pid namespace": "refused"}},
            "pid namespace: refused",
        ),
    ],
)
def test_a_refusal_names_what_is_missing_and_the_choices(changes: dict[str, object], named: str) -> None:
    with pytest.raises(plan.JailUnavailable) as caught:
        plan.make(kernel(**changes))
    assert named in str(caught.value)
    assert "Choices: " in str(caught.value)
    assert 'executor_type="docker"' in str(caught.value)


@pytest.mark.parametrize(
    "mechanism", ["seccomp", "landlock files", "mount namespace", "cgroup pids", "rlimits"]
)
def test_a_mechanism_that_is_required_and_left_out_is_refused(mechanism: str) -> None:
    with pytest.raises(plan.JailUnavailable, match=f"{mechanism}: left out on purpose"):
        plan.make(kernel(), require=[mechanism], without=[mechanism])


def test_the_doctor_says_why_there_is_no_jail(monkeypatch: pytest.MonkeyPatch) -> None:
    from pinjra.executors import jail as executor
    from pinjra.executors.doctor import diagnose

    def refuse(_config: object) -> None:
        plan.make(kernel(seccomp="the kernel has no seccomp filters"))

    # this machine has them: only the probe's result is another
    monkeypatch.setattr(executor, "zygote_for", refuse)
    found = diagnose("jail")
    assert not found.is_available
    assert "'syscalls' here (seccomp: the kernel has no seccomp filters)" in found.problem
    assert "Choices: " in found.problem


def test_without_its_rules_landlock_keeps_no_signals_in() -> None:
    chosen = plan.make(kernel(), without=["landlock files"])
    assert not any(name.startswith("landlock") for name in chosen.applied)
    with pytest.raises(
        plan.JailUnavailable, match=r"'signals' here .*landlock scopes: no Landlock rules: left out"
    ):
        plan.make(kernel(), without=["landlock files", "pid namespace"])


@pytest.mark.parametrize(("kills", "said"), [(2, ""), (3, "the attempt was killed (status 9)")])
def test_an_attempt_that_somebody_kills_is_made_again_and_says_nothing_of_the_kernel(tmp_path, kills, said):
    def end_once_more() -> None:
        number = len(list(tmp_path.iterdir()))
        if number < kills:
            (tmp_path / str(number)).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    assert _attempt(end_once_more) == said
