"""The greeting of a server, and those of other protocols."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.client.connection import LINE_LIMIT, ServerPeer
from restante.protocol.client.effects import Receive
from restante.protocol.client.replies import Status, strip_noise
from restante.protocol.errors import MalformedReplyError, Phase
from restante.protocol.text import decode_text

if TYPE_CHECKING:
    from restante.client.session import ClientSession
    from restante.protocol.client.effects import Dialogue

_PROXY_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"  # of version 2, which is binary
_PROXY_TEXT = (
    "a header of the PROXY protocol came in place of a greeting; the load balancer must send it to"
    " the server, not to clients"
)
MAX_NOISE = 512  # octets before a greeting: a line's limit in RFC 1939 section 3
_OTHER_PROTOCOLS = (
    (b"421", "SMTP"),
    (b"554", "SMTP"),
    (b"* ", "IMAP"),
    (b"HTTP/", "HTTP"),
    (b"<", "HTTP"),
    (b"SSH-", "SSH"),
    (b"200 ", "NNTP"),
    (b"201 ", "NNTP"),
    (b'"IMPLEMENTATION"', "ManageSieve"),
    (b"\x15\x03", "TLS"),
    (b"\x16\x03", "TLS"),
    (b"RFB ", "VNC"),
)


def read_greeting(session: ClientSession) -> Dialogue[Status]:
    """Read the greeting. Raises MalformedReplyError as soon as its octets are not POP3."""
    peer = session.peer
    peer.phase = Phase.GREETING
    fresh = True
    while b"\n" not in peer.unread:
        _check_protocol(peer)
        octets = yield from Receive(fresh)
        if not octets:
            raise peer.connection_lost()
        peer.unread += octets
        fresh = False
        if len(peer.unread) > LINE_LIMIT:
            break  # `read_ok` raises the error
    _check_protocol(peer)
    session.greeting = yield from peer.read_ok()
    return session.greeting


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


def describe_server(banner: bytes) -> str:
    """Return a server of another protocol in words, with its greeting."""
    line = decode_text(banner[:200].partition(b"\n")[0]).rstrip("\r")
    return f'this is {_article(protocol_of(banner))} server with the greeting "{line[:100]}"'


def protocol_of(octets: bytes) -> str:
    """Return the protocol of a greeting, or "unknown"."""
    if octets.startswith(b"220"):
        text = octets[:200].upper()
        return "FTP" if b"FTP" in text and b"SMTP" not in text else "SMTP"
    names = (name for start, name in _OTHER_PROTOCOLS if octets.startswith(start))
    return next(names, "unknown")


def _article(kind: str) -> str:
    if kind == "unknown":
        return "no POP3"
    return f"a {kind}" if kind in ("ManageSieve", "VNC") else f"an {kind}"
