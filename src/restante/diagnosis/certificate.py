"""A server's certificate, described for people."""

from __future__ import annotations

import datetime as dt
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from restante.diagnosis import wording
from restante.net import certificate_dates
from restante.net.addresses import is_address
from restante.net.host_names import ascii_host

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence

    from cryptography import x509

E = TypeVar("E", bound="x509.ExtensionType")


class CertificateSummary(NamedTuple):
    """The parts of a certificate that explain why it is not trusted."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    begins: dt.datetime
    ends: dt.datetime
    key: str
    signature: str
    sent: int  # how many certificates the server sent
    fetchable: bool  # it says where its issuer's certificate can be had: it is an intermediate
    subject_alone: bool  # it has no name but the subject's
    expired_issuer: str  # of those that were sent, as "Example CA expired 3 days ago, ..."

    @property
    def days_left(self) -> int:
        """Whole days until it ends, negative if it has ended: -3 is "3 days ago"."""
        return int((self.ends - dt.datetime.now(dt.UTC)) / dt.timedelta(days=1))

    @property
    def ends_soon(self) -> bool:
        """Whether it is valid, and should have been renewed by now."""
        now = dt.datetime.now(dt.UTC)
        return certificate_dates.ends_soon(self.begins, self.ends, now)

    @property
    def is_valid(self) -> bool:
        """Whether it is within its dates."""
        return self.begins <= dt.datetime.now(dt.UTC) <= self.ends

    @property
    def validity(self) -> str:
        """How long it is good, in words."""
        now = dt.datetime.now(dt.UTC)
        if now < self.begins:
            return (
                f"valid from {self.begins:%Y-%m-%d %H:%M} UTC, {_span(self.begins - now)} from now"
            )
        if now > self.ends:
            return _describe_end(self.ends, now)
        return f"{wording.quantity(self.days_left, 'day')} left"

    def is_for(self, host: str) -> bool:
        """Return whether a host or an address is among its names: RFC 9525."""
        if is_address(host):
            return ip_address(host) in {ip_address(name) for name in self.names if is_address(name)}
        wanted = ascii_host(host).rstrip(".").lower()
        wildcard = "*." + wanted.partition(".")[2]
        return not {wanted, wildcard}.isdisjoint(name.lower() for name in self.names)

    def lacks_link(self, context: ssl.SSLContext) -> bool:
        """Return whether the server left an intermediate out, rather than has an unknown authority.

        Only its own certificate came, and it says where its issuer's can be had, or the issuer is
        of an organization which is trusted here.
        """
        if self.sent > 1 or self.subject == self.issuer:
            return False
        return self.fetchable or self.issuer in _organizations(context)

    def as_json(self) -> dict[str, Any]:
        """Return the same for programs."""
        return {
            "subject": self.subject,
            "issuer": self.issuer,
            "names": list(self.names),
            "not_before": self.begins.isoformat(),
            "not_after": self.ends.isoformat(),
            "days_left": self.days_left,
            "key": self.key,
            "signature": self.signature,
            "certificates_sent": self.sent,
        }


def _describe_end(ends: dt.datetime, now: dt.datetime) -> str:
    return f"expired {_span(now - ends)} ago, on {ends:%Y-%m-%d}"


def _span(span: dt.timedelta) -> str:
    return wording.quantity(span.days, "day") if span.days else wording.age(span.total_seconds())


def summarise(chain: Sequence[bytes]) -> CertificateSummary | None:
    """Return what the first certificate of a chain (DER) says; None where it cannot be read."""
    from cryptography import x509

    if not chain:
        return None
    try:
        return _facts(x509.load_der_x509_certificate(chain[0]), chain)
    except ValueError:
        return None


def _facts(certificate: x509.Certificate, chain: Sequence[bytes]) -> CertificateSummary:
    return CertificateSummary(
        _name(certificate.subject),
        _name(certificate.issuer),
        _names(certificate),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        _key(certificate),
        _value_or_empty(lambda: certificate.signature_hash_algorithm.name),  # type: ignore[union-attr]
        len(chain),
        _fetchable(certificate),
        not _alternative_names(certificate),
        next(filter(None, map(_find_expired, chain[1:])), ""),
    )


def _find_expired(der: bytes) -> str:
    """Return the name of an intermediate certificate and when it expired, "" if it did not."""
    from cryptography import x509

    try:
        certificate = x509.load_der_x509_certificate(der)
    except ValueError:
        return ""
    now, ends = dt.datetime.now(dt.UTC), certificate.not_valid_after_utc
    return f"{_name(certificate.subject)} {_describe_end(ends, now)}" if now > ends else ""


def _value_or_empty(get: Callable[[], str]) -> str:
    try:
        return get()
    except Exception:  # noqa: BLE001  # a certificate may be broken anywhere, and is shown all the same
        return ""


def _name(name: x509.Name) -> str:
    from cryptography.x509.oid import NameOID

    for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATIONAL_UNIT_NAME, NameOID.ORGANIZATION_NAME):
        attributes = name.get_attributes_for_oid(oid)
        if attributes:
            return str(attributes[0].value)
    return _value_or_empty(name.rfc4514_string)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return all names of a certificate. The subject's name counts only without others."""
    return _alternative_names(certificate) or tuple(filter(None, [_name(certificate.subject)]))


def _alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Return the hosts and addresses of the extension for them, none without it."""
    from cryptography import x509

    extension = _find_extension(certificate, x509.SubjectAlternativeName)
    if extension is None:
        return ()
    hosts = extension.get_values_for_type(x509.DNSName)
    return (*hosts, *map(str, extension.get_values_for_type(x509.IPAddress)))


def _key(certificate: x509.Certificate) -> str:
    def key_text() -> str:
        key = certificate.public_key()
        kind = type(key).__name__.removeprefix("_").removesuffix("PublicKey")
        return f"{kind} {getattr(key, 'key_size', '')}".strip()

    return _value_or_empty(key_text)


def _fetchable(certificate: x509.Certificate) -> bool:
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    access = _find_extension(certificate, x509.AuthorityInformationAccess)
    ca_issuers = AuthorityInformationAccessOID.CA_ISSUERS
    return any(entry.access_method == ca_issuers for entry in access or ())


def _find_extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    """Return an extension, None if the certificate has none, or extensions that are unreadable."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except (
        x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, ValueError
    ):  # fmt: skip
        return None


def _organizations(context: ssl.SSLContext) -> set[str]:
    names = set()
    for authority in context.get_ca_certs():
        subject: Any = authority.get("subject", ())
        names |= {value for part in subject for key, value in part if key == "organizationName"}
    return names
