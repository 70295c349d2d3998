"""TLS between the socket and the session, octets in and octets out.

It is done here rather than by the event loop, so that a connection may begin with a PROXY header,
go over to TLS after STLS, tell which versions a client offered, and cost little memory while idle.
"""

from __future__ import annotations

import ssl
import sys
from typing import TYPE_CHECKING

from restante.net.tls_layer import TlsLayer
from restante.server.tls.client_hello import OLD_VERSIONS, begins_tls, newest_version, read_hello

if TYPE_CHECKING:
    from restante.server.tls.certificates import Certificates

HANDSHAKE = b"\x16"
ILLEGAL_PARAMETER = b"\x15\x03\x03\0\2\2\x2f"  # fatal alerts: RFC 8446 section 6
DECODE_ERROR = b"\x15\x03\x03\0\2\2\x32"
FIRST_FLIGHT = 4 * 1024  # octets from the client that are kept to tell why a handshake failed


class TlsError(Exception):
    """TLS could not be agreed upon, or was broken; the text says why, for the log."""


class ServerTlsLayer(TlsLayer):
    """One connection's TLS, server's side. Feed it what comes; send what `outgoing` gives."""

    __slots__ = ("_certificates", "_choosing", "_first", "_protocol", "ready")

    def __init__(self, certificates: Certificates) -> None:
        super().__init__(certificates.context(), server_side=True)
        self._certificates = certificates
        self._first = b""
        self._choosing = certificates.several  # until the ClientHello is there
        self._protocol = ""  # the version
        self.ready = False  # the handshake is done

    def receive(self, octets: bytes) -> bytes:
        """Take octets from the client and return what they say in plain. Raises TlsError."""
        self._in.write(octets)
        plain: list[bytes] = []
        try:
            if not self.ready:
                self._first += octets
                if self._choosing and not self._choose():
                    return b""
                self._first = self._first[:FIRST_FLIGHT]
                self._object.do_handshake()
                self.ready = True
                self._protocol = sys.intern(self._object.version() or "")  # lost if TLS breaks
                self._first = b""
            self._read(plain)
        except ssl.SSLWantReadError:  # in the middle of the handshake
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True
        except ssl.SSLError as error:
            raise TlsError(self._reason(error)) from error
        return plain[0] if len(plain) == 1 else b"".join(plain)

    def _choose(self) -> bool:
        """Choose the certificate by the ClientHello; return False while only a part is there.

        Raises TlsError.
        """
        try:
            hello = read_hello(self._first)
        except ValueError:
            if self._first.startswith(HANDSHAKE):
                self._out.write(DECODE_ERROR)
                raise TlsError("an invalid ClientHello") from None
            self._choosing = False  # it is OpenSSL that says what is wrong
            return True
        if hello is None:
            return False
        if not hello.name.isascii():  # Python could not give it to a callback
            self._out.write(ILLEGAL_PARAMETER)
            raise TlsError("the client asks for a server name that is not ASCII")
        self._choosing = False
        self._object.context = self._certificates.choose(hello)
        return True

    @property
    def version(self) -> str:
        """The version and the cipher, such as "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty before."""
        cipher = self._object.cipher() if self.ready else None
        return f"{self._protocol} {cipher[0]}" if cipher else ""

    def bindings(self) -> dict[str, bytes]:
        """Return the data of each type of channel binding known here: RFC 5929.

        tls-unique has no meaning in TLS 1.3, and none that is safe in a session that was resumed.
        """
        bindings = {}
        if self._object.version() == "TLSv1.2" and not self._object.session_reused:
            unique = self._object.get_channel_binding("tls-unique")
            if unique:
                bindings["tls-unique"] = unique
        end_point = self._certificates.end_point_binding(self._object.context)
        if end_point:
            bindings["tls-server-end-point"] = end_point
        return bindings

    def client_names(self) -> tuple[str, ...]:
        """Return the names in the certificate that the client showed, when it is one to trust."""
        certificate = self._object.getpeercert() or {}
        others: tuple[tuple[str, str], ...] = certificate.get("subjectAltName", ())  # type: ignore[assignment]
        subject: tuple[tuple[tuple[str, str], ...], ...] = certificate.get("subject", ())  # type: ignore[assignment]
        names = [value for kind, value in others if kind == "email"]
        names += [value for part in subject for kind, value in part if kind == "commonName"]
        return tuple(names)

    def _reason(self, error: ssl.SSLError) -> str:
        if self._first and not begins_tls(self._first):
            return "not TLS: the client sent cleartext or other octets instead of a handshake"
        newest = newest_version(self._first)
        if newest in OLD_VERSIONS:
            return f"client offers {newest} only"
        return (error.reason or str(error)).replace("_", " ").lower()
