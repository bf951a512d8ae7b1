"""Whom this machine trusts -> the files and variables by which the programs of a box trust the same, and its gateway."""

from __future__ import annotations

import functools
import os
import ssl
from pathlib import Path

_BUNDLE = "/etc/pinjra/certificates.pem"
_SYSTEM_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# Each library has a name of its own for the same thing.
ENVIRONMENT = tuple(
    f"{name}={_BUNDLE}"
    for name in (
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "GIT_SSL_CAINFO",
        "PIP_CERT",
        "NODE_EXTRA_CA_CERTS",
        "AWS_CA_BUNDLE",
    )
)
_FILES = (
    ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:2\n"),
    ("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n"),
)


def files(own: str, hosts: str) -> tuple[tuple[str, str], ...]:
    """Return (path, content) of the files.

    Args:
        hosts: Lines of /etc/hosts besides that of the box itself.
        own: The certificate of an authority that the box trusts besides, as PEM; "" for none.
    """
    return (*_FILES, ("/etc/hosts", f"127.0.0.1 localhost\n{hosts}"), (_BUNDLE, _joined(_bundle(), own)))


def _bundle() -> str:
    """Return the path of the certificates that this machine trusts; "" when it has none."""
    paths = [os.environ.get("SSL_CERT_FILE"), ssl.get_default_verify_paths().cafile, _SYSTEM_BUNDLE]
    try:
        import certifi

        paths.append(certifi.where())
    except ImportError:
        pass
    for path in paths:
        if path and os.path.isfile(path):
            return path
    return ""


@functools.cache  # the same text is the same object: it is part of what a pool compares
def _joined(path: str, own: str) -> str:
    text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    return f"{text}\n{own}"
