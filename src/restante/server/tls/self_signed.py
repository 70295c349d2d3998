"""Certificates that certify themselves, for the demo and for tests."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

VALID_FOR = dt.timedelta(days=3650)
CLOCKS_DIFFER = dt.timedelta(days=1)

_USAGE = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,  # it is its own authority
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


class CertificateAndKey(NamedTuple):
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def create_self_signed(
    hosts: Iterable[str], addresses: Iterable[str] = (), organization: str = "Restante"
) -> CertificateAndKey:
    """Return a new certificate for these names of hosts and addresses, with a P-256 key."""
    names = [x509.DNSName(host) for host in hosts]
    ips = [x509.IPAddress(ip_address(address)) for address in addresses]
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, names[0].value),
        ]
    )
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCKS_DIFFER)
        .not_valid_after(now + VALID_FOR)
        .add_extension(x509.SubjectAlternativeName([*names, *ips]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return CertificateAndKey(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
