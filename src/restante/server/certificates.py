"""Certificates: loaded, chosen by name, and loaded again when their files change."""

from __future__ import annotations

import hashlib
import ssl
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

Profile: TypeAlias = Literal["modern", "legacy"]

CHECK_EVERY = 1.0  # seconds between two looks at the files

MODERN = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.2; forward secrecy and authenticated encryption
LEGACY = "DEFAULT:@SECLEVEL=0"  # whatever OpenSSL still can, for clients that can no more


class CertificateError(Exception):
    """A certificate cannot be used; the text names the file."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a certificate, with its chain, and its private key; both PEM."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Loaded:
    """A certificate in use."""

    context: ssl.SSLContext
    names: frozenset[str]  # of hosts, in lower case; "*.example.com" stands for one label more
    end_point: bytes  # the channel binding tls-server-end-point: RFC 5929 section 4; may be empty


class Certificates:
    """The certificates of a listener; the first one serves who asks for no name that we have.

    `warn` is called with words when files changed and cannot be used; the old ones stay in use.
    Raises CertificateError.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        profile: Profile = "modern",
        client_ca: Path | None = None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._pairs = pairs
        self._profile = profile
        self._client_ca = client_ca
        self._warn = warn
        self._looked_at = time.monotonic()
        self._stamp = self._look()
        self._loaded = self._load()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; its callback chooses by the name asked for."""
        if time.monotonic() - self._looked_at >= CHECK_EVERY:
            self.reload()
        return self._loaded[0].context

    def reload(self) -> None:
        """Load the files again if they have changed."""
        self._looked_at = time.monotonic()
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._loaded = self._load()
        except CertificateError as error:
            self._warn(str(error))

    def end_point(self, context: ssl.SSLContext) -> bytes:
        """Return the binding data of the certificate that a connection used, if it has some."""
        found = (loaded.end_point for loaded in self._loaded if loaded.context is context)
        return next(found, b"")

    def _look(self) -> list[tuple[int, int, int] | None]:
        files = [file for pair in self._pairs for file in (pair.certificate, pair.key)]
        return [_stamp(file) for file in files]

    def _load(self) -> list[Loaded]:
        loaded = [self._load_pair(pair) for pair in self._pairs]

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            for certificate in loaded:
                if name and _matches(name.lower(), certificate.names):
                    connection.context = certificate.context
                    return

        if len(loaded) > 1:
            loaded[0].context.sni_callback = choose
        return loaded

    def _load_pair(self, pair: Pair) -> Loaded:
        context = _context(self._profile)
        try:
            certificate = x509.load_pem_x509_certificate(pair.certificate.read_bytes())
            context.load_cert_chain(pair.certificate, pair.key, password=_no_password)
            if self._client_ca:
                context.load_verify_locations(self._client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            text = f"{pair.certificate}, {pair.key}: {reason or 'no PEM certificate and key'}"
            raise CertificateError(text) from error
        return Loaded(context, _names(certificate), _end_point(certificate))


def _context(profile: Profile) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
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
    raise ValueError("the key is encrypted")


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in found.get_values_for_type(x509.DNSName))


def _matches(name: str, names: frozenset[str]) -> bool:
    return name in names or f"*.{name.partition('.')[2]}" in names


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


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
