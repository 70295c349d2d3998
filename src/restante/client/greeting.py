"""The greeting of a server, and what answers in its place."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING

from restante.client.other_protocols import describe_server, protocol_of
from restante.protocol.client.connection import LINE_LIMIT, ServerPeer
from restante.protocol.client.effects import Receive
from restante.protocol.client.replies import Status, strip_noise
from restante.protocol.errors import MalformedReplyError, Phase, ReplyTimeoutError

if TYPE_CHECKING:
    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue

_PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of version 2, which is binary
_PROXY_TEXT = (
    "a header of the PROXY protocol came in place of a greeting; the load balancer must send it to"
    " the server, not to clients"
)
FIRST_WAIT = 4.0  # seconds of silence after which the port is asked what it speaks
PROBE_SECONDS = 4.0  # for all connections that ask
LOOK = 0.1  # seconds of waiting for a greeting before asking whether the port has answered
LAST_WAIT = 0.01  # seconds for a greeting that came meanwhile
MAX_NOISE = 512  # octets before a greeting: a line's limit in RFC 1939 section 3


def read_greeting(session: ClientSession) -> Dialogue[Status]:
    """Read the greeting. Raises MalformedReplyError as soon as its octets are not POP3."""
    peer = session.peer
    peer.phase = Phase.GREETING
    fresh = True
    octets = bytes(peer.unread) or (yield from _receive_first(session))
    peer.unread[:] = octets
    while b"\n" not in peer.unread:
        if not octets:
            raise peer.connection_lost()
        _check_protocol(peer)
        octets = yield from Receive(fresh)
        peer.unread += octets
        fresh = False
        if len(peer.unread) > LINE_LIMIT:
            break  # `read_ok` raises the error
    _check_protocol(peer)
    session.greeting = yield from peer.read_ok()
    return session.greeting


def _receive_first(session: ClientSession) -> Dialogue[bytes]:
    """Return the first octets. A port that says nothing is asked what it speaks: TLS, or HTTP.

    It is asked on other connections, while the greeting may come. All of it has the time for one
    reply. Raises MalformedReplyError: it is not POP3. Raises ReplyTimeoutError,
    ConnectionLostError.
    """
    from restante.net import daemon_threads

    seconds = session.options.reply_seconds
    ends = time.monotonic() + seconds
    octets = yield from _receive_within(session, min(FIRST_WAIT, seconds / 2))
    if octets is None and session.address:
        asking = daemon_threads.start(partial(_identify, session, ends), "port probe")
        while octets is None and asking.is_alive():
            octets = yield from _receive_within(session, LOOK)
        if octets is None and (other := asking.result()):
            raise session.peer.error(type(other), other.id, other.text)
    if octets is not None:
        return octets
    return (yield from Receive(seconds=max(LAST_WAIT, ends - time.monotonic())))


def _receive_within(session: ClientSession, seconds: float) -> Dialogue[bytes | None]:
    """Return octets, None if none came in time. Raises ReplyTimeoutError: all time is over."""
    try:
        return (yield from Receive(seconds=seconds))
    except ReplyTimeoutError as error:
        if error.id == "out-of-time":
            raise
        session.continue_waiting()
        return None


def _identify(session: ClientSession, ends: float) -> MalformedReplyError | None:
    from restante.client import port_probe  # with sockets

    seconds, in_tls = min(PROBE_SECONDS, ends - time.monotonic()), session.tls is not None
    return port_probe.identify(session.address, session.target.port, seconds, within_tls=in_tls)


def _check_protocol(peer: ServerPeer) -> None:
    banner = strip_noise(bytes(peer.unread))
    start = banner[:4].upper()
    if not start and len(peer.unread) > MAX_NOISE:
        text = f"the server sent {len(peer.unread)} octets without a text, such as NUL or spaces"
        raise peer.error(MalformedReplyError, "wrong-protocol", text)
    if not start or any(sign[: len(start)] == start[: len(sign)] for sign in (b"+OK", b"-ERR")):
        return
    if banner.startswith(b"PROXY ") or _PROXY_SIGNATURE in peer.unread:
        raise peer.error(MalformedReplyError, "wrong-protocol", _PROXY_TEXT)
    if protocol_of(banner) == "TLS":
        raise peer.error(
            MalformedReplyError, "tls-on-plain", "the port uses TLS from the first octet"
        )
    raise peer.error(MalformedReplyError, "wrong-protocol", describe_server(banner))
