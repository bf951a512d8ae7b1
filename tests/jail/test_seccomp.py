"""The filter's program, run by a small BPF machine for both architectures; the numbers against the kernel's headers."""

from __future__ import annotations

import os
import re
import struct
import subprocess
from pathlib import Path

import pytest

from pinjra.jail import profile
from pinjra.jail.walls import seccomp
from pinjra.jail.walls.syscalls import AUDIT_ARCH, numbers_for

ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS = ERRNO | 1, ERRNO | 38
MACHINES = list(AUDIT_ARCH)


def answer(machine: str, number: int, *arguments: int, arch: int | None = None, **policy: bool) -> int:
    rules = seccomp.policy(
        private_view=policy.get("private_view", False),
        network=policy.get("network", False),
        programs=policy.get("programs", False),
        writable_mounts=policy.get("writable_mounts", False),
    )
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("IIQ6Q", number, AUDIT_ARCH[machine] if arch is None else arch, 0, *words)
    return _run(seccomp.assemble(rules, machine), data)


def _run(program: bytes, data: bytes) -> int:
    lines = list(struct.iter_unpack("HBBI", program))
    at = accumulator = 0
    while True:
        code, then, otherwise, operand = lines[at]
        at += 1
        if code == 0x20:
            accumulator = struct.unpack_from("I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x15:
            at += then if accumulator == operand else otherwise
        elif code == 0x35:
            at += then if accumulator >= operand else otherwise
        elif code == 0x06:
            return operand
        else:
            raise AssertionError(f"an instruction that the jail does not use: {code:#x}")


@pytest.mark.parametrize("machine", MACHINES)
def test_every_name_of_the_profile_is_answered_as_its_list_says(machine: str) -> None:
    numbers = numbers_for(machine)
    for name in profile.ALLOWED:
        if name in numbers:
            assert answer(machine, numbers[name]) == ALLOW, name
    for name in profile.FATAL:
        if name in numbers:
            assert answer(machine, numbers[name]) == KILL, name
    for name in profile.NO_SUCH_CALL:
        assert answer(machine, numbers[name]) == ENOSYS


@pytest.mark.parametrize("machine", MACHINES)
def test_every_number_that_no_list_names_is_refused(machine: str) -> None:
    named = {*profile.ALLOWED, *profile.FATAL, *profile.NO_SUCH_CALL, *profile.CHECKED}
    known = {number for name, number in numbers_for(machine).items() if name in named}
    for number in set(range(600)) - known:
        assert answer(machine, number) == EPERM, number


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("arch", [0x40000003, 0x40000028, 0, 0xC000003E, 0xC00000B7])
def test_a_call_of_another_architecture_is_fatal(machine: str, arch: int) -> None:
    if arch != AUDIT_ARCH[machine]:
        assert answer(machine, numbers_for(machine)["getpid"], arch=arch) == KILL


@pytest.mark.parametrize("number", [0x40000000, 0x40000000 | 39, 0xFFFFFFFF])
def test_an_x32_number_is_fatal(number: int) -> None:
    assert answer("x86_64", number) == KILL


CASES = [  # name, arguments, is it allowed
    ("clone", (17,), True),
    ("clone", (0x3D0F00,), True),  # what the C library makes a thread with
    ("clone", (0x10000000 | 17,), False),
    ("clone", (0x00020000,), False),
    ("clone", (0x8000 | 17,), False),
    ("mmap", (0, 4096, 3, 0x22), True),
    ("mmap", (0, 4096, 5, 0x02), True),
    ("mmap", (0, 4096, 7, 0x02), False),
    ("mmap", (0, 4096, 5, 0x22), False),
    ("mmap", (0, 4096, 4, 0x21), False),
    ("mmap", (0, 4096, 3, 0x40022), False),
    ("mmap", (0, 4096, 5, 0x40002), False),
    ("mmap", (0, 4096, 3, 0x122), False),
    ("madvise", (0, 4096, 4), True),
    ("madvise", (0, 4096, 12), False),
    ("madvise", (0, 4096, 21), False),
    ("futex", (0, 0x80), True),
    ("futex", (0, 0x189), True),
    ("futex", (0, 6), False),
    ("futex", (0, 0x86), False),
    ("futex", (0, 13), False),
    ("preadv2", (0, 0, 0, 0, 0, 2), True),
    ("preadv2", (0, 0, 0, 0, 0, 8), False),
    ("renameat2", (-100 & 0xFFFFFFFF, 0, 0, 0, 1), True),
    ("renameat2", (-100 & 0xFFFFFFFF, 0, 0, 0, 4), False),
    ("sendto", (3, 1, 1, 1, 0, 0), False),
    ("sendmsg", (3, 0, 0x4000), True),
    ("sendmsg", (3, 0, 0x4001), False),
    ("recvmsg", (3, 0, 1), False),
    ("recvfrom", (3, 0, 1, 1), False),
    ("membarrier", (2,), False),
    ("getxattr", (), False),
    ("mprotect", (0, 4096, 3), True),
    ("mprotect", (0, 4096, 5), False),
    ("socketpair", (1, 1), True),
    ("socketpair", (1, 0x80801), True),
    ("socketpair", (1, 2), False),
    ("socketpair", (1, 5), False),
    ("socketpair", (2, 1), False),
    ("sendto", (3, 1, 1, 0, 0, 0), True),
    ("sendto", (3, 1, 1, 0, 0x1000, 16), False),
    ("sendto", (3, 1, 1, 0, 0x100000000, 16), False),
    ("ioctl", (0, 0x5421), True),
    ("ioctl", (0, 0x541B), True),
    ("ioctl", (0, 0x5412), False),
    ("ioctl", (0, 0x100005412), False),
    ("fcntl", (0, 4), True),
    ("fcntl", (0, 8), False),
    ("fcntl", (0, 15), False),
    ("fcntl", (0, 1026), False),
    ("prctl", (15,), True),
    ("prctl", (4, 0), True),
    ("prctl", (4, 1), False),
    ("prctl", (22,), False),
    ("prctl", (24,), False),
    ("personality", (0xFFFFFFFF,), True),
    ("personality", (0x0400000,), False),
    ("prlimit64", (0, 7, 0x1000, 0), True),
    ("prlimit64", (5, 7, 0, 0x1000), True),
    ("prlimit64", (5, 7, 0x1000, 0), False),
    ("prlimit64", (5, 7, 0x700000000, 0), False),
    ("socket", (2, 1), False),
    ("connect", (), False),
    ("setsockopt", (3, 1, 2), False),
    ("execve", (), False),
    ("chmod", (), False),
    ("fchmodat", (), False),
]


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("name", "arguments", "is_allowed"), CASES)
def test_arguments_decide(machine: str, name: str, arguments: tuple[int, ...], is_allowed: bool) -> None:
    numbers = numbers_for(machine)
    if name in numbers:
        assert answer(machine, numbers[name], *arguments) == (ALLOW if is_allowed else EPERM)


@pytest.mark.parametrize("machine", MACHINES)
def test_modes_may_be_changed_only_in_a_private_view(machine: str) -> None:
    number = numbers_for(machine)["fchmodat"]
    assert answer(machine, number, private_view=True) == ALLOW
    assert answer(machine, number, private_view=False) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(
    ("name", "arguments", "is_allowed"),
    [
        ("socket", (2, 0x80001), True),
        ("socket", (10, 2), True),
        ("socket", (1, 1), False),
        ("socket", (16, 3), False),
        ("socket", (17, 3), False),
        ("socket", (2, 3), False),
        ("connect", (), True),
        ("setsockopt", (3, 1, 2), True),
        ("setsockopt", (3, 6, 1), True),
        ("setsockopt", (3, 1, 26), False),
        ("setsockopt", (3, 41, 35), False),
        ("sendto", (3, 1, 1, 0, 0x1000, 16), True),
        ("sendto", (3, 1, 1, 1, 0x1000, 16), False),
        ("sendmmsg", (3, 0, 1, 1), False),
        ("sendmmsg", (3, 0, 1, 0x4000), True),
        ("bind", (), False),
        ("listen", (), False),
    ],
)
def test_with_the_network_only_internet_sockets_open(
    machine: str, name: str, arguments: tuple[int, ...], is_allowed: bool
) -> None:
    expected = ALLOW if is_allowed else EPERM
    assert answer(machine, numbers_for(machine)[name], *arguments, network=True) == expected


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize(("kind", "expected"), [(1, ALLOW), (0x80005, ALLOW), (2, EPERM), (3, EPERM)])
def test_programs_have_pairs_of_streams_and_of_packets_in_order(
    machine: str, kind: int, expected: int
) -> None:
    assert answer(machine, numbers_for(machine)["socketpair"], 1, kind, programs=True) == expected


def test_a_name_stands_in_one_list_only() -> None:
    lists = [
        profile.ALLOWED,
        profile.FATAL,
        profile.NO_SUCH_CALL,
        tuple(profile.CHECKED),
        profile.VIEW_ONLY_ALLOWED,
    ]
    names = [name for one in lists for name in one]
    assert sorted(names) == sorted(set(names))


def test_every_name_of_the_profile_has_a_number_somewhere() -> None:
    known = {name for machine in MACHINES for name in numbers_for(machine)}
    named = {
        *profile.ALLOWED,
        *profile.FATAL,
        *profile.NO_SUCH_CALL,
        *profile.CHECKED,
        *profile.NETWORK_ALLOWED,
    }
    assert named | set(profile.NETWORK_CHECKED) | set(profile.VIEW_ONLY_ALLOWED) <= known


def _header_numbers(machine: str) -> dict[str, int]:
    """Return name → number of the installed headers; empty where there are none."""
    if machine == "x86_64":
        found = list(Path("/usr/include").rglob("asm/unistd_64.h"))
        text = found[0].read_text() if found else ""
        return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", text)}
    source = "#define __BITS_PER_LONG 64\n#define __ARCH_WANT_RENAMEAT\n#include <asm-generic/unistd.h>\n"
    try:
        done = subprocess.run(
            ["cc", "-E", "-dM", "-"], input=source, capture_output=True, text=True, timeout=300
        )
    except OSError:
        return {}
    defined = dict(re.findall(r"#define (__NR\w*) (\w+)", done.stdout))
    found = {}
    for name, value in defined.items():
        while value in defined:
            value = defined[value]
        if value.isdigit() and name.startswith("__NR_"):
            found[name[5:]] = int(value)
    return found


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    headers = _header_numbers(machine)
    if not headers:
        pytest.skip("no kernel headers are installed here")
    ours = numbers_for(machine)
    assert {name: headers[name] for name in ours if name in headers} == {
        name: number for name, number in ours.items() if name in headers
    }


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("private_view", [False, True])
def test_in_a_folder_of_the_user_s_no_call_gives_a_set_id_bit(machine: str, private_view: bool) -> None:
    numbers = numbers_for(machine)
    creates, temporary = os.O_WRONLY | os.O_CREAT, os.O_RDWR | 0o20200000
    by_mode = {
        "creat": (0, "m"),
        "chmod": (0, "m"),
        "fchmod": (0, "m"),
        "fchmodat": (0, 0, "m"),
        "fchmodat2": (0, 0, "m"),
    }
    for flags in (creates, temporary):
        cases = {**by_mode, "open": (0, flags, "m"), "openat": (0, 0, flags, "m")}
        for name, words in cases.items():
            allowed = ALLOW if private_view or "chmod" not in name else EPERM
            for mode, expected in (
                (0o755, allowed),
                (0o1777, allowed),
                (0o4755, EPERM),
                (0o2755, EPERM),
                (0o6000, EPERM),
            ):
                if name in numbers:
                    arguments = [mode if word == "m" else word for word in words]
                    found = answer(
                        machine, numbers[name], *arguments, private_view=private_view, writable_mounts=True
                    )
                    assert found == expected, (name, oct(mode))
    for name, arguments in (
        ("open", (0, 0, 0o4755)),
        ("openat", (0, 0, 0, 0o4755)),
    ):  # what is only read has no mode
        if name in numbers:
            assert answer(machine, numbers[name], *arguments, writable_mounts=True) == ALLOW
