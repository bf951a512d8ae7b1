"""A command -> a confined process of it: `python -m pinjra.executors.wasm.deno_host`, started on Linux by `wasm_deno_launch`.

The first line on stdin names the command; this process takes every right from itself that the command does not need, says so
on stdout, and becomes the command. Deno's own permissions are the wall before this one: this one is met by whoever finds
an error in V8.
"""

from __future__ import annotations

import glob
import json
import os
from dataclasses import replace
from typing import NoReturn

from pinjra.executors.wasm.host import first_line
from pinjra.jail import profile
from pinjra.jail.walls import landlock, seccomp
from pinjra.jail.walls.syscalls import machine

__all__ = ["main"]

_LOADERS = ("/lib64/ld-linux*", "/lib/ld-linux*", "/lib/ld-musl*")
# What V8 and Rust's runtime want besides what Python does. SECURITY: execve is for this process to become Deno; Landlock
# lets nothing else be run but the loader.
_FURTHER = ("execve", "arch_prctl", "mprotect")
_NO_HUGE_PAGES = ((profile.Arg(3, (0,), mask=0x40000),),)


def main() -> NoReturn:
    """Confine this process and become the command."""
    settings = json.loads(first_line())
    applied, missing = _confine(settings["command"][0], settings["readable"])
    report = {
        "applied": applied,
        "missing": missing,
        **{name: settings[name] for name in ("python", "platform")},
    }
    os.write(1, json.dumps(report).encode() + b"\n")
    os.execve(settings["command"][0], settings["command"], settings["environment"])  # noqa: S606  (no shell)


def _confine(program: str, readable: list[str]) -> tuple[list[str], list[str]]:
    import resource

    for which in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(which, (0, 0))
    applied, missing = ["rlimits"], []
    if landlock.abi() >= 3:
        loaders = [path for pattern in _LOADERS for path in glob.glob(pattern)]
        folders = (*profile.SYSTEM_READABLE, *readable)
        landlock.apply(folders, (), profile.DEVICES, network=False, executable=(program, *loaders))
        applied.append("landlock")
    else:
        missing.append(f"landlock: ABI {landlock.abi()}, 3 is needed")
    why = seccomp.is_supported()
    if not why:
        seccomp.apply(seccomp.assemble(_policy(), machine()))
        applied.append("seccomp")
    else:
        missing.append(f"seccomp: {why}")
    return applied, missing


def _policy() -> seccomp.Policy:
    """Return the jail's policy, but for a program that makes machine code."""
    base = seccomp.policy(private_view=False, network=False)
    checked = {**base.checked, "mmap": _NO_HUGE_PAGES}
    del checked["mprotect"]
    return replace(base, allowed=base.allowed | set(_FURTHER), checked=checked)


if __name__ == "__main__":
    main()
