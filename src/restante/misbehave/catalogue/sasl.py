"""Faults of AUTH: SASL, SCRAM and OAuth. RFC 5034, RFC 5802, RFC 7628."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import challenge, in_auth
from restante.misbehave.conversation import RESPONSE, alter
from restante.misbehave.fault import ALL, ALL_OR_NONE, NOTHING
from restante.misbehave.rules import say
from restante.protocol.secret import Secret
from restante.protocol.server.needs import Authenticate
from restante.protocol.server.settings import AuthOffer, ProtocolSettings

if TYPE_CHECKING:
    from restante.misbehave.conversation import Conversation, ReplyParts
    from restante.misbehave.fault import Fault

ONLY = "CAPA: without USER\nUSER: -ERR use AUTH\nPASS: -ERR use AUTH\n"


def _scram(name: str, sentence: str, does: Any, verdict: str = "", seen: str = "") -> Fault:
    offer = AuthOffer(mechanisms=frozenset({"SCRAM-SHA-256"}))
    does = does if isinstance(does, tuple) else (does,)
    return row(name, sentence, NOTHING, (ONLY, *does), verdict, seen, offer=offer)


def _token(name: str, sentence: str, mechanism: str, does: Any, **more: Any) -> Fault:
    """Return a row about a token; the password is a valid one."""
    offer = AuthOffer(mechanisms=frozenset({mechanism}))
    does = does if isinstance(does, tuple) else (does,)
    return row(name, sentence, NOTHING, (ONLY, *does), more.pop("verdict", "token-refused"),
               security="implicit", offer=offer, **more)  # fmt: skip


def _plus_ok(reply: ReplyParts) -> ReplyParts:
    return replace(reply, status=b"+OK" + reply.status[1:])


def _raw(line: bytes) -> Any:
    return in_auth(lambda reply: replace(reply, status=line))


def _refuse_in_json(reply: ReplyParts) -> ReplyParts:
    """Say in JSON that the token is refused, but ask for one as it should be."""
    is_question = reply.status.strip() == b"+"
    return reply if is_question else replace(reply, status=b'+ {"status":"401"}\r\n')


def _again(conversation: Conversation) -> Conversation:
    """Ask for one more response, without end."""
    begun = False

    def change(reply: ReplyParts) -> ReplyParts:
        nonlocal begun
        begun = begun or reply.command.verb == "AUTH"
        return say(reply, b"+ \r\n") if begun else reply

    return alter(conversation, reply=change)


def _fail(conversation: Conversation) -> Conversation:
    """Make the token of a login wrong, whatever it is."""

    def change(need: Any) -> Any:
        if isinstance(need, Authenticate):
            return replace(need, response=Secret(b"expired"))
        return need

    return alter(conversation, need=change)


def _no_signature(reply: ReplyParts) -> ReplyParts:
    """Say +OK where the server's signature should be."""
    message = base64.b64decode(reply.status[2:])
    return say(reply, b"+OK Logged in.\r\n") if message.startswith(b"v=") else reply


def _change_server_first(pattern: bytes, new: bytes) -> Any:
    """Return a fault that changes an attribute of the server-first message of SCRAM."""
    return challenge(
        lambda message: re.sub(pattern, new, message) if message.startswith(b"r=") else message
    )


def _signature(message: bytes) -> bytes:
    return b"v=" + b"A" * 43 + b"=" if message.startswith(b"v=") else message


def _empty_signature(message: bytes) -> bytes:
    return b"v=" if message.startswith(b"v=") else message


def _ok_at_once(reply: ReplyParts) -> ReplyParts:
    """Say +OK where the salt should be."""
    return reply if reply.status.strip() == b"+" else say(reply, b"+OK Logged in.\r\n")


def _error(message: bytes) -> bytes:
    return b"e=invalid-proof" if message.startswith(b"v=") else message


def _refuse_late(conversation: Conversation) -> Conversation:
    """Refuse the login after the last response."""

    def change(reply: ReplyParts) -> ReplyParts:
        late = reply.command.verb == RESPONSE and reply.ok
        return say(reply, b"-ERR [AUTH] wrong\r\n") if late else reply

    return alter(conversation, reply=change)


def _settings(json: str) -> ProtocolSettings:
    return ProtocolSettings(refused_token=json)


EXPIRED = '{"status":"invalid_token"}'
SCOPE = '{"status":"insufficient_scope","scope":"https://mail.example.com/pop"}'

SASL = (
    row("auth-unknown", "announces SASL, and does not know AUTH", ALL,
        "AUTH: -ERR unknown command"),
    row("auth-ok-for-plus", "answers AUTH with +OK where + should be", ALL_OR_NONE,
        (ONLY, in_auth(_plus_ok)), "refused", "MailKit#391"),
    row("auth-plus-bare", "answers AUTH with a plus and no blank", ALL_OR_NONE,
        (ONLY, _raw(b"+\r\n"))),
    row("auth-continuation-not-base64", "asks for a response in words, not in base64",
        ALL_OR_NONE, (ONLY, _raw(b"+ go ahead\r\n")), "odd-reply"),
    row("auth-closed", "hangs up at AUTH", ALL_OR_NONE,
        (ONLY, "AUTH: close"), "auth-noreply"),
    row("auth-silent", "never answers AUTH", ALL_OR_NONE,
        (ONLY, "AUTH: silence"), "auth-noreply"),
    row("auth-response-closed", "hangs up at the response in AUTH", ALL_OR_NONE,
        (ONLY, "response: close"), "auth-noreply"),
    row("auth-again", "asks for one more response, without end", ALL_OR_NONE,
        (ONLY, _again), "bad-reply"),
    row("auth-long-challenge", "sends a challenge of 200 kB", ALL_OR_NONE,
        (ONLY, _raw(b"+ " + b"QUFB" * 50_000 + b"\r\n")), "bad-reply"),
    row("auth-temp", "refuses AUTH for now, and PASS too", NOTHING,
        "AUTH: -ERR [SYS/TEMP] try later\nPASS: -ERR [SYS/TEMP] try later", "auth-temp"),
    _scram("scram-wrong-signature", "proves itself with a wrong signature in SCRAM",
           challenge(_signature), "auth-unproven"),
    _scram("scram-no-signature", "says +OK in SCRAM without any proof",
           in_auth(_no_signature), "auth-unproven"),
    _scram("scram-empty-signature", "proves itself with an empty signature in SCRAM",
           challenge(_empty_signature), "auth-unproven"),
    _scram("scram-ok-at-once", "says +OK in SCRAM before the client has proved anything",
           in_auth(_ok_at_once), "auth-unproven"),
    _scram("scram-error-ok", "says an error in SCRAM's own words, and then +OK",
           challenge(_error), "auth-unproven"),
    _scram("scram-error", "refuses the proof in SCRAM's own words",
           (_refuse_late, challenge(_error)), "auth-failed"),
    _scram("scram-iterations-huge", "demands two billion iterations in SCRAM",
           _change_server_first(rb"i=\d+", b"i=2147483647"), "auth-unproven bad-reply"),
    _scram("scram-iterations-low", "demands one iteration in SCRAM",
           _change_server_first(rb"i=\d+", b"i=1"), "auth-unproven bad-reply"),
    _scram("scram-other-nonce", "answers SCRAM with a nonce of its own",
           _change_server_first(rb"r=[^,]+", b"r=mine"), "auth-unproven bad-reply"),
    _scram("scram-no-salt", "gives no salt in SCRAM",
           _change_server_first(rb",s=[^,]+", b""), "auth-unproven bad-reply"),
    _scram("scram-bad-salt", "gives a salt in SCRAM that is not base64",
           _change_server_first(rb"s=[^,]+", b"s=!!"), "auth-unproven bad-reply"),
    _scram("scram-closed", "hangs up at the proof in SCRAM",
           "response: close", "auth-noreply"),
    row("cram-bad-challenge", "sends a challenge of CRAM-MD5 that is not base64", ALL_OR_NONE,
        (ONLY, _raw(b"+ <12.34@example.com>\r\n")), "auth-refused",
        offer=AuthOffer(mechanisms=frozenset({"CRAM-MD5"}))),
    _token("xoauth2-refused", "refuses a token of XOAUTH2, with the JSON that says why",
           "XOAUTH2", _fail, settings=_settings('{"status":"401","schemes":"bearer"}')),
    _token("xoauth2-json-cut", "cuts the JSON that says why a token of XOAUTH2 is refused",
           "XOAUTH2", _fail, settings=_settings('{"status":"401","sch')),
    _token("xoauth2-json-raw", "sends the JSON of a refused token without base64",
           "XOAUTH2", (in_auth(_refuse_in_json), _fail)),
    _token("xoauth2-no-json", "refuses a token of XOAUTH2 at once",
           "XOAUTH2", "AUTH: -ERR [AUTH] token refused\nresponse: -ERR [AUTH] token refused"),
    _token("xoauth2-closed", "hangs up at a token of XOAUTH2",
           "XOAUTH2", "AUTH: close\nresponse: close", verdict="auth-noreply"),
    _token("oauthbearer-expired", "says that a token of OAUTHBEARER has expired",
           "OAUTHBEARER", _fail, settings=_settings(EXPIRED)),
    _token("oauthbearer-scope", "says that a token of OAUTHBEARER has not the scope for mail",
           "OAUTHBEARER", _fail, settings=_settings(SCOPE)),
)  # fmt: skip
