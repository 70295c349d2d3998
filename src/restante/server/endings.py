"""How connections end: what they are told, and which of them are waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.errors import Refused, ResponseCode
from restante.protocol.needs import (
    Acquire,
    ScramFinal,
    ScramFirst,
    Verify,
    VerifyCertificate,
    VerifyDigest,
    VerifyToken,
)
from restante.protocol.state import End

if TYPE_CHECKING:
    from restante.server.output import Output
    from restante.server.service import Service

LINGER = 2  # seconds for a peer that is hung up on to read why

HUNG_UP_ON = frozenset(
    {
        End.BAD_COMMANDS, End.REFUSED_LOGINS, End.ENDLESS_LINE, End.HTTP,
        End.FULL, End.FULL_ADDRESS, End.SHUTDOWN, End.BROKEN,
    }
)  # fmt: skip
"""Ends that meet a peer in mid-sentence: closing at once would reset the connection, and the reply
that says why, or the last one, would be lost with it."""

FULL = Refused("Too many connections, try again later.", ResponseCode.SYS_TEMP)
UNANSWERED = Refused("The server does not answer in time, try again later.", ResponseCode.SYS_TEMP)

PROOFS = (Verify, VerifyDigest, VerifyToken, VerifyCertificate, ScramFirst, ScramFinal)
"""Needs of proof, for which the client's time before login goes on."""

MAY_BE_CANCELLED = (*PROOFS, Acquire)
"""Needs that leave nothing behind: whatever else is under way uses a maildrop's descriptors."""


def lingers(end: End | None, output: Output, service: Service) -> bool:
    """Tell whether to wait until the client has read why it is hung up on.

    Where many are turned away they are not waited for: who did not speak first reads it all the
    same.
    """
    if end is End.SHUTDOWN:
        return output.look() > 0
    return end in HUNG_UP_ON and not (service.is_crowded and end in {End.FULL, End.FULL_ADDRESS})
