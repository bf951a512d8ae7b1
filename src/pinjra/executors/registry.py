"""Executor names -> classes. A new executor is a row in `BUILTIN` (or an entry point of `GROUP`)."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, cast, overload

from pinjra.core.errors import ConfigurationError
from pinjra.core.limits import Limits
from pinjra.core.nearest import nearest
from pinjra.executors.options import SandboxOptions
from pinjra.executors.parameters import checked, constructor_parameters

if TYPE_CHECKING:
    from pinjra.executors.base import PythonExecutor
    from pinjra.executors.jail import JailExecutor
    from pinjra.executors.session.executor import SessionExecutor

__all__ = [
    "BUILTIN",
    "GROUP",
    "create_executor",
    "default_executor",
    "executor_class",
    "executor_names",
    "sandbox",
]

GROUP = "pinjra.executors"  # entry-point group for executors of other packages

BUILTIN: dict[str, str] = {
    "jail": "pinjra.executors.jail:JailExecutor",
    "local": "pinjra.executors.local:LocalPythonExecutor",
    "docker": "pinjra.executors.containers.docker:DockerExecutor",
    "oci": "pinjra.executors.containers.oci:OciExecutor",
    "ssh": "pinjra.executors.ssh:SshExecutor",
    "wasm": "pinjra.executors.wasm.executor:WasmExecutor",
    "e2b": "pinjra.executors.remote.e2b:E2BExecutor",
    "modal": "pinjra.executors.remote.modal:ModalExecutor",
    "blaxel": "pinjra.executors.remote.blaxel:BlaxelExecutor",
    "daytona": "pinjra.executors.remote.daytona:DaytonaExecutor",
    "http": "pinjra.executors.http:HttpExecutor",
    "kubernetes": "pinjra.executors.kubernetes.executor:KubernetesExecutor",
}


def executor_names() -> list[str]:
    """Return all known names, the shipped ones first."""
    return [*BUILTIN, *sorted(set(_entry_points()) - set(BUILTIN))]


def executor_class(name: str) -> type[PythonExecutor]:
    """Return the class of an executor without starting anything.

    Raises:
        ConfigurationError: There is no executor of that name (the caller's fault).
        MissingDependency: Its SDK is not installed (the operator's).
    """
    target = BUILTIN.get(name) or _entry_points().get(name)
    if target is None:
        raise ConfigurationError(f"there is no executor {name!r}; {nearest(name, executor_names())}")
    module, _, attribute = target.partition(":")
    return cast("type[PythonExecutor]", getattr(importlib.import_module(module), attribute))


def default_executor(system: str = sys.platform) -> str:
    """Return "jail" on Linux, elsewhere "wasm" where it is installed, else "local" with a warning that says what that is not."""
    if system == "linux":
        return "jail"
    if not _why_no_wasm():
        return "wasm"
    warnings.warn(
        'executor_type="local" runs guest code in a process of this user: nothing but its guard keeps it from your files. '
        "On Linux the jail is used; on this system pip install 'pinjra[wasm]', or use docker or a remote executor.",
        RuntimeWarning,
        stacklevel=3,
    )
    return "local"


def _why_no_wasm() -> str:
    try:
        return executor_class("wasm").diagnose()
    except ImportError as error:
        return str(error)


@checked
def create_executor(
    name: str | None = None,
    *,
    additional_authorized_imports: Iterable[str] = (),
    executor_kwargs: Mapping[str, object] | None = None,
) -> PythonExecutor:
    """Return a started executor.

    Args:
        name: One of `executor_names()`; None for the most secure one that is the default here.
        additional_authorized_imports: Modules guest code may import besides the default list.
        executor_kwargs: Further parameters of the executor's class (`limits`, `image`, `template`, …).

    Raises:
        ConfigurationError: Unknown name or parameter (the caller's fault).
        ExecutorUnavailable: This machine cannot give it; the message names what is missing and the choices.
        StartupFailed: The sandbox did not come up (the host's or provider's fault).
    """
    options = dict(executor_kwargs or {})
    cls = executor_class(default_executor() if name is None else name)
    constructor_parameters(cls).check(cls.__name__, (), options)
    further = cast("Iterable[str]", options.pop("additional_authorized_imports", ()))
    return cls([*additional_authorized_imports, *further], **options)  # type: ignore[call-arg]  # of its own


@overload
def sandbox(
    name: Literal["jail"],
    *,
    authorized_imports: Iterable[str] = (),
    limits: Limits | None = None,
    **options: Unpack[SandboxOptions],
) -> JailExecutor: ...
@overload
def sandbox(
    name: str | None = None,
    *,
    authorized_imports: Iterable[str] = (),
    limits: Limits | None = None,
    **options: Unpack[SandboxOptions],
) -> SessionExecutor: ...
@checked
def sandbox(
    name: str | None = None,
    *,
    authorized_imports: Iterable[str] = (),
    limits: Limits | None = None,
    **options: Unpack[SandboxOptions],
) -> PythonExecutor:  # of another package's executors this is all that is known
    """Return a started executor, to be used in a `with` statement.

    Args:
        name: "jail", "local", "docker", …; None for the default here.
        authorized_imports: Modules guest code may import besides the default list.
        limits: What one run may use; None for the defaults.
        options: `files`, put into the scratch folder (["a.csv", Path, {"name": b"…"}]), and whatever else the executor's class
            takes.

    Raises:
        ConfigurationError: Unknown name or parameter (the caller's fault); nothing was started.
        ExecutorUnavailable: This machine cannot give it; the message names what is missing and the choices.
        StartupFailed: The sandbox did not come up (the host's or provider's fault).
    """
    name = default_executor() if name is None else name
    known = constructor_parameters(executor_class(name))
    # those of other packages may not know it
    files = () if "files" in known.kinds else options.pop("files", ())
    known.under("additional_authorized_imports", "authorized_imports").check(
        f"sandbox({name!r})", (), options
    )
    own: dict[str, Any] = {**options, **({} if limits is None else {"limits": limits})}
    box = create_executor(name, additional_authorized_imports=authorized_imports, executor_kwargs=own)
    try:
        box.put_files(files)
    except BaseException:
        box.close()
        raise
    return box


def _entry_points() -> dict[str, str]:
    from importlib.metadata import entry_points

    return {point.name: point.value for point in entry_points(group=GROUP)}
