"""Every mechanism of SASL, on the core in memory. RFC 5034."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
import scramp

from restante.protocol.errors import Refusal
from restante.protocol.secret import Secret
from restante.protocol.server.needs import Authenticate, AuthMethod
from restante.protocol.server.sasl import SERVER_MECHANISMS, plain
from restante.protocol.server.sasl_exchange import SaslExchange
from restante.protocol.server.session import Session, State
from restante.protocol.server.settings import AuthOffer, ConnectionSecurity, ProtocolSettings
from support.credentials import TIMESTAMP
from support.world import Talk, World

ALL = AuthOffer(mechanisms=frozenset(SERVER_MECHANISMS))
TLS = ConnectionSecurity(tls=True, certified=True, bindings=frozenset({"tls-unique"}))
CLEAR = ConnectionSecurity(clear_text=False, can_start_tls=True)
BINDING = b"what only this connection has"
LOGGED_IN = b"+OK Logged in.\r\n"
WRONG = b"-ERR [AUTH] Name or password is wrong.\r\n"


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets)


def talk(channel: ConnectionSecurity = TLS, settings: ProtocolSettings | None = None) -> Talk:
    world = World(bindings={"tls-unique": BINDING} if channel.bindings else {})
    world.add("ann", "secret", b"Subject: a\n\n")
    world.add("b,o=b", "pencil")
    made = Talk(world, settings, offer=ALL, channel=channel)
    made.send()
    return made


def challenge(said: bytes) -> bytes:
    assert said.startswith(b"+ ")
    assert said.endswith(b"\r\n")
    return base64.b64decode(said[2:-2], validate=True)


def test_mechanism_order() -> None:
    """rfc5034-s3/sasl-capability, rfc5034-s4/plain-under-tls, rfc2595-s4/capa-may-differ,
    policy/cleartext: the best mechanisms are listed first, and those that require TLS only with
    TLS.
    """
    assert b"\r\nSASL SCRAM-SHA-256-PLUS SCRAM-SHA-256 SCRAM-SHA-1-PLUS SCRAM-SHA-1 EXTERNAL" in (
        talk().send(b"CAPA\r\n")
    )
    assert b"\r\nSASL SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5\r\n" in talk(CLEAR).send(b"CAPA\r\n")


@pytest.mark.parametrize(
    "command",
    [b"USER ann", b"AUTH PLAIN", b"AUTH LOGIN", b"AUTH PLAIN " + b64(b"\0ann\0secret")],
)
def test_cleartext_password_rejected(command: bytes) -> None:
    """rfc2595-s2.2/require-tls, rfc2595-s2.3/reject-cleartext, rfc5034-s4/plain-under-tls,
    policy/cleartext: a password in clear is rejected before the client sends it.
    """
    said = b"-ERR [AUTH] No logins in clear text here: use STLS or port 995.\r\n"
    session = talk(CLEAR)
    assert session.send(command + b"\r\n") == said
    assert b"\r\nUSER\r\n" not in session.send(b"CAPA\r\n")


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"ann",
        b"\0ann",
        b"\0ann\0",
        b"\0\0secret",
        b"a\0b\0c\0d",
        b"\0\xff\0secret",
        b"\0" + b"a" * 256 + b"\0secret",
    ],
)
def test_a_plain_message_that_is_none_is_refused(message: bytes) -> None:
    """An invalid PLAIN message is rejected."""
    said = talk().send(b"AUTH PLAIN\r\n" + b64(message) + b"\r\n")
    assert said == b"+ \r\n-ERR [AUTH] The response is not understood.\r\n"


@pytest.mark.parametrize("message", [b"\0ann\0secret", b"ann\0ann\0secret"])
def test_plain_takes_the_own_name_as_authority(message: bytes) -> None:
    """rfc2595-s6/plain."""
    assert talk().send(b"AUTH PLAIN " + b64(message) + b"\r\n") == LOGGED_IN


@pytest.mark.parametrize(
    ("authority", "said"),
    [
        ("\N{FULLWIDTH LATIN SMALL LETTER A}nn", LOGGED_IN),
        ("a\N{SOFT HYPHEN}nn", LOGGED_IN),
        ("a\N{RIGHT-TO-LEFT OVERRIDE}nn", b"-ERR [AUTH] The response is not understood.\r\n"),
        ("bob", b"-ERR [AUTH] Nobody may log in as somebody else.\r\n"),
    ],
)
def test_the_name_to_act_for_is_prepared_by_saslprep(authority: str, said: bytes) -> None:
    """rfc5034-s4/authorization-id."""
    message = b64(f"{authority}\0ann\0secret".encode())
    assert talk().send(b"AUTH PLAIN " + message + b"\r\n") == said


@pytest.mark.parametrize(
    "name", ["a\N{SOFT HYPHEN}nn", "ann\N{IDEOGRAPHIC SPACE}", "\N{ZERO WIDTH NO-BREAK SPACE}ann"]
)
def test_name_is_prepared_in_each_command(name: str) -> None:
    """rfc6856-s2/saslprep: a name logs in by USER if it does by AUTH, whatever it has unseen."""
    session = talk()
    session.send(b"USER " + name.encode() + b"\r\n")
    assert session.send(b"PASS secret\r\n") == LOGGED_IN
    message = b64(f"\0{name}\0secret".encode())
    assert talk().send(b"AUTH PLAIN " + message + b"\r\n") == LOGGED_IN


@pytest.mark.parametrize("password", [b"p\xfcss", b"a\tb", "a\N{LINE SEPARATOR}b".encode()])
def test_invalid_password_rejected(password: bytes) -> None:
    """rfc6856-s2/saslprep: octets that cannot be a password are rejected by every mechanism."""
    said = b"-ERR [AUTH] A password is UTF-8, without control characters.\r\n"
    session = talk()
    session.send(b"USER ann\r\n")
    assert session.send(b"PASS " + password + b"\r\n") == said
    assert session.send(b"AUTH PLAIN " + b64(b"\0ann\0" + password) + b"\r\n") == said
    session.send(b"AUTH LOGIN\r\n" + b64(b"ann") + b"\r\n")
    assert session.send(b64(password) + b"\r\n") == said


@pytest.mark.parametrize("password", ["p\N{GRINNING FACE}", "אבג123", "a\N{NO-BREAK SPACE}b"])
def test_a_password_may_be_what_only_a_name_may_not(password: str) -> None:
    """rfc6856-s2/saslprep: unassigned when SASLprep was made, of both directions, a space of
    another kind.
    """
    session = talk()
    session.world.add("ann", password)
    message = b64(f"\0ann\0{password}".encode())
    assert session.send(b"AUTH PLAIN " + message + b"\r\n") == LOGGED_IN


@pytest.mark.parametrize("digest", [b"g" * 32, b"A" * 32, b"0" * 31, b""])
def test_digest_of_cram_md5(digest: bytes) -> None:
    """A digest has 32 lower-case hexadecimal digits: RFC 2195 section 2."""
    session = talk()
    session.send(b"AUTH CRAM-MD5\r\n")
    said = b"-ERR [AUTH] The response is not understood.\r\n"
    assert session.send(b64(b"ann " + digest) + b"\r\n") == said


def test_plain_takes_fields_of_255_octets() -> None:
    """rfc2595-s6/plain, known-bug/auth-list: the line has far more than 255 octets then."""
    session = talk()
    name, password = "a" * 255, "b" * 255
    session.world.add(name, password)
    message = b64(f"{name}\0{name}\0{password}".encode())
    assert session.send(b"AUTH PLAIN " + message + b"\r\n") == LOGGED_IN


def test_only_auth_may_be_a_long_line() -> None:
    """rfc2449-s4/command-length."""
    assert talk().send(b"USER " + b"a" * 300 + b"\r\n") == b"-ERR Line too long.\r\n"


@pytest.mark.parametrize("name", ["SCRAM-SHA-256", "SCRAM-SHA-1"])
@pytest.mark.parametrize("plus", [True, False])
@pytest.mark.parametrize("user", ["ann", "b,o=b"])
def test_scram_logs_in_and_proves_the_server_too(name: str, user: str, *, plus: bool) -> None:
    """rfc5802-s5.1/attributes, rfc5802-s6/channel-binding, rfc5034-s4/final-challenge: the server's
    proof is a challenge with an empty answer.
    """
    session = talk(TLS if plus else CLEAR)
    mechanism = f"{name}-PLUS" if plus else name
    password = session.world.passwords[user]
    client = scramp.ScramClient(
        [mechanism], user, password, channel_binding=("tls-unique", BINDING) if plus else None
    )
    first = b64(client.get_client_first().encode())
    client.set_server_first(
        challenge(session.send(b"AUTH " + mechanism.encode() + b" " + first + b"\r\n")).decode()
    )
    final = b64(client.get_client_final().encode())
    client.set_server_final(challenge(session.send(final + b"\r\n")).decode())
    assert session.send(b"\r\n") == LOGGED_IN
    assert session.session.state is State.TRANSACTION


def proved(session: Talk, mechanism: str, header: bytes, name: bytes) -> bytes:
    """Log in by SCRAM as ann, saying just this, and return what is said to the proof."""
    bare = b"n=" + name + b",r=abc"
    first = b"AUTH " + mechanism.encode() + b" " + b64(header + bare) + b"\r\n"
    said = challenge(session.send(first))
    nonce, salt, iterations = (field[2:] for field in said.split(b","))
    binding = b64(header + (BINDING if header.startswith(b"p=") else b""))
    final = b"c=" + binding + b",r=" + nonce
    salted = hashlib.pbkdf2_hmac("sha256", b"secret", base64.b64decode(salt), int(iterations))
    key = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(key).digest()
    signature = hmac.digest(stored, b",".join((bare, said, final)), "sha256")
    proof = bytes(a ^ b for a, b in zip(key, signature, strict=True))
    return session.send(b64(final + b",p=" + b64(proof)) + b"\r\n")


@pytest.mark.parametrize(
    ("mechanism", "header", "name"),
    [
        ("SCRAM-SHA-256", "n,,", "a\N{SOFT HYPHEN}nn"),
        ("SCRAM-SHA-256", "n,a=ann,", "\N{FULLWIDTH LATIN SMALL LETTER A}nn"),
        ("SCRAM-SHA-256", "n,a=a\N{SOFT HYPHEN}nn,", "ann"),
        ("SCRAM-SHA-256-PLUS", "p=tls-unique,a=ann,", "ann"),
    ],
)
def test_scram_prepares_the_name(mechanism: str, header: str, name: str) -> None:
    """rfc5802-s5.1/attributes, rfc5802-s6/channel-binding: SCRAM prepares the name, and accepts it
    as authorization identity.
    """
    plus = mechanism.endswith("-PLUS")
    session = talk(TLS if plus else CLEAR)
    assert challenge(proved(session, mechanism, header.encode(), name.encode()))[:2] == b"v="
    assert session.send(b"\r\n") == LOGGED_IN


@pytest.mark.parametrize(
    ("user", "password"), [("ann", "wrong"), ("nobody", "secret")], ids=["password", "name"]
)
def test_scram_wrong_proof(user: str, password: str) -> None:
    """rfc5034-s4/failure: neither challenge nor rejection reveals whether the user exists."""
    session = talk(CLEAR)
    client = scramp.ScramClient(["SCRAM-SHA-256"], user, password)
    first = b64(client.get_client_first().encode())
    client.set_server_first(
        challenge(session.send(b"AUTH SCRAM-SHA-256 " + first + b"\r\n")).decode()
    )
    assert session.send(b64(client.get_client_final().encode()) + b"\r\n") == WRONG
    assert session.send(b"AUTH\r\n").startswith(b"+OK")


@pytest.mark.parametrize(
    "message",
    [
        b"n,,n=ann,r=",
        b"y,,n=ann,r=abc",  # "you cannot bind": we can, so an attacker removed -PLUS
        b"p=tls-telepathy,,n=ann,r=abc",
    ],
)
def test_a_scram_message_that_must_fail_fails(message: bytes) -> None:
    """rfc5802-s5.1/attributes, rfc5802-s6/channel-binding."""
    said = talk().send(b"AUTH SCRAM-SHA-256\r\n" + b64(message) + b"\r\n")
    assert said == b"+ \r\n" + WRONG


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=ann",
        b"n,,m=new,n=ann,r=abc",  # an unknown mandatory extension
        b"n,,n=a=nn,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,a=\xff,n=ann,r=abc",
        b"n,a=a=nn,n=ann,r=abc",
        b"n,b=ann,n=ann,r=abc",
        b"n,ann,n=ann,r=abc",
        "n,,n=a\N{RIGHT-TO-LEFT OVERRIDE}nn,r=abc".encode(),
    ],
)
def test_a_scram_message_that_is_none_is_not_understood(message: bytes) -> None:
    """rfc5802-s5.1/attributes: names are escaped, and mandatory extensions rejected."""
    said = talk().send(b"AUTH SCRAM-SHA-256\r\n" + b64(message) + b"\r\n")
    assert said == b"+ \r\n-ERR [AUTH] The response is not understood.\r\n"


def test_scram_proof_that_is_too_long() -> None:
    """rfc5034-s4/response-length: SCRAM's second message has an end."""
    session = talk(CLEAR)
    session.send(b"AUTH SCRAM-SHA-256 " + b64(b"n,,n=ann,r=abc") + b"\r\n")
    said = session.send(b64(b"c=biws,r=abc," + b"x" * 40_000) + b"\r\n")
    assert said == b"-ERR [AUTH] The response is not understood.\r\n"


def test_scram_is_for_nobody_else() -> None:
    """rfc5802-s5.1/attributes, as in PLAIN."""
    said = talk().send(b"AUTH SCRAM-SHA-256 " + b64(b"n,a=bob,n=ann,r=abc") + b"\r\n")
    assert said == b"-ERR [AUTH] Nobody may log in as somebody else.\r\n"


def test_the_example_of_rfc_7677_is_understood() -> None:
    """RFC 7677 section 3: user, pencil; the nonce of the server is our own."""
    session = talk(CLEAR)
    session.world.add("user", "pencil")
    first = b64(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO")
    said = challenge(session.send(b"AUTH SCRAM-SHA-256 " + first + b"\r\n"))
    assert said.startswith(b"r=rOprNGfwEbeRWgbNEkqO")
    assert b",i=" in said


def test_cram_md5_proves_a_shared_secret() -> None:
    """rfc2195-s2/cram-md5, rfc5034-s4/initial-response: the server speaks first."""
    session = talk(CLEAR)
    assert session.send(b"AUTH CRAM-MD5 YW5u\r\n") == (
        b"-ERR In this mechanism the server speaks first.\r\n"
    )
    assert challenge(session.send(b"AUTH CRAM-MD5\r\n")) == TIMESTAMP.encode()
    digest = hmac.new(b"secret", TIMESTAMP.encode(), "md5").hexdigest().encode()
    assert session.send(b64(b"ann " + digest) + b"\r\n") == LOGGED_IN


@pytest.mark.parametrize("response", [b"", b"ann", b"ann ", b"ann \xff", b"ann 0000"])
def test_a_cram_md5_response_that_is_wrong_is_refused(response: bytes) -> None:
    """An invalid CRAM-MD5 response is rejected."""
    session = talk(CLEAR)
    session.send(b"AUTH CRAM-MD5\r\n")
    assert session.send(b64(response) + b"\r\n").startswith(b"-ERR [AUTH] ")


def test_apop_is_the_example_of_rfc_1939() -> None:
    """rfc1939-s7/apop, policy/apop-off: the timestamp in the greeting and the digest are those of
    section 7.
    """
    session = Talk(World(), ProtocolSettings(apop=True))
    session.world.add("mrose", "tanstaaf")
    assert session.send() == f"+OK POP3 server ready. {TIMESTAMP}\r\n".encode()
    assert session.send(b"APOP mrose " + b"0" * 32 + b"\r\n") == WRONG
    command = b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"
    assert session.send(command) == LOGGED_IN
    expected = hashlib.md5(TIMESTAMP.encode() + b"tanstaaf").hexdigest()
    assert expected.encode() in command


@pytest.mark.parametrize("digest", [b"", b"0" * 31, b"F" * 32, b"\xff" * 32])
def test_a_digest_that_apop_cannot_have(digest: bytes) -> None:
    """It is an error of the command's syntax, and not a failed login."""
    session = Talk(World(), ProtocolSettings(apop=True))
    session.world.add("mrose", "tanstaaf")
    session.send()
    answer = session.send(b"APOP mrose " + digest + b"\r\n")
    assert answer.startswith(b"-ERR")
    assert answer != WRONG


OAUTH = b"n,a=ann,\x01host=mail.example.com\x01port=995\x01auth=Bearer token of ann\x01\x01"
XOAUTH = b"user=ann\x01auth=Bearer token of ann\x01\x01"


@pytest.mark.parametrize(("mechanism", "message"), [(b"OAUTHBEARER", OAUTH), (b"XOAUTH2", XOAUTH)])
def test_tokens_log_in_on_one_line_or_two(mechanism: bytes, message: bytes) -> None:
    """rfc7628-s3/tokens, known-bug/auth-list."""
    assert talk().send(b"AUTH " + mechanism + b" " + b64(message) + b"\r\n") == LOGGED_IN
    session = talk()
    assert session.send(b"AUTH " + mechanism + b"\r\n") == b"+ \r\n"
    assert session.send(b64(message) + b"\r\n") == LOGGED_IN


@pytest.mark.parametrize("octets", [5000, 48_000])
@pytest.mark.parametrize("lines", [1, 2])
def test_a_token_may_be_long(octets: int, lines: int) -> None:
    """rfc5034-s4/response-length, known-bug/auth-list: a response has up to 64 KiB."""
    message = b"user=ann\x01auth=Bearer " + b"x" * octets + b"\x01\x01"
    session = talk()
    command = b"AUTH XOAUTH2" + (b" " if lines == 1 else b"\r\n") + b64(message) + b"\r\n"
    said = session.send(command)
    assert b'{"status":' in challenge(said.removeprefix(b"+ \r\n"))


@pytest.mark.parametrize(
    ("mechanism", "message", "answer"),
    [
        (b"OAUTHBEARER", OAUTH.replace(b"token of", b"taken from"), b64(b"\x01")),
        (b"OAUTHBEARER", OAUTH.replace(b"token of", b"taken from"), b"*"),
        (b"OAUTHBEARER", OAUTH.replace(b"token of", b"taken from"), b"{}"),
        (b"XOAUTH2", XOAUTH.replace(b"token of", b"taken from"), b""),
    ],
)
def test_rejected_token_gets_json(mechanism: bytes, message: bytes, answer: bytes) -> None:
    """A rejected token gets a reason in JSON, and then -ERR, whatever the client answers."""
    session = talk()
    said = session.send(b"AUTH " + mechanism + b" " + b64(message) + b"\r\n")
    assert challenge(said).startswith(b'{"status":')
    assert session.send(answer + b"\r\n") == WRONG


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        (b"OAUTHBEARER", b""),
        (b"OAUTHBEARER", b"n,a=ann\x01auth=Bearer token of ann\x01\x01"),
        (b"OAUTHBEARER", b"p=tls-unique,a=ann,\x01auth=Bearer token of ann\x01\x01"),
        (b"OAUTHBEARER", b"n,a=ann,\x01auth=Basic token of ann\x01\x01"),
        (b"OAUTHBEARER", b"n,a=ann,\x01\x01"),
        (b"XOAUTH2", b"ann\x01auth=Bearer token of ann\x01\x01"),
        (b"XOAUTH2", b"user=ann\x01auth=Bearer\x01\x01"),
    ],
)
def test_a_message_without_a_token_is_not_understood(mechanism: bytes, message: bytes) -> None:
    """A message without a token is rejected."""
    said = talk().send(b"AUTH " + mechanism + b"\r\n" + b64(message) + b"\r\n")
    assert said == b"+ \r\n-ERR [AUTH] The response is not understood.\r\n"


@pytest.mark.parametrize("response", [b"=", b64(b"ann")])
def test_external_names(response: bytes) -> None:
    """EXTERNAL uses the name in the certificate, or the one that the client sends."""
    assert talk().send(b"AUTH EXTERNAL " + response + b"\r\n") == LOGGED_IN
    assert b"EXTERNAL" not in talk(ConnectionSecurity(tls=True)).send(b"CAPA\r\n")


def test_endless_line_in_exchange() -> None:
    """A line without end within an exchange closes the session."""
    session = talk()
    session.send(b"AUTH PLAIN\r\n")
    assert session.send(b"A" * 200_000) == b"-ERR Line too long.\r\n"
    assert session.over


def test_starttls_forgets_what_was_said_before_it() -> None:
    """rfc2595-s4/stls, rfc2595-s4/stls-discards, rfc5034-s4/security-layer, known-bug/tls-scope:
    name, language, and what came after the command.
    """
    session = talk(ConnectionSecurity(can_start_tls=True))
    session.send(b"USER ann\r\nLANG de\r\n")
    assert session.send(b"STLS\r\nPASS secret\r\n") == b"+OK Jetzt TLS beginnen.\r\n"
    assert session.send(b"PASS secret\r\n") == b"-ERR Send USER first.\r\n"
    assert session.send(b"STLS\r\n") == b"-ERR TLS is active already.\r\n"
    assert b"STLS" not in session.send(b"CAPA\r\n")
    session.send(b"USER ann\r\nPASS secret\r\n")
    assert session.send(b"STLS\r\n") == b"-ERR You are logged in already.\r\n"


def test_stls_is_announced_only_where_it_may_be_said() -> None:
    """rfc2595-s4/stls-announced."""
    session = talk(ConnectionSecurity(can_start_tls=True))
    assert b"\r\nSTLS\r\n" in session.send(b"CAPA\r\n")
    session.send(b"USER ann\r\nPASS secret\r\n")
    assert b"STLS" not in session.send(b"CAPA\r\n")


def test_stls_after_utf8_is_refused() -> None:
    """rfc6856-s2/stls-after-utf8, policy/stls-after-utf8."""
    session = talk(ConnectionSecurity(can_start_tls=True))
    session.send(b"UTF8\r\n")
    assert session.send(b"STLS\r\n") == b"-ERR STLS must come before UTF8.\r\n"


@pytest.mark.parametrize(
    ("offer", "before", "after"),
    [
        ({"login_delay": 5, "longest_login_delay": 9}, b"LOGIN-DELAY 9 USER", b"LOGIN-DELAY 5"),
        ({"longest_login_delay": 9}, b"LOGIN-DELAY 9 USER", b"LOGIN-DELAY 0"),
        ({"expire_days": 30, "shortest_expire_days": 7}, b"EXPIRE 7 USER", b"EXPIRE 30"),
        ({"shortest_expire_days": 7}, b"EXPIRE 7 USER", b"EXPIRE NEVER"),
    ],
)
def test_values_per_user(offer: dict[str, Any], before: bytes, after: bytes) -> None:
    """rfc2449-s6.5/login-delay, rfc2449-s6.7/expire: capabilities that differ between users are
    announced so.
    """
    session = Talk(World(), offer=AuthOffer(**offer))
    session.world.add("ann", "secret")
    assert b"\r\n" + before + b"\r\n" in session.send(b"CAPA\r\n")
    session.send(b"USER ann\r\nPASS secret\r\n")
    assert b"\r\n" + after + b"\r\n" in session.send(b"CAPA\r\n")


@pytest.mark.parametrize(
    ("response", "user", "master"),
    [
        (b"ann\0admin\0secret", "ann", "admin"),
        (b"ann\0ann\0secret", "ann", ""),
        (b"\0ann\0secret", "ann", ""),
        (b"\0ann*admin\0secret", "ann*admin", ""),
    ],
)
def test_plain_of_a_master_user(response: bytes, user: str, master: str) -> None:
    """PLAIN names the account and the master user, where that is allowed."""
    session = Session(settings=ProtocolSettings(masters=True))
    need = next(plain(SaslExchange(session, b64(response))))
    assert need == Authenticate(AuthMethod.PASSWORD, user, Secret(b"secret"), master=master)


def test_plain_without_master_users() -> None:
    """Without master users, PLAIN for another user is refused at once."""
    with pytest.raises(Refusal, match="Nobody may log in as somebody else"):
        next(plain(SaslExchange(Session(), b64(b"ann\0admin\0secret"))))
