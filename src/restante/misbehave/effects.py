"""The effects of a faulty conversation, beside the needs of the server."""

from __future__ import annotations

from dataclasses import dataclass

from restante.protocol.server.needs import Need, SendMultiline


@dataclass(slots=True)
class Pause(Need[None]):
    """A number of seconds pass, or the client hangs up."""

    seconds: float


@dataclass(slots=True)
class HangUp(Need[None]):
    """The connection closes, after the octets before. The session is not answered after it.

    `reset` closes it by a TCP reset. Without `notify`, TLS ends without its close_notify: RFC 8446
    section 6.1.
    """

    reset: bool = False
    notify: bool = True


@dataclass(slots=True)
class ReadWhole(Need[bytes]):
    """The wire form of a long message, with its terminator, in one piece."""

    message: SendMultiline
