"""Names and passwords have at most 255 octets, however they are said: RFC 4616 section 2."""

from __future__ import annotations

import base64

import pytest

from restante.protocol.saslprep import LONGEST, account_name
from restante.protocol.server.sasl import SERVER_MECHANISMS
from restante.protocol.server.settings import AuthOffer, ConnectionSecurity
from support.world import Talk, World

NOT_UNDERSTOOD = b"-ERR [AUTH] The response is not understood.\r\n"
LONG = b"a" * (LONGEST + 1)
GROWS = "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}".encode() * 80  # one becomes 18 characters
HUGE = GROWS * 200  # 48,000 octets

RESPONSES = {
    "PLAIN": [b"\0%b\0secret", b"%b\0ann\0secret"],
    "LOGIN": [b"%b"],
    "CRAM-MD5": [b"%b " + b"0" * 32],
    "SCRAM-SHA-256": [b"n,,n=%b,r=nonce", b"n,a=%b,n=ann,r=nonce"],
    "SCRAM-SHA-1": [b"n,,n=%b,r=nonce"],
    "OAUTHBEARER": [b"n,a=%b,\x01auth=Bearer token\x01\x01"],
    "XOAUTH2": [b"user=%b\x01auth=Bearer token\x01\x01"],
    "EXTERNAL": [b"%b"],
}
FORMS = [(name, form) for name, forms in RESPONSES.items() for form in forms]


def talk() -> Talk:
    world = World()
    world.add("ann", "secret")
    channel = ConnectionSecurity(tls=True, certified=True)
    made = Talk(world, offer=AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS)), channel=channel)
    made.send()
    return made


@pytest.mark.parametrize("name", [LONG, GROWS, HUGE], ids=["long", "grows", "huge"])
@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize(("mechanism", "form"), FORMS)
def test_long_name(mechanism: str, form: bytes, name: bytes, *, initial: bool) -> None:
    """No mechanism accepts a name that is too long before or after SASLprep, in either form."""
    response = base64.b64encode(form % name)
    command = b"AUTH " + mechanism.encode()
    asked = talk()
    if not initial or mechanism == "CRAM-MD5":
        asked.send(command + b"\r\n")
        said = asked.send(response + b"\r\n")
    else:
        said = asked.send(command + b" " + response + b"\r\n")
    assert said == NOT_UNDERSTOOD


@pytest.mark.parametrize("command", [b"USER %b", b"APOP %b " + b"0" * 32])
def test_long_name_of_command(command: bytes) -> None:
    """A name that SASLprep makes longer than 255 octets is rejected by USER and APOP."""
    assert talk().send(command % GROWS[:180] + b"\r\n").startswith(b"-ERR Write it as: ")


@pytest.mark.parametrize("password", [LONG, GROWS, HUGE], ids=["long", "grows", "huge"])
def test_long_password(password: bytes) -> None:
    """PLAIN and LOGIN reject a password that is too long before or after SASLprep."""
    said = b"-ERR [AUTH] A password has at most 255 octets.\r\n"
    plain, login = talk(), talk()
    message = base64.b64encode(b"\0ann\0" + password)
    assert plain.send(b"AUTH PLAIN " + message + b"\r\n") == said
    login.send(b"AUTH LOGIN\r\n" + base64.b64encode(b"ann") + b"\r\n")
    assert login.send(base64.b64encode(password) + b"\r\n") == said


def test_password_that_grows() -> None:
    """PASS rejects a password that SASLprep makes longer than 255 octets."""
    asked = talk()
    asked.send(b"USER ann\r\n")
    assert asked.send(b"PASS " + GROWS[:180] + b"\r\n") == (
        b"-ERR [AUTH] A password has at most 255 octets.\r\n"
    )


@pytest.mark.parametrize(
    "message", [b"n,,n=ann,r=" + b"x" * 40_000, b"n,,n=ann,r=nonce," + b"x=y," * 9000]
)
def test_long_scram(message: bytes) -> None:
    """A message of SCRAM has a bound of its own."""
    said = talk().send(b"AUTH SCRAM-SHA-256 " + base64.b64encode(message) + b"\r\n")
    assert said == NOT_UNDERSTOOD


def test_many_fields_of_token() -> None:
    """A message with a token has few fields."""
    message = b"user=ann\x01" + b"a=b\x01" * 10_000 + b"auth=Bearer token\x01\x01"
    said = talk().send(b"AUTH XOAUTH2 " + base64.b64encode(message) + b"\r\n")
    assert said == NOT_UNDERSTOOD


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (b"ann ", "ann"),
        (b"ann  ", "ann"),
        ("ann\N{NO-BREAK SPACE}".encode(), "ann"),
        (b" ann", " ann"),
        (b"ann b", "ann b"),
        (b" ", ""),
    ],
)
def test_trailing_blank(octets: bytes, name: str) -> None:
    """Blanks at the end of a name, which keyboards of telephones add, are cut off."""
    assert account_name(octets) == name


@pytest.mark.parametrize(
    "login",
    [
        b"USER ann \r\nPASS secret\r\n",
        b"AUTH PLAIN " + base64.b64encode(b"\0ann \0secret") + b"\r\n",
        b"AUTH PLAIN " + base64.b64encode(b"ann\0ann \0secret") + b"\r\n",
        b"AUTH LOGIN "
        + base64.b64encode(b"ann ")
        + b"\r\n"
        + base64.b64encode(b"secret")
        + b"\r\n",
    ],
)
def test_login_with_trailing_blank(login: bytes) -> None:
    """A client logs in although its user typed a blank after the name."""
    assert talk().send(login).endswith(b"+OK Logged in.\r\n")


def test_blank_of_password() -> None:
    """A blank at the end of a password is a part of it."""
    said = talk().send(b"USER ann\r\nPASS secret \r\n")
    assert said.endswith(b"-ERR [AUTH] Name or password is wrong.\r\n")
