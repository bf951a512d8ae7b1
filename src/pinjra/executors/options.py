"""What executors take besides imports and limits, for type checkers: the words of `sandbox()` and of every constructor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from pinjra.core.access import AccessOptions
from pinjra.core.files import GivenFiles
from pinjra.guard.policy import ImportMode


class SessionOptions(AccessOptions, total=False):
    """What every executor takes; see `SessionExecutor`."""

    guard: bool
    imports: ImportMode | None
    rollback: bool
    protected: Iterable[str]
    files: GivenFiles


class BoxOptions(SessionOptions, total=False):
    """What those take that do not keep sessions ready by themselves."""

    spares: int


class VendorOptions(BoxOptions, total=False):
    """What executors of vendors take; see `VendorExecutor`."""

    api_key: str | None
    install: bool
    additional_imports: Iterable[str]
    allow_pickle: bool


class _Own(TypedDict, total=False):
    """What one executor or some have; their classes say what it is."""

    additional_authorized_imports: Iterable[str]
    additional_functions: Mapping[str, Callable[..., object]] | None
    allow_internet_access: bool
    app_name: str
    base_image: str
    base_url: str | None
    build_new_image: bool
    confine: str | bool
    container: str | None
    container_run_kwargs: Mapping[str, Any] | None
    context: str | None
    cpus: float | None
    create_kwargs: Mapping[str, Any] | None
    dockerfile_content: str | None
    dotenv: bool
    envs: Mapping[str, str] | None
    executor: str
    folders: Iterable[str]
    host: str
    image: Any
    image_name: str | None
    kubeconfig: str | None
    logger: object
    max_print_outputs_length: int | None
    memory: int | None
    metadata: Mapping[str, str] | None
    namespace: str
    on_connection: Callable[..., None] | None
    options_ssh: Sequence[str]
    parameters: Mapping[str, object] | None
    platform: str | None
    port: int | None
    preload: Iterable[str] | None
    pyodide: str | None
    python: str | None
    region: str | None
    require: Iterable[str]
    resolve: Callable[..., Any] | None
    rootfs: str | None
    runtime: str | None
    runtime_class: str | None
    sandbox: Any
    sandbox_name: str | None
    sandbox_options: Mapping[str, Any] | None
    scratch: str | None
    snapshot: str | None
    start_seconds: float
    template: str | None
    timeout: int | None
    timeout_seconds: float | None
    token: str | None
    ttl: str | None
    url: str | None
    warm_pool: str | None
    without: Iterable[str]


class SandboxOptions(VendorOptions, _Own, total=False):
    """What `sandbox()` takes: the parameters of all shipped executors. Which has which is checked when it is called."""
