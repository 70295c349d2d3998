"""Logins by all mechanisms, on the core in memory."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from restante.protocol.errors import Refusal, ResponseCode, TlsRequired
from restante.protocol.secret import Secret
from restante.protocol.server.needs import Authenticate, AuthMethod, NewTimestamp, StartScram
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.session import Session
from restante.protocol.server.settings import TLS_ELSEWHERE, AuthOffer, ConnectionSecurity, Identity
from restante.server.auth_socket.protocol.conversation import (
    AskUser,
    is_temporary,
    log_in,
    reason,
)
from restante.server.auth_socket.protocol.messages import LoginRequest

ALL = AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS))
CLEAR = ConnectionSecurity(clear_text=False)


def begin(
    mechanism: str, initial: bytes | None = None, channel: ConnectionSecurity = TLS_ELSEWHERE
) -> Any:
    request = LoginRequest(id=1, mechanism=mechanism, initial=initial)
    return log_in(request, Session(offer=ALL, channel=channel))


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def identity_of(conversation: Any, identity: Identity) -> Identity:
    """Answer the last need of a login with an identity, and return what the login returns."""
    with pytest.raises(StopIteration) as end:
        conversation.send(identity)
    found = end.value.value
    assert isinstance(found, Identity)
    return found


def test_plain_with_initial_response() -> None:
    """The password goes to the accounts, and the identity is the result."""
    conversation = begin("PLAIN", b64(b"\0ann\0secret"))
    need = next(conversation)
    assert need == Authenticate(AuthMethod.PASSWORD, "ann", Secret(b"secret"))
    assert identity_of(conversation, Identity("ann")) == Identity("ann")


def test_login_asks_twice() -> None:
    """The user is asked for a name and then for a password."""
    conversation = begin("LOGIN")
    assert next(conversation) == AskUser(b"Username:")
    assert conversation.send(b64(b"ann")) == AskUser(b"Password:")
    need = conversation.send(b64(b"secret"))
    assert need == Authenticate(AuthMethod.PASSWORD, "ann", Secret(b"secret"))


def test_scram() -> None:
    """The server's proof is a challenge with an empty response, as SMTP requires."""
    conversation = begin("SCRAM-SHA-256", b64(b"n,,n=ann,r=nonce"))
    assert next(conversation) == StartScram("SCRAM-SHA-256", "ann", b"n,,n=ann,r=nonce")

    class Exchange:
        challenge, signature = b"r=nonce2", b"v=proof"

    assert conversation.send(Exchange) == AskUser(b"r=nonce2")
    need = conversation.send(b64(b"c=biws,r=nonce2,p=x"))
    assert (need.method, need.user) == (AuthMethod.SCRAM, "ann")
    assert conversation.send(Identity("ann")) == AskUser(b"v=proof")
    with pytest.raises(StopIteration):
        conversation.send(b"")


def test_cram_md5() -> None:
    """The server speaks first, with a timestamp."""
    conversation = begin("CRAM-MD5")
    assert isinstance(next(conversation), NewTimestamp)
    assert conversation.send("<1@h>") == AskUser(b"<1@h>")
    need = conversation.send(b64(b"ann " + b"0" * 32))
    assert (need.method, need.challenge) == (AuthMethod.CRAM_MD5, b"<1@h>")


def test_rejected_token() -> None:
    """A client with an invalid token reads why, in JSON, and then the login fails."""
    conversation = begin("XOAUTH2", b64(b"user=ann\x01auth=Bearer t\x01\x01"))
    assert next(conversation).method is AuthMethod.TOKEN
    wrong = Refusal("The token is not valid for this account.", ResponseCode.AUTH)
    assert conversation.throw(wrong) == AskUser(b'{"status":"invalid_token"}')
    with pytest.raises(Refusal, match="token is not valid"):
        conversation.send(b"AQ==")


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "EXTERNAL", "NTLM", ""])
def test_mechanism_not_offered(mechanism: str) -> None:
    """Mechanisms that are bound to a connection are not offered, since they cannot be relayed."""
    with pytest.raises(Refusal, match="not offered"):
        next(begin(mechanism, b"="))


@pytest.mark.parametrize(
    ("mechanism", "initial"),
    [("PLAIN", b"?"), ("PLAIN", b64(b"ann")), ("CRAM-MD5", b64(b"ann"))],
)
def test_bad_response(mechanism: str, initial: bytes) -> None:
    """A response that is not base64, or not of the mechanism, is rejected."""
    with pytest.raises(Refusal):
        begin(mechanism, initial).send(None)


def test_password_in_clear() -> None:
    """Without TLS no password is accepted, and the text names no command of POP3."""
    with pytest.raises(TlsRequired) as refused:
        next(begin("PLAIN", b64(b"\0ann\0secret"), CLEAR))
    assert reason(refused.value) == "No logins in clear text here: use TLS."


def test_account_requires_tls() -> None:
    """An account with tls=required is rejected without TLS, whatever the mechanism."""
    conversation = begin("CRAM-MD5", channel=CLEAR)
    next(conversation)
    conversation.send("<1@h>")
    conversation.send(b64(b"ann " + b"0" * 32))
    with pytest.raises(TlsRequired) as refused:
        conversation.send(Identity("ann", tls_required=True))
    assert refused.value.user == "ann"


def test_temporary() -> None:
    """Only trouble that is likely to pass is temporary."""
    assert is_temporary(Refusal("Later.", ResponseCode.SYS_TEMP))
    assert not is_temporary(Refusal("No.", ResponseCode.AUTH))
    assert not is_temporary(Refusal("No."))
