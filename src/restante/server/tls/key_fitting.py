"""Which clients can use a certificate: by the kind of its key, and by what a ClientHello offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

if TYPE_CHECKING:
    import ssl

    from cryptography import x509

    from restante.server.tls.client_hello import Hello

RSA: Final = "RSA"
TLS_1_3: Final = 0x0304

_RSA_PSS = frozenset({0x0804, 0x0805, 0x0806})
_RSA_PKCS1 = frozenset({0x0201, 0x0301, 0x0401, 0x0501, 0x0601})
_ECDSA = frozenset({0x0203, 0x0303, 0x0403, 0x0503, 0x0603})
_CURVES: Final = {"secp256r1": (23, 0x0403), "secp384r1": (24, 0x0503), "secp521r1": (25, 0x0603)}


@dataclass(frozen=True, slots=True)
class Fitting:
    """The offers of a client that allow a certificate: RFC 8446 section 4.2.3, RFC 5246."""

    kind: str  # of the key
    signatures: frozenset[int] = frozenset()  # one of them in TLS 1.3
    older: frozenset[int] = frozenset()  # one of them before
    suites: frozenset[int] = frozenset()  # the same
    group: int | None = None  # the same, where the client names groups

    def is_met_by(self, hello: Hello) -> bool:
        """Return whether the client of a ClientHello can use the certificate."""
        if TLS_1_3 in hello.versions:
            return bool(self.signatures & hello.signatures)
        return (
            bool(self.suites & hello.suites)
            and (not hello.signatures or bool(self.older & hello.signatures))
            and (not hello.groups or self.group is None or self.group in hello.groups)
        )


def requirements(certificate: x509.Certificate, context: ssl.SSLContext) -> Fitting:
    """Return what the clients of a certificate must offer, where a context serves it."""
    match certificate.public_key():
        case rsa.RSAPublicKey():
            return Fitting(RSA, _RSA_PSS, _RSA_PSS | _RSA_PKCS1, _suites(context, "auth-rsa"))
        case ec.EllipticCurvePublicKey(curve=curve):
            group, signature = _CURVES.get(curve.name, (None, 0))
            suites = _suites(context, "auth-ecdsa")
            return Fitting("ECDSA", frozenset({signature}), _ECDSA, suites, group)
        case ed25519.Ed25519PublicKey():
            algorithm = frozenset({0x0807})
            return Fitting("Ed25519", algorithm, algorithm, _suites(context, "auth-ecdsa"))
        case ed448.Ed448PublicKey():
            algorithm = frozenset({0x0808})
            return Fitting("Ed448", algorithm, algorithm, _suites(context, "auth-ecdsa"))
        case other:
            return Fitting(type(other).__name__)


def _suites(context: ssl.SSLContext, authentication: str) -> frozenset[int]:
    """Return the numbers of the cipher suites before TLS 1.3 for one kind of key."""
    ciphers: list[dict[str, object]] = context.get_ciphers()  # type: ignore[assignment]
    return frozenset(
        int(str(cipher["id"])) & 0xFFFF for cipher in ciphers if cipher["auth"] == authentication
    )
