"""Certificates for servers with a fault in TLS, and a good one, all made here.

They are made at their first use and kept until the process ends.
"""

from __future__ import annotations

import atexit
import datetime as dt
import os
import shutil
import ssl
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from restante.misbehave.fault import GOOD
from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.certificates import Certificates

if TYPE_CHECKING:
    from collections.abc import Sequence

DAY = dt.timedelta(days=1)
HERE = ("localhost", "127.0.0.1", "::1")
ELSEWHERE = ("mail.example.net",)

KINDS: Final = (GOOD, "expired", "not yet", "wrong host", "self-signed", "no chain", "old")
"""GOOD is signed by the authority, and so are all others but "self-signed".

"no chain" comes without its intermediate certificate, and "old" allows nothing above TLS 1.1.
"""


_ISSUER_PLACE = x509.AuthorityInformationAccess(
    [
        x509.AccessDescription(
            AuthorityInformationAccessOID.CA_ISSUERS,
            x509.UniformResourceIdentifier("http://ca.example.com/issuer.der"),
        )
    ]
)


@dataclass(frozen=True, slots=True)
class Signed:
    """A certificate, its key, and the certificate of its issuer."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuer: Signed | None = None

    @property
    def pem(self) -> bytes:
        """The certificate in PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The private key in PEM."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


def sign(  # noqa: PLR0913  # a certificate has as many fields
    name: str,
    issuer: Signed | None = None,
    *,
    hosts: Sequence[str] = (),
    begins: dt.timedelta = -DAY,
    ends: dt.timedelta = 365 * DAY,
    fetchable: bool = False,
) -> Signed:
    """Return a certificate for `hosts`; without hosts it is of an authority.

    Without an issuer it certifies itself. `begins` and `ends` count from now. `fetchable` says
    where the issuer's certificate is, as certificates of intermediates do.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    now = dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=not hosts, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_usage(authority=not hosts), critical=True)
    )
    if hosts:
        names = [_name(host) for host in hosts]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if fetchable:
        builder = builder.add_extension(_ISSUER_PLACE, critical=False)
    signer = issuer or Signed(builder.sign(key, hashes.SHA256()), key)
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False
    )
    return Signed(builder.sign(signer.key, hashes.SHA256()), key, issuer)


@cache
def authority() -> Signed:
    """Return the authority of this process, which clients are to trust."""
    return sign("Authority of pop3 misbehave")


@cache
def authority_file() -> Path:
    """Return a PEM file with the authority's certificate."""
    file = _folder() / "authority.pem"
    file.write_bytes(authority().pem)
    return file


@cache
def certificates(kind: str) -> Certificates:
    """Return the certificates of a kind, for a listener."""
    signed, name = _sign_kind(kind), kind.replace(" ", "-")
    pair = CertificateFiles(_folder() / f"{name}.pem", _folder() / f"{name}.key")
    pair.certificate.write_bytes(signed.pem)
    pair.key.write_bytes(signed.key_pem)
    return _OldVersions([pair], "legacy") if kind == "old" else Certificates([pair])


class _OldVersions(Certificates):
    """Certificates of a server that has TLS 1.1 at best."""

    def context(self) -> ssl.SSLContext:
        context = super().context()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        return context


def _sign_kind(kind: str) -> Signed:
    match kind:
        case "expired":
            return sign("localhost", authority(), hosts=HERE, begins=-90 * DAY, ends=-DAY)
        case "not yet":
            return sign("localhost", authority(), hosts=HERE, begins=DAY)
        case "wrong host":
            return sign(ELSEWHERE[0], authority(), hosts=ELSEWHERE)
        case "self-signed":
            return sign("localhost", hosts=HERE)
        case "no chain":
            between = sign("Intermediate of pop3 misbehave", authority())
            return sign("localhost", between, hosts=HERE, fetchable=True)
        case _:
            return sign("localhost", authority(), hosts=HERE)


@cache
def _folder() -> Path:
    """Return a folder that exists until this process ends, whatever its children do."""
    folder = tempfile.mkdtemp(prefix="restante-")
    atexit.register(_remove_folder, folder, os.getpid())
    return Path(folder)


def _remove_folder(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # a child that was forked has the same handlers
        shutil.rmtree(folder, ignore_errors=True)


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
