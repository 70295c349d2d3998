"""AUTH: the client's command, its responses, and the server's result. RFC 5034 section 4."""

from __future__ import annotations

import binascii
from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from restante.protocol.client.connection import SYSTEM_FAILURES
from restante.protocol.client.effects import Send, compute
from restante.protocol.client.operations import command
from restante.protocol.client.pipeline import Operation
from restante.protocol.errors import (
    MechanismRefusedError,
    Phase,
    RemoteError,
    SecurityError,
    ServerRefusedError,
)
from restante.protocol.text import SecretOctets

if TYPE_CHECKING:
    from restante.protocol.client.connection import ServerPeer
    from restante.protocol.client.effects import Dialogue
    from restante.protocol.client.replies import Status

Responder: TypeAlias = Generator[bytes | None, bytes, None]
"""A mechanism's side of the client: yields responses, the first one None where the server begins.

It raises ValueError if the server is not authentic, and SaslRefusal if the server
rejects within the mechanism. It is sent b"" for a +OK, which is not a proof for a mechanism
that requires one.
"""


class SaslRefusal(Exception):  # noqa: N818  # it is an answer rather than an error
    """The server refuses by the mechanism's own means, such as "e=" of SCRAM (RFC 5802)."""


def auth(mechanism: str, responder: Responder, *, initial: bool = False) -> Operation[Status]:
    """AUTH. RFC 5034 section 4; with `initial` the first response goes along with the command.

    Its reader also raises SecurityError: the server did not prove its identity, and nothing more
    is sent to it. It raises MechanismRefusedError if the -ERR came before a response was sent.
    """
    first_response, initial_response = _hide(next(responder)), b""
    request, shown_command = command("AUTH", mechanism), f"AUTH {mechanism}\r\n"
    if initial and first_response is not None:
        initial_response = _base64(first_response) or b"="
        request = request[:-2] + b" " + initial_response + b"\r\n"
        shown_command, first_response = f"AUTH {mechanism} ***\r\n", None

    def read(peer: ServerPeer) -> Dialogue[Status]:
        pending, last_challenge = first_response, b""
        refused = ServerRefusedError if initial_response else MechanismRefusedError
        peer.secrets.add_response(initial_response.decode())
        while (challenge := (yield from _challenge(peer))) is not None:
            last_challenge = challenge
            try:
                response = pending
                if response is None:
                    response = yield from compute(partial(_respond, responder, challenge))
            except SaslRefusal as said:
                yield from _refused_within(peer, str(said))
            except ValueError as doubt:
                yield from Send(b"*\r\n")  # and no wait for an answer, which it might never give
                raise peer.error(SecurityError, "auth-unproven", str(doubt)) from None
            if response is None:
                yield from _give_up(peer)
            pending, refused = None, ServerRefusedError
            coded = _base64(response or b"")
            peer.secrets.add_response(coded.decode())
            yield from Send(coded + b"\r\n")
            peer.add_trace(">", "***")
        status = yield from peer.read_status()
        if not status.ok or status.code in SYSTEM_FAILURES:
            error = peer.refusal(status, refused)
            error.challenge = last_challenge
            raise error
        _conclude(peer, responder)
        return status

    return Operation(request, read, shown_command.encode(), Phase.LOGIN)


def _respond(responder: Responder, challenge: bytes) -> SecretOctets | None:
    """Return the response to a challenge, None where the mechanism has no more of them."""
    try:
        return _hide(responder.send(challenge) or b"")
    except StopIteration:
        return None


def _give_up(peer: ServerPeer) -> Dialogue[NoReturn]:
    """Cancel AUTH for want of a response. Raises ServerRefusedError, which names AUTH."""
    auth = peer.command
    yield from peer.send(b"*\r\n")
    peer.command = auth
    yield from peer.read_status()
    text = "the server asked for a response after the last one, and AUTH was cancelled"
    raise peer.error(ServerRefusedError, "auth-failed", text)


def _refused_within(peer: ServerPeer, reason: str) -> Dialogue[NoReturn]:
    """Read the -ERR after a refusal by the mechanism; the server may also hang up or fall silent.

    Raises ServerRefusedError in each of the three cases, and SecurityError for +OK.
    """
    text, code, failures = reason, "", []
    try:
        yield from Send(b"\r\n")
        status = yield from peer.read_status()
    except RemoteError as end:
        failures = [end.text]
    else:
        if status.ok:
            unproven = f"the server said +OK after its own refusal: {reason}"
            raise peer.error(SecurityError, "auth-unproven", unproven)
        text, code = f"{status.text} ({reason})".strip(), status.code
    denied = peer.error(ServerRefusedError, "refused", text, code)
    denied.others += failures
    raise denied


def _conclude(peer: ServerPeer, responder: Responder) -> None:
    """Finish a mechanism once the server is done. Raises SecurityError: its proof is missing."""
    try:
        responder.send(b"")
    except StopIteration:
        return
    except ValueError as doubt:
        raise peer.error(SecurityError, "auth-unproven", str(doubt)) from None


def _challenge(peer: ServerPeer) -> Dialogue[bytes | None]:
    """Return the next challenge, None where the status line comes instead."""
    line = yield from peer.read_line(peek=True)
    if not line.startswith(b"+") or line[:3].upper() == b"+OK":
        return None
    yield from peer.read_line()
    peer.add_trace("<", "+ ***")
    challenge = line[1:].strip()
    try:
        return binascii.a2b_base64(challenge)
    except binascii.Error:  # words for people; a mechanism that needs a challenge refuses them
        peer.note_oddity("odd-reply", "a challenge is not base64")
        return challenge


def _hide(response: bytes | None) -> SecretOctets | None:
    return None if response is None else SecretOctets(response)


def _base64(octets: bytes) -> bytes:
    return SecretOctets(binascii.b2a_base64(octets, newline=False))
