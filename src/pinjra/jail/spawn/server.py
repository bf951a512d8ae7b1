"""Requests on a socket -> confined sessions, forked from one warm process. The server side; `client` is the host's.

This process holds no secret: it was started with an empty environment and one descriptor. It never runs guest code: it
imports the modules that the operator authorised, and forks. It has one thread. It ends when the host does, by the
end of the socket or by the host's pidfd, and the kernel takes all sessions with it (they are in its pid namespace, or
have it as parent-death signal).

Messages are JSON, one a packet (SOCK_SEQPACKET):
    {"op": "take", "spec": {...}}             -> {"box": n}, with two descriptors: the host's end of the stream, a pidfd
    {"op": "widen", "box": n, "sessions": n}  -> {}
    {"op": "end", "box": n}                   -> {"status": wait status, "memory_kills": n, "note": "..."}
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import NoReturn, cast

from pinjra.core import temporary_folders as leftovers
from pinjra.core.errors import PinjraError
from pinjra.core.removal import remove
from pinjra.jail import paths, plan, profile
from pinjra.jail.confine import Spec, forget_signals, set_environment
from pinjra.jail.probe import Kernel, probe
from pinjra.jail.spawn import forks
from pinjra.jail.spawn.pool import SessionPool
from pinjra.jail.walls import cgroups, namespaces
from pinjra.jail.walls.libc import CHILD_SUBREAPER, PDEATHSIG, close_all_but, prctl

_MAX_PACKET = 1 << 20
_IDLE_MILLISECONDS = 20  # how soon a group that was still busy is removed again
_LOOK_MILLISECONDS = 250  # at scratch folders that have no quota of the kernel's

Json = dict[str, object]


def main(control: int) -> NoReturn:
    """Serve the host at the other end of `control` until it is gone. Never returns."""
    forget_signals()  # a host may have had SIGCHLD ignored, and so no child to wait for
    os.umask(0o022)  # the view's folders are made by this process and read by another user
    close_all_but({0, 1, 2, control})
    host = socket.socket(fileno=control)
    status = 0
    try:
        config, pidfd = _receive_config(host)
        try:
            pool = _prepare(host, config, pidfd)
        except OSError as error:  # a kernel, or a filter in front of it, that refuses what no probe has tried
            raise plan.refused("its first process", error) from error
        ready: Json = {"applied": pool.plan.applied, "missing": pool.missing, "scratch": pool.private_scratch}
        _be_silent()
        host.send(json.dumps(ready).encode())
        _serve(host, pool, pidfd)
        pool.close()
    except PinjraError as error:
        _report(host, {"refused": type(error).__name__, "message": str(error)})
    except BaseException:
        _report(host, {"failed": traceback.format_exc()[-4000:]})
        status = 1
    os._exit(status)


def _be_silent() -> None:
    """Write to standard error no more: the host listens until this process is ready."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 2)
    os.close(nothing)


def _report(host: socket.socket, message: Json) -> None:
    with suppress(OSError):  # the host is gone: nobody to tell
        host.send(json.dumps(message).encode())


def _receive_config(host: socket.socket) -> tuple[Json, int]:
    """Return the first message, and a pidfd of the host."""
    _, fds, _, _ = socket.recv_fds(host, _MAX_PACKET, 2)
    with os.fdopen(fds[1], "rb") as file:
        file.seek(0)
        config: Json = json.load(file)
    return config, fds[0]


def _strings(config: Json, key: str) -> tuple[str, ...]:
    return tuple(cast("list[str]", config.get(key, ())))


def _numbers(config: Json, key: str) -> tuple[int, ...]:
    return tuple(cast("list[int]", config.get(key, ())))


def _mounts(config: Json) -> list[tuple[str, str, bool]]:
    return cast("list[tuple[str, str, bool]]", config.get("mounts", []))


def _prepare(host: socket.socket, config: Json, pidfd: int) -> SessionPool:
    """Find out what can be done, import what is wanted, and hide the host's file system from this process."""
    sys.path += [path for path in _strings(config, "path") if path not in sys.path]
    network = config.get("network") is True
    programs = _strings(config, "programs")
    if not all(map(os.path.exists, ("/proc/self/maps", "/proc/loadavg"))):
        raise plan.unavailable("anything", "no whole /proc is mounted: mount -t proc proc /proc")
    kernel = probe()
    ports, addresses = _numbers(config, "ports"), _strings(config, "addresses")
    chosen = _plan(kernel, config)
    chosen = replace(
        chosen,
        hosts=bool(ports) or config.get("loopback") is True,
        terminals=config.get("terminals") is True and chosen.has("mount namespace"),
        programs=bool(programs),
        makes_code=config.get("makes_code") is True,
    )
    place = _temporary_folder(chosen)
    _become_first_process(chosen)
    serve = _load(str(config["serve"]))
    with _a_home():
        notes = _preload(_strings(config, "preload"))
    is_private = chosen.has("mount namespace")
    mounts = {
        f"{profile.MOUNTS}/{name}" if is_private else source: (source, writable)
        for name, source, writable in _mounts(config)
    }
    extra = (*_strings(config, "readable"), *programs, *(profile.HOSTS_READABLE if ports else ()))
    shown, left_out = paths.readable(extra, network=network)
    if chosen.by_root:
        left_out += paths.unreachable(shown, is_private=chosen.has("mount namespace"))
    cgroups.sweep(kernel.cgroups)
    leftovers.sweep(profile.SCRATCH_PREFIX, remove)
    parents = kernel.cgroups
    used = {name: folder for name, folder in parents.folders.items() if chosen.has(f"cgroup {name}")}
    maker = (
        cgroups.Maker(cgroups.Parents(parents.version, used, {}, os.readlink("/proc/self"))) if used else None
    )
    first, *more = (_strings(config, "folders") if is_private else ()) or ("",)
    scratch = first or paths.scratch_for(shown)
    others = [folder for folder in more if first or not paths.holds(folder, (*shown, scratch))]
    missing = (*chosen.missing, *left_out, *notes)
    pool = SessionPool(
        chosen, serve, missing, shown, scratch, place, maker, ports, addresses, mounts, tuple(others)
    )
    if is_private:
        namespaces.build_view(
            shown,
            filter(os.path.exists, profile.DEVICES),
            (scratch, *others),
            cast("dict[str, str]", config.get("texts", {})),
            mounts,
            terminals=profile.TERMINALS if chosen.terminals else "",
        )
    forget_signals()  # what the modules have set
    sys.argv[:] = [""]
    set_environment(pool.private_scratch)
    gc.collect()
    gc.freeze()  # what is imported now stays shared with the sessions
    return pool


def _temporary_folder(chosen: plan.Plan) -> str:
    """Return where sessions have their scratch folders on the host, "" where there is a view; raise `JailUnavailable`."""
    if chosen.has("mount namespace"):
        return ""
    try:
        if chosen.by_root and paths.unreachable((tempfile.gettempdir(),)):  # a TMPDIR that is root's alone
            del os.environ["TMPDIR"]
            tempfile.tempdir = None
        return tempfile.gettempdir()
    except OSError as error:
        why = f"no mount namespace, and {error.strerror}; TMPDIR names another"
        raise plan.unavailable("a scratch folder", why) from error


def _plan(kernel: Kernel, config: Json) -> plan.Plan:
    """Return the plan that the host wants.

    Raises:
        JailUnavailable, ConfigurationError: See `plan.make`.
    """
    required = profile.REQUIRED if config["refuses"] is True else ()
    require, without = _strings(config, "require"), _strings(config, "without")
    # SECURITY: hosts are reached from a network of the session's own, or not at all
    if config["ports"] or config.get("loopback") is True:
        require = (*require, *profile.HOSTS_REQUIRED)
    network = config.get("network") is True
    chosen = plan.make(kernel, required=required, require=require, without=without, network=network)
    shown, _ = paths.readable(_strings(config, "readable"), network=network)
    wanted = (*shown, *(source for _, source, _ in _mounts(config)))
    if required or not chosen.by_root or not paths.unreachable(wanted):
        return chosen
    # Another user could not read Python's own files or the user's: this one stays, without its rights.
    return plan.make(
        kernel, require=require, required=(), without=(*without, "unprivileged uid"), network=network
    )


def _become_first_process(chosen: plan.Plan) -> None:
    """Go on as the first process of a new pid namespace, where there is one; the old process only waits."""
    wanted = [name for name in ("mount namespace", "pid namespace") if chosen.has(name)]
    if chosen.by_root:
        namespaces.unshare(wanted)
    elif chosen.has("user namespace"):
        uid, gid = os.geteuid(), os.getegid()
        namespaces.unshare(["user namespace", *wanted])
        namespaces.map_user(uid, gid, -1)
    if not chosen.has("pid namespace"):
        prctl(CHILD_SUBREAPER, 1)
        return
    child = forks.fork()
    if child:
        close_all_but({0, 1, 2})
        _, status = os.waitpid(child, 0)
        os._exit(0 if status == 0 else 1)
    prctl(PDEATHSIG, signal.SIGKILL)


def _load(name: str) -> Callable[..., None]:
    """Return the function "module:name"."""
    module, _, function = name.partition(":")
    loaded: Callable[..., None] = getattr(importlib.import_module(module), function)
    return loaded


_HOMES = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR")


@contextmanager
def _a_home() -> Iterator[None]:
    """Lend the modules a home folder for what they write while they are imported (matplotlib: its list of fonts)."""
    try:
        folder, lock = leftovers.own_folder("pinjra-home-")
    except OSError:  # no writable folder: they do without, or say what they miss
        yield
        return
    try:
        os.environ.update(dict.fromkeys(_HOMES, str(folder)))
        yield
    finally:
        leftovers.discard_folder(folder, lock)


def _preload(names: Iterable[str]) -> list[str]:
    """Import the operator's modules; one that is not there is the guest's ImportError, later."""
    notes = []
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if name.partition(".")[0] not in sys.stdlib_module_names:  # else one of another Python version
                notes.append(f"preload of {name}: {error}")
        except Exception as error:  # an operator's module may raise anything
            notes.append(f"preload of {name}: {type(error).__name__}: {error}")
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        forks.run_always()
        notes.append(f"a preloaded module started {threads - 1} threads; they do not exist in sessions")
    return notes


def _serve(host: socket.socket, pool: SessionPool, pidfd: int) -> None:
    """Answer requests until the host is gone."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    # three descriptors a session; sessions get their own limit
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    poll = select.poll()
    for fd in (host.fileno(), pidfd, reader):
        poll.register(fd, select.POLLIN)
    next_look = 0.0
    while True:
        ready = {fd for fd, _ in poll.poll(_patience(pool))}
        if pidfd in ready:
            return
        if reader in ready:
            os.read(reader, 4096)
        # A wish does not wait for what can be cleaned later.
        if reader in ready or host.fileno() not in ready:
            pool.reap()
        if pool.has_folders() and time.monotonic() >= next_look:
            pool.enforce_quotas()
            next_look = time.monotonic() + _LOOK_MILLISECONDS / 1000
        if host.fileno() in ready and not _answer(host, pool):
            return


def _patience(pool: SessionPool) -> int | None:
    """Return for how many milliseconds there is nothing to do unless something happens; None: for ever."""
    if pool.is_busy():
        return _IDLE_MILLISECONDS
    return _LOOK_MILLISECONDS if pool.has_folders() else None


def _answer(host: socket.socket, pool: SessionPool) -> bool:
    """Answer one request; False when the host is gone."""
    try:
        data = host.recv(_MAX_PACKET)
    except OSError:
        return False
    if not data:
        return False
    request: Json = json.loads(data)
    try:
        if request["op"] == "take":
            _hand_over(host, pool, request)
        elif request["op"] == "widen":
            pool.widen(cast("int", request["box"]), cast("int", request["sessions"]))
            host.send(b"{}")
        else:
            host.send(json.dumps(pool.end(cast("int", request["box"]))).encode())
    except OSError as error:  # no more processes or descriptors: this session's loss, not that of the others
        _report(host, {"failed": str(error)})
    return True


def _hand_over(host: socket.socket, pool: SessionPool, request: Json) -> None:
    """Send a session's number, and with it the host's end of the stream and a pidfd.

    Raises:
        OSError: It cannot be made (the machine's fault).
    """
    made, stream = pool.take(Spec(**cast("dict[str, int | None]", request["spec"])))
    with stream:
        doors = [] if made.door is None else [made.door.fileno()]
        socket.send_fds(
            host, [json.dumps({"box": made.number}).encode()], [stream.fileno(), made.pidfd, *doors]
        )
    if made.door is not None:
        made.door.close()
        made.door = None
