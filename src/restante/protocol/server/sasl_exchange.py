"""SASL within POP3: challenges and responses as lines of base64. RFC 5034 section 4."""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING

from restante.protocol.errors import Refusal
from restante.protocol.lines import strip_line_end
from restante.protocol.server.needs import ReadLine

if TYPE_CHECKING:
    from restante.protocol.server.needs import Reply
    from restante.protocol.server.session import Session

RESPONSE_LIMIT = 65536  # octets of a response, line end included: tokens are long


class ExchangeCancelled(Refusal):
    """The client cancelled its authentication. RFC 5034 section 4."""

    def __init__(self) -> None:
        super().__init__("Authentication cancelled.")


class SaslExchange:
    """The challenges and responses of one AUTH command.

    All methods raise Refusal: the client cancelled, or its line is not base64 or ends with LF.
    """

    def __init__(self, session: Session, initial: bytes | None) -> None:
        self.session = session
        self._initial = initial  # as it came, in base64

    def initial_response(self, challenge: bytes = b"") -> Reply:
        """Return the client's first response: that of the AUTH line, or else to a challenge."""
        if self._initial is None:
            return (yield from self.challenge(challenge))
        return b"" if self._initial == b"=" else _decode(self._initial)

    def challenge(self, challenge: bytes) -> Reply:
        """Send a challenge and return the response to it."""
        return _decode((yield from self.ask(challenge)))

    def ask(self, challenge: bytes) -> Reply:
        """Send a challenge and return the response as it comes, in base64.

        Raises ExchangeCancelled.
        """
        reply = b"+ " + binascii.b2a_base64(challenge, newline=False) + b"\r\n"
        line = yield reply, ReadLine(RESPONSE_LIMIT, self.session.command_timeout)
        response = strip_line_end(line, strict=self.session.settings.strict_line_ends)
        if response == b"*":
            raise ExchangeCancelled
        return response


def _decode(text: bytes) -> bytes:
    """Return the octets of a text in base64. Other characters in it are an error."""
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except binascii.Error:
        raise Refusal("That is not base64.") from None
