"""`pinjra serve` as a process of its own, on a port of loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import Any

import httpx

__all__ = ["started", "stop"]


def started(
    settings_file: Any,
    port: int,
    *options: str,
    python_path: object = "",
    stdout: Any = None,
    stderr: Any = None,
    **variables: str,
) -> subprocess.Popen[bytes]:
    """Return the process of a service that answers.

    Args:
        variables: Of its environment.
    """
    path = {"PYTHONPATH": str(python_path)} if python_path else {}
    command = [sys.executable, "-m", "pinjra", "serve", "--config", str(settings_file), "--port", str(port)]
    process = subprocess.Popen(
        [*command, *options], env={**os.environ, **variables, **path}, stdout=stdout, stderr=stderr
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=300).status_code == 200:
                return process
        except httpx.HTTPError:
            assert process.poll() is None, "the service has ended"
            time.sleep(0.05)
    process.kill()
    raise AssertionError("the service does not answer")


def stop(process: subprocess.Popen[bytes]) -> int:
    """Ask a service to end; return its exit status."""
    process.terminate()
    try:
        return process.wait(300)
    finally:
        process.kill()
