"""The Unix sockets of a server, told anything by a program on the machine."""

from __future__ import annotations

import functools
import re

import msgspec

from fuzz.target import Target, choices, cut
from restante.auth.interfaces import CredentialsError
from restante.auth.passwords import scram
from restante.protocol.secret import Secret
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer
from restante.server.auth_socket import connection
from restante.server.auth_socket.connection import AuthSocketSharing, make_protocol
from restante.server.control import service
from restante.server.control.messages import Action, ControlReply, ControlRequest
from restante.server.control.service import ControlService, make_control_protocol
from support.clocked_server import Peer, clocked
from support.passwords import Passwords, quick_keys

LIMIT = 400  # octets of a line, where 16,384 are allowed
LOGINS = 3  # at once, where 32 are allowed
SMALLEST = 64  # octets of a piece: each costs some turns of the event loop

REPLY = re.compile(
    rb"OK\t([0-9]+)\tuser=ann"
    rb"|FAIL\t([0-9]+)(?:\tuser=[^\t]*)?(?:\ttemp)?\treason=[^\t]*"
    rb"|CONT\t([0-9]+)\t[A-Za-z0-9+/=]*"
)
OFFER = AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS))


class Accounts(Passwords):
    """One account, with all that a mechanism requires."""

    def __init__(self) -> None:
        super().__init__()
        self.known["ann"] = "secret"

    async def scram_keys(self, mechanism: str, user: str) -> scram.ScramKeys:
        return quick_keys(mechanism, b"secret" if user == "ann" else b"of nobody")

    async def shared_secret(self, user: str) -> Secret:
        if user != "ann":
            raise CredentialsError
        return Secret(b"secret")


def auth_socket(octets: bytes) -> None:
    """The size of pieces by the first octet, then what a mail server says."""
    (piece,), said = choices(octets, 1)
    with clocked(authenticator=Accounts(), offer=lambda: OFFER) as server:
        sharing = server.loop.do(
            lambda: AuthSocketSharing(context=server.context, clear_text="loopback", most=2)
        )
        peer = Peer(server.loop, functools.partial(make_protocol, sharing), "")
        greeting, peer.heard = peer.heard, b""
        assert greeting.endswith(b"DONE\n")
        for part in cut(said, piece and max(piece, SMALLEST)):
            peer.say(part)
        heard, log = peer.heard, server.log.getvalue()
        peer.abort()
        server.loop.turn()
        assert len(sharing.connections) == 0
        assert "event=incident" not in log
    *lines, rest = heard.split(b"\n")
    assert rest == b""
    for line in lines:
        reply = REPLY.fullmatch(line)
        assert reply, "a reply has its own fields only"
        assert next(filter(None, reply.groups())) in said


def control(octets: bytes) -> None:
    """Send octets to a control socket, while ann has a session."""
    with clocked() as server:
        ann = server.connect()
        ann.say(b"USER ann\r\nPASS secret\r\n")
        made = server.loop.do(lambda: ControlService(server.context))
        peer = Peer(server.loop, functools.partial(make_control_protocol, made), "")
        peer.say(octets)
        server.loop.advance(service.PATIENCE + 1)
        assert peer.closed, "a request has an end"
        assert "event=incident" not in server.log.getvalue()
        may_end = _may_end(octets.partition(b"\n")[0])
        assert may_end or ann.say(b"NOOP\r\n").startswith(b"+OK"), "nobody asked for that"
    if peer.heard:
        assert peer.heard.endswith(b"\n")
        reply = msgspec.json.decode(peer.heard, type=ControlReply)
        assert peer.heard.count(b"\n") == 1
        assert reply.sessions == [] or b"sessions" in octets or may_end or b"holder" in octets


def _may_end(line: bytes) -> bool:
    """Return whether a request is one that ends the session of ann."""
    try:
        request = msgspec.json.decode(line, type=ControlRequest)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return request.action in (Action.KICK, Action.TAKE_OVER) and request.who != ""


def _no_peer(_connection: object) -> int:
    return -1


Patches = tuple[tuple[object, str, object], ...]
AUTH_LIMITS: Patches = ((connection, "LINE_LIMIT", LIMIT), (connection, "MAX_LOGINS", LOGINS))
CONTROL_LIMITS: Patches = ((service, "LONGEST_REQUEST", LIMIT), (service, "peer_uid", _no_peer))

TARGETS = {
    "auth_socket": Target(
        "Whatever a mail server says at the auth socket, each reply is one line about a login that "
        "it began, only the right password is accepted, and nothing is left when it hangs up.",
        auth_socket,
        AUTH_LIMITS,
        500,
    ),
    "control": Target(
        "Whatever a program says at the control socket, it gets one line of JSON or none, and a "
        "session ends only if it is asked for.",
        control,
        CONTROL_LIMITS,
        500,
    ),
}
