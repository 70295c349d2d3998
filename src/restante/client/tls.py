"""The client's side of TLS, on octets in memory, and the ids of its errors."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, TypeAlias

from restante.client.other_protocols import describe_server
from restante.input_files import require_file
from restante.net.tls_layer import TlsLayer
from restante.net.tls_trust import create_verifying_context, has_authorities
from restante.protocol.errors import Phase, SecurityError
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.client.options import Options

_VERIFY_CODES = {
    2: "tls-unknown-ca",
    9: "tls-notyet",
    10: "tls-expired",
    18: "tls-selfsigned",
    19: "tls-unknown-ca",
    20: "tls-unknown-ca",
    21: "tls-chain",
    27: "tls-unknown-ca",
    62: "tls-wronghost",
    64: "tls-wronghost",
    66: "tls-weak",
    67: "tls-weak",
    68: "tls-weak",
}
"""By OpenSSL's X509_V_ERR numbers. Any other says that the certificate may not be used so."""

_ALERTS = {
    40: (
        "tls-failed",  # `pop3 check` finds out whether weaker TLS would do
        "the server supports no common version or cipher (alert 40, handshake_failure)",
    ),
    70: ("tls-old", "the server supports neither TLS 1.2 nor 1.3 (alert 70, protocol_version)"),
    71: (
        "tls-weak",
        "the server requires more than the client offered (alert 71, insufficient_security)",
    ),
    80: (
        "tls-failed",
        "the server failed (alert 80, internal_error); it may be unable to use its certificate",
    ),
    112: ("tls-failed", "the server has no certificate for this name (alert 112)"),
}
"""By the numbers of RFC 8446 section 6, as they come from the server before anything is agreed."""

_RECORDS = (0x14, 0x15, 0x16, 0x17)  # the first octet of a record of TLS
_ALERT, _HANDSHAKE, _SERVER_HELLO, _CERTIFICATE_REQUEST = 0x15, 0x16, 2, 13
TLS_1_2 = b"\x03\x03"
ENOUGH = 64 * 1024  # octets of a server's handshake that are kept, to judge a failure

_REASONS = {
    "WRONG_VERSION_NUMBER": "plain-on-tls",
    "HTTP_REQUEST": "plain-on-tls",
    "PACKET_LENGTH_TOO_LONG": "plain-on-tls",
    "RECORD_LAYER_FAILURE": "plain-on-tls",
    "UNSUPPORTED_PROTOCOL": "tls-old",
    "TLSV1_ALERT_PROTOCOL_VERSION": "tls-old",
    "VERSION_TOO_LOW": "tls-old",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "tls-failed",
    "DH_KEY_TOO_SMALL": "tls-weak",
    "EE_KEY_TOO_SMALL": "tls-weak",
    "CA_KEY_TOO_SMALL": "tls-weak",
    "CA_MD_TOO_WEAK": "tls-weak",
    "BAD_DH_VALUE": "tls-weak",
    "WRONG_SIGNATURE_TYPE": "tls-weak",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "tls-client-cert",
    "TLSV1_ALERT_UNKNOWN_CA": "tls-client-cert",
    "SSLV3_ALERT_BAD_CERTIFICATE": "tls-client-cert",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "tls-client-cert",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "tls-client-cert",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "tls-client-cert",
}
"""By OpenSSL's names. An alert of the server about a certificate is about the client's."""


def hello_version(answer: bytes) -> bytes:
    """Return the version of a ServerHello, b"" for other octets. RFC 5246 section 7.4.1.3."""
    hello = answer[:1] == bytes([_HANDSHAKE]) and answer[5:6] == bytes([_SERVER_HELLO])
    return answer[9:11] if hello else b""


def _identify_answer(answer: bytes) -> tuple[str, str]:
    """Return the id and the text of the error in a server's first octets, "" and "" for none.

    They do not depend on the version and the settings of OpenSSL.
    """
    if answer and answer[0] not in _RECORDS:
        if not answer.startswith((b"+", b"-")):
            return "wrong-protocol", describe_server(answer)
        line = decode_text(answer[:80].partition(b"\n")[0]).rstrip()
        return "plain-on-tls", f'the reply is POP3 without TLS: "{line}"'
    if answer[:1] == bytes([_ALERT]) and len(answer) > 6:
        return _ALERTS.get(answer[6], ("", ""))
    version = hello_version(answer)
    if version and version < TLS_1_2:
        return "tls-old", "the server chose a version before TLS 1.2"
    return "", ""


def _requests_certificate(answer: bytes) -> bool:
    """Return whether a server's handshake requests a certificate in clear text, before TLS 1.3.

    Records: RFC 5246 section 6.2.1; messages: section 7.4.
    """
    messages = b""
    while answer[:1] == bytes([_HANDSHAKE]) and len(answer) >= 5:
        end = 5 + int.from_bytes(answer[3:5])
        messages, answer = messages + answer[5:end], answer[end:]
    while len(messages) >= 4:
        if messages[0] == _CERTIFICATE_REQUEST:
            return True
        messages = messages[4 + int.from_bytes(messages[1:4]) :]
    return False


_Stamp: TypeAlias = tuple[tuple[int, int, int] | None, ...]

_contexts: dict[str, tuple[_Stamp, ssl.SSLContext]] = {}  # by the file of authorities


def verifying_context(cafile: str = "") -> ssl.SSLContext:
    """Return settings that verify certificate and name against the system's trust, or a file's.

    They are kept until the files change: `pop3 fetch --watch` runs for months. Raises OSError:
    the file cannot be used.
    """
    if cafile:
        require_file(cafile)
    stamp = _stamp(cafile)
    cached = _contexts.get(cafile)
    if cached is None or cached[0] != stamp:
        cached = _contexts[cafile] = stamp, create_verifying_context(cafile or None)
    return cached[1]


def _stamp(cafile: str) -> _Stamp:
    """Return the times, sizes and inodes of the files of trusted authorities."""
    system = ssl.get_default_verify_paths()
    paths = (cafile,) if cafile else (system.cafile, system.capath)
    return tuple(_stamp_file(path) for path in paths)


def _stamp_file(path: str | None) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path or "")
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def unverified_context() -> ssl.SSLContext:
    """Return settings that accept any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class ClientTlsLayer(TlsLayer):
    """One connection's TLS, client's side. Feed it what comes; send what `outgoing` gives."""

    def __init__(self, options: Options, host: str) -> None:
        name = options.server_name or host
        self._by_system = options.context is None
        try:
            super().__init__(options.context or verifying_context(), server_name=name)
        except ValueError as error:
            raise SecurityError("tls-failed", f"{name!r}: {error}", phase=Phase.TLS) from None
        self._answer = b""  # the server's handshake, until it is done
        self._confirmed = False  # the server sent octets after it, so it accepted the handshake
        self.failure: str = ""  # why TLS broke after that, in words

    def handshake(self, octets: bytes) -> bool:
        """Continue the handshake, and return whether it is done. Raises SecurityError."""
        self._in.write(octets)
        self._answer = (self._answer + octets)[:ENOUGH]
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise self._rejection(error) from None
        self._answer = b""
        return True

    def _rejection(self, error: Exception) -> SecurityError:
        rejection = _insecure(error, self._answer)
        unknown = rejection.id in ("tls-unknown-ca", "tls-chain")
        if unknown and self._by_system and not has_authorities(verifying_context()):
            text = "this machine has no certificate authorities to verify the server's by"
            return SecurityError("tls-no-authorities", text, phase=Phase.TLS)
        return rejection

    def receive(self, octets: bytes) -> bytes:
        """Return the decrypted octets of the server. `failure` has the reason if TLS broke.

        Raises SecurityError: the server rejects the handshake, which in TLS 1.3 comes only now.
        """
        self._in.write(octets)
        plain: list[bytes] = []
        try:
            self._read(plain)
        except ssl.SSLError as error:
            if not plain and not self._confirmed:
                raise _late_rejection(error) from None
            self.ended, self.failure = True, _words(error, error.reason or "")
        self._confirmed = self._confirmed or bool(plain)
        return b"".join(plain)

    @property
    def version(self) -> str:
        """The version, such as "TLSv1.3"."""
        return self._object.version() or ""

    @property
    def cipher(self) -> str:
        """The cipher's name."""
        cipher = self._object.cipher()
        return cipher[0] if cipher else ""

    def certificate(self) -> bytes:
        """Return the server's certificate, DER; b"" when it showed none."""
        return self._object.getpeercert(binary_form=True) or b""

    def chain(self) -> Sequence[bytes]:
        """Return the certificates that the server sent, DER, its own first, as far as known."""
        inner = getattr(self._object, "_sslobj", None)  # public from Python 3.13 on
        get_chain = getattr(self._object, "get_unverified_chain", None) or getattr(
            inner, "get_unverified_chain", None
        )
        certificates = (get_chain() if get_chain else None) or []
        ders = [c if isinstance(c, bytes) else c.public_bytes(2) for c in certificates]
        return ders or [der for der in [self.certificate()] if der]

    def binding(self) -> tuple[str, bytes] | None:
        """Return the channel binding that this connection has for SCRAM-*-PLUS: RFC 5929."""
        if self.version != "TLSv1.2":
            return None
        unique = self._object.get_channel_binding("tls-unique")
        return ("tls-unique", unique) if unique and not self._object.session_reused else None


def _insecure(error: Exception, answer: bytes = b"") -> SecurityError:
    """Return a SecurityError for an error of OpenSSL."""
    if isinstance(error, ssl.SSLCertVerificationError):
        trouble = _VERIFY_CODES.get(error.verify_code, "tls-invalid")
        return SecurityError(trouble, error.verify_message or str(error), phase=Phase.TLS)
    reason = getattr(error, "reason", None) or ""
    name, text = _identify_answer(answer)
    if not name:
        name, text = _REASONS.get(reason, "tls-failed"), _words(error, reason)
        if name == "plain-on-tls" and hello_version(answer):  # the server began with TLS
            name = "tls-failed"
    if name == "tls-client-cert" or ("ALERT" in reason and _requests_certificate(answer)):
        name, text = "tls-client-cert", f"the server requires a client certificate ({text})"
    return SecurityError(name, text, phase=Phase.TLS)


def _late_rejection(error: ssl.SSLError) -> SecurityError:
    """Return the error of a server that ends TLS as soon as the client has finished."""
    rejection = _insecure(error)
    if rejection.id == "plain-on-tls":  # the handshake was TLS, so the port is
        rejection.id = "tls-failed"
    return rejection


def _words(error: Exception, reason: str) -> str:
    """Return the words of an error of OpenSSL, without the place in OpenSSL's code."""
    if reason:
        return reason.replace("_", " ").lower()
    return str(error).removeprefix("[SSL] ").partition(" (_ssl.c")[0]
