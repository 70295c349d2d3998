"""TLS over buffers in memory: octets in, octets out, for any driver."""

from __future__ import annotations

import contextlib
import ssl

RECORD = 16 * 1024  # octets in a record at most: RFC 8446 section 5.1


class TlsLayer:
    """One connection's TLS. Its two sides add the handshake and their errors.

    `outgoing` returns what is to be sent: call it after each call that is given octets.
    """

    __slots__ = ("_in", "_object", "_out", "ended")

    def __init__(
        self, context: ssl.SSLContext, *, server_side: bool = False, server_name: str | None = None
    ) -> None:
        """Prepare a connection. Raises ValueError: no certificate can have the server's name."""
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._in, self._out, server_side=server_side, server_hostname=server_name
        )
        self.ended: bool = False  # the peer said that it sends no more

    def _read(self, plain: list[bytes]) -> None:
        """Add all to `plain` that has come. Raises ssl.SSLError: what follows is broken.

        A read gets a whole record, so OpenSSL holds nothing back once the buffer is empty. To read
        on until it says so would cost an exception for each command.
        """
        try:
            while self._in.pending:
                piece = self._object.read(RECORD)
                if not piece:
                    self.ended = True
                    break
                plain.append(piece)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self.ended = True

    def seal(self, octets: bytes) -> bytes:
        """Return what to send for octets in plain."""
        self._object.write(octets)
        return self._out.read()

    def outgoing(self) -> bytes:
        """Return what TLS itself has to send: its side of a handshake, an alert."""
        return self._out.read()

    def goodbye(self) -> bytes:
        """Return the octets of close_notify."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        return self._out.read()
