"""A certificate and its key: from their files to an SSL context, or to the error."""

from __future__ import annotations

import hashlib
import ssl
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from restante.auth.file_reading import stamp_of
from restante.input_files import read_octets
from restante.server.tls.key_fitting import requirements
from restante.system_errors import explain_path

if TYPE_CHECKING:
    from datetime import datetime

    from restante.server.tls.key_fitting import Fitting

Profile: TypeAlias = Literal["modern", "legacy"]
Fingerprint: TypeAlias = "tuple[tuple[tuple[int, ...], bytes] | None, ...]"

MODERN: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.2; forward secrecy, authenticated encryption
LEGACY: Final = "DEFAULT:@SECLEVEL=0"  # whatever OpenSSL still can, for clients that can no more

_OTHER_KEY = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
_TOO_WEAK = {
    "EE_KEY_TOO_SMALL": "its key is too short",
    "CA_KEY_TOO_SMALL": "a key of its chain is too short",
    "CA_MD_TOO_WEAK": "it, or its chain, is signed with a weak digest",
}
_STRONG = "get a new certificate, whose key is ECDSA, or RSA of at least 2048 bits"
_UNSUPPORTED = (
    ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType
)  # fmt: skip


class CertificateError(Exception):
    """Certificates cannot be used; each of the `problems` names a file."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """The files of a certificate, with its chain, and its private key; both PEM.

    A path may be a text, too.
    """

    certificate: Path
    key: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "certificate", Path(self.certificate))
        object.__setattr__(self, "key", Path(self.key))


@dataclass(frozen=True, slots=True, eq=False)
class LoadedCertificate:
    """A certificate that TLS can use."""

    pair: CertificateFiles
    certificate: x509.Certificate
    context: ssl.SSLContext
    names: frozenset[str]  # of hosts, in lower case; "*.example.com" stands for one label more
    end_point: bytes  # the channel binding tls-server-end-point: RFC 5929 section 4; may be empty
    fingerprint: Fingerprint  # of the files, before they were read
    requirements: Fitting  # which clients can use it


def load(pair: CertificateFiles, profile: Profile, client_ca: Path | None) -> LoadedCertificate:
    """Load a certificate from its files. Raises CertificateError."""
    fingerprint = file_fingerprint(pair, client_ca)
    certificate = _certificate(pair.certificate)
    if b"PRIVATE KEY-----" not in _read(pair.key):
        raise CertificateError(f"{pair.key}: not a PEM private key")
    context = _context(profile)
    try:
        context.load_cert_chain(pair.certificate, pair.key, password=_no_password)
    except ssl.SSLError as error:
        raise CertificateError(_reason(error, pair, certificate)) from error
    except ValueError as error:
        raise CertificateError(f"{pair.key}: {error}") from error
    except OSError as error:  # one of them was there a moment ago
        raise CertificateError(explain_path(f"{pair.certificate}, {pair.key}", error)) from error
    if client_ca:
        _trust(context, client_ca)
    try:
        names, end_point = _names(certificate), _end_point(certificate)
        fits = requirements(certificate, context)
    except _UNSUPPORTED as error:
        raise CertificateError(f"{pair.certificate}: {error}") from error
    return LoadedCertificate(pair, certificate, context, names, end_point, fingerprint, fits)


def file_fingerprint(pair: CertificateFiles, client_ca: Path | None) -> Fingerprint:
    """Return a value that changes when a file is replaced or written, or its mode changes.

    It has digests too: the times of a file may hide the second of two changes.
    """
    files = (pair.certificate, pair.key, client_ca)
    return tuple(_fingerprint(file) for file in files if file is not None)


def is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    """Return whether a certificate is valid at a time."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def dates(certificate: x509.Certificate) -> str:
    """Return from when to when a certificate is valid."""
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return f"valid from {begins:%Y-%m-%d %H:%M} to {ends:%Y-%m-%d %H:%M} UTC"


def _certificate(file: Path) -> x509.Certificate:
    octets = _read(file)
    try:
        return x509.load_pem_x509_certificate(octets)
    except (ValueError, x509.InvalidVersion) as error:
        raise CertificateError(f"{file}: not a valid PEM certificate") from error


def _read(file: Path) -> bytes:
    try:
        return read_octets(file)
    except OSError as error:
        raise CertificateError(explain_path(file, error)) from error


def _reason(error: ssl.SSLError, pair: CertificateFiles, certificate: x509.Certificate) -> str:
    """Say what OpenSSL has against the files, whose key has a PEM header at least."""
    if error.reason in _OTHER_KEY:
        first = f"the first certificate of {pair.certificate}, {dates(certificate)}"
        return f"{pair.key}: does not match {first}"
    if not error.reason:
        return f"{pair.key}: not a PEM private key"
    if error.reason in _TOO_WEAK:
        return f"{pair.certificate}: {_TOO_WEAK[error.reason]}; {_STRONG}"
    return f"{pair.certificate}: {error.reason.replace('_', ' ').lower()}"


def _trust(context: ssl.SSLContext, client_ca: Path) -> None:
    _read(client_ca)  # if it is a pipe, OpenSSL would wait
    try:
        context.load_verify_locations(client_ca)
    except ssl.SSLError as error:
        raise CertificateError(f"{client_ca}: not PEM certificates") from error
    except OSError as error:
        raise CertificateError(explain_path(client_ca, error)) from error
    context.verify_mode = ssl.CERT_OPTIONAL


def _context(profile: Profile) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 1  # each costs time, and a mail program has one connection at a time
    if profile == "modern":
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(MODERN)
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers(LEGACY)
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted; store it without a password, with `openssl pkey`")


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        ).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in alternatives.get_values_for_type(x509.DNSName))


def _end_point(certificate: x509.Certificate) -> bytes:
    """Hash a certificate as RFC 5929 section 4.1 says; where it defines nothing, return nothing."""
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None:
        return b""
    name = "sha256" if algorithm.name in ("md5", "sha1") else algorithm.name
    return hashlib.new(name, certificate.public_bytes(Encoding.DER)).digest()


def _fingerprint(file: Path) -> tuple[tuple[int, ...], bytes] | None:
    try:
        return stamp_of(file.stat()), hashlib.sha256(read_octets(file)).digest()
    except OSError:
        return None
