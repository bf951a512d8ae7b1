"""A name -> a TLS server that the box trusts, where the host must see a request to add a secret to it.

One authority a process of the host, made when it is first needed. Its key never leaves the process's memory, and only boxes
that have secrets trust its certificate.
"""

from __future__ import annotations

import datetime
import functools
import os
import ssl
from typing import Any

from pinjra.core.errors import MissingDependency

_DAYS = 30
_MOST_CONTEXTS = 128  # that are kept; below a wildcard a guest may ask for names without end
_NAME = "Pinjra, this process only"
# All that X.509 knows of a key.
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")  # fmt: skip


@functools.cache
def authority() -> Authority:
    """Return this process's authority.

    Raises:
        MissingDependency: `cryptography` is not installed.
    """
    return Authority()


class Authority:
    """Signs certificates for the hosts that have secrets."""

    def __init__(self) -> None:
        try:
            from cryptography.hazmat.primitives.asymmetric import ec
        except ImportError:
            raise MissingDependency("cryptography", "pip install 'pinjra[network]' (for secrets=)") from None
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self.context_for = functools.lru_cache(_MOST_CONTEXTS)(self._context_for)
        self._certificate = self._sign(_NAME, self._key.public_key(), is_authority=True)

    @property
    def certificate(self) -> str:
        """Return the certificate as PEM."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return str(self._certificate.public_bytes(Encoding.PEM).decode())

    def _context_for(self, name: str) -> ssl.SSLContext:
        """Return the settings of a server that is `name` to the box."""
        from cryptography.hazmat.primitives import serialization

        certificate = self._sign(name, self._leaf_key.public_key(), is_authority=False)
        key = self._leaf_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        memory = os.memfd_create("certificate", os.MFD_CLOEXEC)  # `ssl` reads files only; this is on no disk
        try:
            os.write(memory, key + certificate.public_bytes(serialization.Encoding.PEM))
            context.load_cert_chain(f"/proc/self/fd/{memory}")
        finally:
            os.close(memory)
        return context

    def _sign(self, name: str, key: Any, *, is_authority: bool) -> Any:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        now = datetime.datetime.now(datetime.UTC)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _NAME)])
        signer = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        uses = {"key_cert_sign", "crl_sign"} if is_authority else {"digital_signature"}
        extensions: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=is_authority, path_length=0 if is_authority else None), True),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
            (x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), False),
            (x509.KeyUsage(**{use: use in uses for use in _USES}), True),
        ]
        if not is_authority:
            extensions.append((x509.SubjectAlternativeName([_alternative(name)]), False))
            extensions.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False))
        builder = x509.CertificateBuilder(
            issuer_name=issuer,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now - datetime.timedelta(days=1),
            not_valid_after=now + datetime.timedelta(days=_DAYS),
        )
        for extension, is_critical in extensions:
            builder = builder.add_extension(extension, critical=is_critical)
        return builder.sign(self._key, hashes.SHA256())


def _alternative(name: str) -> Any:
    import ipaddress

    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
