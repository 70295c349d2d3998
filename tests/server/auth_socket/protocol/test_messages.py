"""The lines of Dovecot's authentication protocol."""

from __future__ import annotations

import pytest

from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer
from restante.server.auth_socket.protocol import messages
from restante.server.auth_socket.protocol.conversation import list_mechanisms
from restante.server.auth_socket.protocol.messages import (
    Cancellation,
    LoginRequest,
    ProtocolError,
    Response,
    Version,
    parse_message,
)


def test_postfix_request() -> None:
    """The first lines of Postfix 3.7 are understood."""
    assert parse_message(b"VERSION\t1\t0\n") == Version(1, 0)
    assert parse_message(b"CPID\t4711\n") is None
    line = b"AUTH\t1\tPLAIN\tservice=smtp\tnologin\tlip=192.0.2.25\trip=192.0.2.1\tsecured"
    assert parse_message(line + b"\tresp=AGEAYg==\n") == LoginRequest(
        id=1,
        mechanism="PLAIN",
        initial=b"AGEAYg==",
        service="smtp",
        address="192.0.2.1",
        secured=True,
    )


def test_exim_request() -> None:
    """Exim sends an empty response where its client sent none."""
    line = b"AUTH\t1\tLOGIN\tservice=smtp\trip=2001:db8::1\tlip=2001:db8::2\tnologin\tresp=\n"
    found = parse_message(line)
    assert isinstance(found, LoginRequest)
    assert (found.initial, found.secured) == (None, False)


def test_dovecot_request() -> None:
    """A value of version 1.2 and later, such as that of `secured`, changes nothing."""
    found = parse_message(b"AUTH\t4294967295\tplain\tservice=sm\x01ttp\tsecured=tls\tno-penalty\n")
    expected = LoginRequest(id=4294967295, mechanism="PLAIN", service="sm\ttp", secured=True)
    assert found == expected


def test_other_messages() -> None:
    """CONT and CANCEL name the login; what later versions add has no effect."""
    assert parse_message(b"CONT\t7\tYQ==\n") == Response(7, b"YQ==")
    assert parse_message(b"CONT\t7\t\n") == Response(7, b"")
    assert parse_message(b"CANCEL\t7\n") == Cancellation(7)
    assert parse_message(b"NEWS\tfrom\tversion 9\n") is None
    assert parse_message(b"\n") is None


@pytest.mark.parametrize(
    "line",
    [
        b"VERSION\t1",
        b"VERSION\t1\tx",
        b"AUTH\t1",
        b"AUTH\t-1\tPLAIN",
        b"AUTH\t4294967296\tPLAIN",
        b"AUTH\t\xb2\tPLAIN",
        b"AUTH\t1\tPLAIN\tresp=YQ==\tsecured",
        b"CONT\t1",
        b"CANCEL",
    ],
)
def test_bad_message(line: bytes) -> None:
    """A wrong number of fields, a wrong number or a field after the response is an error."""
    with pytest.raises(ProtocolError):
        parse_message(line + b"\n")


def test_secrets_hidden() -> None:
    """No response shows in the text of a message, for it may be a password."""
    shown = repr(parse_message(b"AUTH\t1\tPLAIN\tresp=AGEAYg==\n")) + repr(Response(1, b"AGEAYg=="))
    assert "AGEAYg" not in shown


def test_greeting() -> None:
    """MECH comes before SPID, and DONE is last: Postfix and Exim require both."""
    said = messages.greeting(["PLAIN", "SCRAM-SHA-256"], pid=4, connection=5, cookie="c")
    assert said.decode().split("\n") == [
        "VERSION\t1\t1",
        "MECH\tPLAIN\tplaintext",
        "MECH\tSCRAM-SHA-256\tmutual-auth",
        "SPID\t4",
        "CUID\t5",
        "COOKIE\tc",
        "DONE",
        "",
    ]


def test_announced_mechanisms() -> None:
    """All mechanisms are announced, but those that bind to TLS or to its certificate."""
    offered = list_mechanisms(AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS)))
    unbound = {name for name in SERVER_MECHANISMS if not name.endswith("-PLUS")}
    assert set(offered) == unbound - {"EXTERNAL"}


def test_replies() -> None:
    """A name or a reason adds no field and no line."""
    assert messages.challenge(3, b"Username:") == b"CONT\t3\tVXNlcm5hbWU6\n"
    assert messages.success(3, "a\tb\nc") == b"OK\t3\tuser=a\x01tb\x01nc\n"
    assert messages.failure(3, "No.") == b"FAIL\t3\treason=No.\n"
    whole = messages.failure(3, "Later\r\x01.", user="ann\0", temporary=True)
    assert whole == b"FAIL\t3\tuser=ann\x010\ttemp\treason=Later\x01r\x011.\n"
