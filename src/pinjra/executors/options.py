"""The words of `sandbox()`, for type checkers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pinjra.core.access import AccessOptions
from pinjra.core.files import GivenFiles
from pinjra.guard.policy import ImportMode


class SandboxOptions(AccessOptions, total=False):
    """What `sandbox()` takes: the parameters of all shipped executors. Which has which is checked when it is called."""

    additional_authorized_imports: Iterable[str]
    additional_functions: Mapping[str, Callable[..., object]] | None
    additional_imports: Iterable[str]
    allow_internet_access: bool
    allow_pickle: bool
    api_key: str | None
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
    files: GivenFiles
    folders: Iterable[str]
    guard: bool
    host: str
    image: Any
    image_name: str | None
    imports: ImportMode | None
    install: bool
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
    protected: Iterable[str]
    pyodide: str | None
    python: str | None
    region: str | None
    require: Iterable[str]
    resolve: Callable[..., Any] | None
    rollback: bool
    rootfs: str | None
    runtime: str | None
    runtime_class: str | None
    sandbox: Any
    sandbox_name: str | None
    sandbox_options: Mapping[str, Any] | None
    scratch: str | None
    snapshot: str | None
    spares: int
    start_seconds: float
    template: str | None
    timeout: int | None
    timeout_seconds: float | None
    token: str | None
    ttl: str | None
    url: str | None
    warm_pool: str | None
    without: Iterable[str]
