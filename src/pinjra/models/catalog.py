"""Name -> pinned weights: which open models can be embedded, and exactly which bytes they are.

Rules for whoever edits: an entry names the publisher's own artifact at a commit, never a branch; size and SHA-256 are the
same whatever source the bytes come from; a file of package parts only adds a second way to the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pinjra.core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One pinned artifact.

    Args:
        repository: On the model hub, as "owner/name".
        revision: The commit, 40 hex digits.
        sha256: Of the whole file, hex.
        parts: File with the hash-pinned list of packages that together hold the same bytes; None where there is none.
        memory_bytes: Needed while running, measured with the default context.
    """

    name: str
    repository: str
    revision: str
    file: str
    size_bytes: int
    sha256: str
    licence: str
    memory_bytes: int
    about: str
    parts: Path | None = None


_PARTS = Path(__file__).parent / "parts"

DEFAULT_NAME = "qwen2.5-coder-1.5b"
SMALL_NAME = "qwen2.5-coder-0.5b"

CATALOG: dict[str, Weights] = {
    w.name: w
    for w in (
        Weights(
            name=DEFAULT_NAME,
            repository="Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
            revision="f86cb2c1fa58255f8052cc32aeede1b7482d4361",
            file="qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
            size_bytes=1_117_320_768,
            sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
            licence="Apache-2.0",
            memory_bytes=1_900_000_000,
            about="small arithmetic, date, text and one-tool tasks; can be confidently wrong",
            parts=_PARTS / "qwen2.5-coder-1.5b-instruct-q4_k_m.txt",
        ),
        Weights(
            name=SMALL_NAME,
            repository="Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            revision="ebb2015119c907b064c512bf053e945850b5875f",
            file="qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
            size_bytes=491_400_064,
            sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
            licence="Apache-2.0",
            memory_bytes=650_000_000,
            about="the smallest that is of use: a quick try on a small machine",
            parts=_PARTS / "qwen2.5-coder-0.5b-instruct-q4_k_m.txt",
        ),
    )
}


def find(name: str) -> Weights:
    """Return the entry called `name`.

    Raises:
        ConfigurationError: There is none (the caller's fault); the message lists the names.
    """
    try:
        return CATALOG[name]
    except KeyError:
        known = ", ".join(CATALOG)
        raise ConfigurationError(f"there is no embedded model {name!r}; there are: {known}") from None
