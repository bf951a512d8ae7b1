"""A policy of system calls -> a BPF program -> a filter that this process and all its children can never take off.

https://man7.org/linux/man-pages/man2/seccomp.2.html, https://docs.kernel.org/userspace-api/seccomp_filter.html

The program looks at the architecture first (a 32-bit entry into a 64-bit kernel has other numbers), refuses the x32
numbers, then compares the number with each entry in turn. The kernel caches the answer for calls that are always allowed,
so the length of the list costs nothing at run time.
"""

from __future__ import annotations

import ctypes
import errno
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pinjra.jail import profile
from pinjra.jail.walls.libc import buffer, prctl, syscall
from pinjra.jail.walls.syscalls import AUDIT_ARCH, machine, numbers_for

# linux/seccomp.h, linux/bpf_common.h
_SET_MODE_FILTER, _FLAG_TSYNC = 1, 1
_KILL_PROCESS, _ERRNO, _ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
_LOAD_WORD, _AND, _JUMP_EQUAL, _JUMP_GREATER_EQUAL, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_X32_BIT = 0x40000000
_GET_ACTION_AVAIL = 2


@dataclass(frozen=True)
class FilterPolicy:
    """What to do with each system call; a name that stands nowhere is refused with EPERM."""

    allowed: frozenset[str]
    checked: Mapping[str, profile.NamedCheck]
    fatal: frozenset[str] = frozenset(profile.FATAL)
    no_such_call: frozenset[str] = frozenset(profile.NO_SUCH_CALL)


def policy(
    *,
    private_view: bool,
    network: bool,
    writable_mounts: bool = False,
    hosts: bool = False,
    programs: bool = False,
    makes_code: bool = False,
    terminals: bool = False,
) -> FilterPolicy:
    """Return the profile's policy.

    Args:
        private_view: The file system is a private view (a mount namespace): modes and times may be changed.
        network: Sockets of the internet families may be made and connected.
        writable_mounts: Folders of the user's may be changed.
        hosts: ... in a network namespace of its own, where servers may listen too.
        programs: Programs may be started.
        makes_code: Memory that the guest has written may be executed.
        terminals: ... and opened at terminals of the session's own.
    """
    allowed = {*profile.ALLOWED}
    checked = dict(profile.CHECKED)
    if private_view:
        allowed.update(profile.VIEW_ONLY_ALLOWED)
    if writable_mounts:
        checked |= {call: rule for call, rule in profile.WRITABLE_MOUNT_CHECKED.items() if call in allowed}
        allowed -= checked.keys()
    if hosts:
        allowed.update(profile.LOOPBACK_ALLOWED)
    if network or hosts:
        allowed.update(profile.NETWORK_ALLOWED)
        checked.update(profile.NETWORK_CHECKED)
    if not programs:
        return FilterPolicy(frozenset(allowed), checked)
    allowed.update(profile.PROGRAM_ALLOWED)
    checked.update(profile.PROGRAM_CHECKED)
    if terminals:
        checked.update(profile.TERMINAL_CHECKED)
    if makes_code:
        checked.update(profile.MAKES_CODE_CHECKED)
    absent = frozenset((*profile.NO_SUCH_CALL, *profile.PROGRAM_NO_SUCH_CALL))
    return FilterPolicy(frozenset(allowed), checked, frozenset(profile.FATAL) - absent, absent)


@dataclass
class _Program:
    """BPF instructions; each is a code, an operand and how far to jump when a comparison holds or not."""

    lines: list[bytes] = field(default_factory=list)

    def add(self, code: int, operand: int, then: int = 0, otherwise: int = 0) -> None:
        self.lines.append(struct.pack("HBBI", code, then, otherwise, operand))

    def answer(self, number: int, action: int) -> None:
        """Add: this number → this action; else go on."""
        self.add(_JUMP_EQUAL, number, 0, 1)
        self.add(_RETURN, action)


def assemble(rules: FilterPolicy, name: str) -> bytes:
    """Return the program for the machine called `name`."""
    numbers = numbers_for(name)
    if not numbers:
        return b""  # an architecture that the jail does not know: no filter can be applied
    program = _Program()
    program.add(_LOAD_WORD, _ARCH)
    program.add(_JUMP_EQUAL, AUDIT_ARCH[name], 1, 0)
    program.add(_RETURN, _KILL_PROCESS)  # SECURITY: 32-bit numbers mean other calls
    program.add(_LOAD_WORD, _NUMBER)
    if name == "x86_64":
        program.add(_JUMP_GREATER_EQUAL, _X32_BIT, 0, 1)
        program.add(_RETURN, _KILL_PROCESS)  # SECURITY: x32 calls would pass by the list
    for names, action in (
        (rules.fatal, _KILL_PROCESS),
        (rules.no_such_call, _ERRNO | errno.ENOSYS),
        (rules.allowed, _ALLOW),
    ):
        for number in sorted(numbers[one] for one in names if one in numbers):
            program.answer(number, action)
    for call, alternatives in sorted(rules.checked.items()):
        if call in numbers:
            _add_check(program, numbers[call], alternatives)
    program.add(_RETURN, _ERRNO | errno.EPERM)  # SECURITY: what no list names is refused
    return b"".join(program.lines)


def _add_check(program: _Program, number: int, alternatives: profile.NamedCheck) -> None:
    """Add: this number → allow when one alternative holds, else EPERM."""
    body = _Program()
    for conditions in alternatives:
        body.lines += _alternative(conditions)
    body.add(_RETURN, _ERRNO | errno.EPERM)
    if len(body.lines) > 255:
        raise ValueError("a check of arguments is longer than a BPF jump")
    program.add(_JUMP_EQUAL, number, 0, len(body.lines))
    program.lines += body.lines


def _alternative(conditions: Iterable[profile.Arg]) -> list[bytes]:
    """Return: fall out of the end when a condition fails, allow when all hold. Built from the last condition up."""
    lines = [struct.pack("HBBI", _RETURN, 0, 0, _ALLOW)]
    for condition in reversed(list(conditions)):
        low = _compare(
            condition.position * 8, [v & 0xFFFFFFFF for v in condition.values], condition.mask, len(lines)
        )
        lines = low + lines
        if condition.wide:
            if len(condition.values) != 1:
                raise ValueError("a wide condition has one value")
            high = [v >> 32 for v in condition.values]
            lines = _compare(condition.position * 8 + 4, high, condition.mask >> 32, len(lines)) + lines
    return lines


def _compare(offset: int, values: list[int], mask: int, rest: int) -> list[bytes]:
    """Return: go on when the word at `offset` is one of `values`, else jump over the `rest` of the alternative."""
    program = _Program()
    program.add(_LOAD_WORD, _ARGUMENTS + offset)
    if mask & 0xFFFFFFFF != 0xFFFFFFFF:
        program.add(_AND, mask & 0xFFFFFFFF)
    for position, value in enumerate(values):
        left = len(values) - position - 1
        program.add(_JUMP_EQUAL, value, left, rest if left == 0 else 0)
    return program.lines


def is_supported() -> str:
    """Return "" when filters can be installed here, else the reason why not."""
    if machine() not in AUDIT_ARCH:
        return f"the jail knows the system calls of {' and '.join(AUDIT_ARCH)}, not of {machine()!r}"
    try:
        syscall("seccomp", _GET_ACTION_AVAIL, 0, buffer(struct.pack("I", _KILL_PROCESS)))
    except OSError as error:
        return f"the kernel has no seccomp filters ({error.strerror})"
    return ""


def apply(lines: bytes) -> None:
    """Put an assembled filter on this process; it holds for all of its threads and children, for ever.

    Raises:
        OSError: The kernel refused it (the machine's fault).
    """
    program = buffer(lines)
    header = buffer(struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(program)))
    prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
    syscall("seccomp", _SET_MODE_FILTER, _FLAG_TSYNC, header)
