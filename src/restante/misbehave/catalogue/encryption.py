"""Faults of STLS, TLS and certificates. RFC 2595, RFC 8314."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import after
from restante.misbehave.conversation import alter
from restante.misbehave.fault import ALL_OR_NONE, GOOD, NO_PASSWORD, NOTHING
from restante.misbehave.rules import on, without

if TYPE_CHECKING:
    from restante.misbehave.conversation import Conversation, ReplyParts
    from restante.misbehave.fault import Fault


def _stls(name: str, sentence: str, does: Any, verdict: str = "", seen: str = "") -> Fault:
    return row(name, sentence, NO_PASSWORD, does, verdict, seen, security="starttls")


def _tls(name: str, sentence: str, certificate: str, verdict: str = "", **more: Any) -> Fault:
    return row(name, sentence, NO_PASSWORD, "", verdict or name, security="implicit",
               certificate=certificate, **more)  # fmt: skip


def _in_clear(reply: ReplyParts) -> ReplyParts:
    return replace(reply, begins_tls=False)


def _other_in_tls(conversation: Conversation) -> Conversation:
    """List UIDL and TOP only before TLS."""
    begun = False

    def change(reply: ReplyParts) -> ReplyParts:
        nonlocal begun
        if begun and reply.command.verb == "CAPA":
            return without(without(reply, b"UIDL"), b"TOP")
        begun = begun or reply.command.verb == "STLS"
        return reply

    return alter(conversation, reply=change)


ENCRYPTION = (
    _stls("stls-stripped", "does not offer STLS to a client that requires TLS",
          "CAPA: without STLS\nSTLS: -ERR unknown command", "stls-missing", "NO STARTTLS"),
    _stls("stls-hidden", "does not list STLS, and accepts it",
          "CAPA: without STLS", "stls-missing"),
    _stls("stls-refused", "offers STLS, and refuses it",
          "STLS: -ERR not now", "stls-refused"),
    row("stls-injection", "sends a reply in clear text after +OK to STLS",
        replace(ALL_OR_NONE, sentence="discards or refuses what came in clear text"),
        after("STLS", b"+OK injected\r\n"), "stls-injection",
        "CVE-2011-0411 and NO STARTTLS", security="starttls"),
    _stls("stls-closed", "says +OK to STLS, and hangs up",
          "STLS: close at 100%", "stls-refused tls-noreply"),
    _stls("stls-reset", "says +OK to STLS, and resets the connection",
          "STLS: reset at 100%", "stls-refused tcp-reset tls-noreply"),
    _stls("stls-silent", "says +OK to STLS, and then nothing",
          "STLS: silence at 100%", "tls-noreply"),
    _stls("stls-garbage", "says +OK to STLS, and goes on in clear text",
          on("STLS", _in_clear), "stls-refused"),
    _stls("stls-no-answer", "never answers STLS",
          "STLS: silence", "stalled"),
    row("capa-differs-in-tls", "lists fewer capabilities in TLS than before it", ALL_OR_NONE,
        _other_in_tls, seen="Indy#427", security="starttls"),
    _tls("tls-expired", "has an expired certificate", "expired"),
    _tls("tls-notyet", "has a certificate that is not valid yet", "not yet"),
    _tls("tls-wronghost", "has the certificate of another host", "wrong host"),
    _tls("tls-selfsigned", "has a certificate that it signed itself", "self-signed"),
    _tls("tls-chain", "does not send the intermediate certificate", "no chain"),
    _tls("tls-old", "has TLS 1.1 at best", "old"),
    _tls("plain-on-tls", "speaks clear text on the port for TLS", GOOD, swapped=True),
    row("tls-on-plain", "speaks TLS on the port for clear text", NO_PASSWORD,
        "", "tls-on-plain", security="starttls", swapped=True, silent=True),
    row("tls-cut", "cuts TLS within a message", NOTHING,
        "RETR: cut at 50%", "msg-truncated", security="implicit", deep=True),
    row("tls-closed-early", "ends TLS within a message", NOTHING,
        "RETR: close at 50%", "msg-truncated", security="implicit", deep=True),
)  # fmt: skip
