"""Certificates of every unfortunate kind, made here."""

from __future__ import annotations

import datetime as dt
import ssl
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from restante.server.tls.certificates import Certificates

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = dt.timedelta(days=1)


@dataclass
class Certified:
    """A certificate, its key, and its issuer."""

    certificate: x509.Certificate
    key: Key
    issuer: Certified | None = None

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def serving(
        self, *, chain: bool = True, minimum: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        """Return a server's settings; with `chain` the intermediates are sent along."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if minimum is not None:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # old versions are the point
                context.minimum_version = context.maximum_version = minimum
        sent, issuer = self.pem, self.issuer
        while chain and issuer is not None and issuer.issuer is not None:
            sent, issuer = sent + issuer.pem, issuer.issuer
        with tempfile.NamedTemporaryFile() as file:
            file.write(key_of(self) + sent)
            file.flush()
            context.load_cert_chain(file.name)
        return context


class GivenContext(Certificates):
    """A server's settings as the certificates of a listener: those that it would not load, too."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    @property
    def several(self) -> bool:
        return False

    def context(self) -> ssl.SSLContext:
        return self._context

    def end_point_binding(self, context: ssl.SSLContext) -> bytes:  # it has none
        return b""


def key_of(
    certified: Certified, encryption: serialization.KeySerializationEncryption | None = None
) -> bytes:
    """Return the key of a certificate, PEM, encrypted or not."""
    return certified.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        encryption or serialization.NoEncryption(),
    )


def make(
    name: str,
    *,
    issuer: Certified | None = None,
    authority: bool = False,
    begins: dt.timedelta = -DAY,
    ends: dt.timedelta = 90 * DAY,
    hosts: tuple[str, ...] = ("localhost",),
    key: Key | None = None,
    fetchable: bool = False,
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Certified:
    """Return a certificate; without an issuer it certifies itself.

    `extensions` are pairs of an extension and whether it is critical. Without hosts, the name is
    only in the subject.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
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
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority and hosts:
        names: list[x509.GeneralName] = [x509.DNSName(h) for h in hosts if not h[0].isdigit()]
        names += [x509.IPAddress(ip_address(h)) for h in hosts if h[0].isdigit()]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if fetchable:
        where = x509.UniformResourceIdentifier("http://ca.example.com/issuer.der")
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, where)
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signed = builder.sign(issuer.key if issuer else key, hashes.SHA256())
    return Certified(signed, key, issuer)


ROOT = make("Test Root", authority=True)
INTERMEDIATE = make("Test Intermediate", issuer=ROOT, authority=True)
HOSTS = ("localhost", "127.0.0.1")
GOOD = make("localhost", issuer=ROOT, hosts=HOSTS)


def trusting(root: Certified = ROOT) -> ssl.SSLContext:
    """Return a client's settings that trust one root, in this old form, with any Python."""
    context = ssl.create_default_context(cadata=root.pem.decode())
    context.verify_flags = ssl.VERIFY_X509_TRUSTED_FIRST
    return context


def root_file(folder: Path) -> Path:
    """Return a file with the root."""
    file = folder / "root.pem"
    file.write_bytes(ROOT.pem)
    return file
