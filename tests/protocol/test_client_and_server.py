"""Client and server understand each other in memory, each command and each mechanism."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from restante.auth.interfaces import PASSWORDS
from restante.client.credentials import Credentials
from restante.client.mechanisms import CLEARTEXT, CLIENT_MECHANISMS, TOKENS, apop_digest
from restante.protocol.client import operations, sasl
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import Peek
from restante.protocol.client.pipeline import Operation, carry_out, pipeline
from restante.protocol.client.raw_command import is_multi_line, raw_command, redact_command
from restante.protocol.client.replies import parse_status
from restante.protocol.errors import LocalError, ServerRefusedError
from restante.protocol.server.sasl import PLAINTEXT
from restante.protocol.server.sasl import SERVER_MECHANISMS as SERVED
from restante.protocol.server.settings import AuthOffer, ConnectionSecurity, ProtocolSettings
from restante.protocol.unstuffing import DotUnstuffer
from support.credentials import TIMESTAMP
from support.joined_session import Joined
from support.world import Talk, World

BINDING = ("tls-unique", b"what only this connection has")
MAIL = (b"Subject: a\n\nhello\n", b".dot\n\n..\n.\n", b"")


def join(*, piece: int = 0, apop: bool = False) -> tuple[Joined, ServerPeer]:
    world = World(bindings=dict([BINDING]))
    world.add("ann", "secret", *MAIL)
    channel = ConnectionSecurity(tls=True, certified=True, bindings=frozenset({"tls-unique"}))
    offer = AuthOffer(mechanisms=frozenset(SERVED))
    joined = Joined(Talk(world, ProtocolSettings(apop=apop), offer=offer, channel=channel), piece)
    peer = ServerPeer()
    joined.run(peer.read_ok())
    return joined, peer


@pytest.fixture
def logged_in() -> tuple[Joined, ServerPeer]:
    joined, peer = join()
    joined.run(carry_out(peer, operations.user("ann")))
    joined.run(carry_out(peer, operations.pass_("secret")))
    return joined, peer


@pytest.mark.parametrize("initial", [False, True])
@pytest.mark.parametrize("name", CLIENT_MECHANISMS)
def test_client_has_all_mechanisms(name: str, *, initial: bool) -> None:
    """The client knows every mechanism of the server."""
    joined, peer = join()
    password = "token of ann" if "OAUTH" in name or name == "XOAUTH2" else "secret"
    credentials = Credentials(
        "ann", password, "mail.example.com", 995, BINDING, server_has_plus=True
    )
    operation = sasl.auth(name, CLIENT_MECHANISMS[name](credentials), initial=initial)
    assert joined.run(carry_out(peer, operation)).ok
    assert joined.run(carry_out(peer, operations.stat())).messages == 3


def test_the_client_knows_all_that_the_server_has() -> None:
    """The client has every mechanism of the server."""
    assert set(CLIENT_MECHANISMS) == set(SERVED)


def test_mechanisms_that_show_the_secret() -> None:
    """Client and accounts know which mechanisms send the password or the token itself."""
    cleartext = {name for name, row in SERVED.items() if row.properties == PLAINTEXT}
    assert set(CLEARTEXT) == cleartext, "else the client would send the secret without TLS"
    assert cleartext - set(TOKENS) == PASSWORDS, "else no server would offer the mechanism"


@pytest.mark.parametrize("name", [n for n in CLIENT_MECHANISMS if n != "EXTERNAL"])
def test_wrong_password_keeps_session(name: str) -> None:
    """A wrong password is rejected, and the session goes on."""
    joined, peer = join()
    wrong = Credentials("ann", "wrong", "mail.example.com", 995, BINDING, server_has_plus=True)
    with pytest.raises(ServerRefusedError) as caught:
        joined.run(carry_out(peer, sasl.auth(name, CLIENT_MECHANISMS[name](wrong))))
    assert caught.value.code == "AUTH"
    assert "TOP" in joined.run(carry_out(peer, operations.capa()))


def test_apop_proves_the_password_by_the_greeting() -> None:
    """APOP logs in with the greeting's timestamp."""
    joined, peer = join(apop=True)
    digest = apop_digest(TIMESTAMP, "secret")
    assert joined.run(carry_out(peer, operations.apop("ann", digest))).ok


def test_apop_prepares_the_password() -> None:
    """rfc6856-s2/saslprep."""
    composed = apop_digest(TIMESTAMP, "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}")
    assert apop_digest(TIMESTAMP, "A\N{COMBINING DIAERESIS}") == composed
    assert apop_digest(TIMESTAMP, "a\tb") == hashlib.md5(f"{TIMESTAMP}a\tb".encode()).hexdigest()


def test_lists_and_totals_are_read(logged_in: tuple[Joined, ServerPeer]) -> None:
    """The client reads STAT, LIST and UIDL, with and without marked messages."""
    joined, peer = logged_in
    assert joined.run(carry_out(peer, operations.stat())) == operations.MailboxTotals(3, 36)
    sizes = joined.run(carry_out(peer, operations.list_()))
    assert sizes == {1: 21, 2: 15, 3: 0}
    assert joined.run(carry_out(peer, operations.uidl())) == {1: "uid-1", 2: "uid-2", 3: "uid-3"}
    joined.run(carry_out(peer, operations.dele(2)))
    sizes = joined.run(carry_out(peer, operations.list_()))
    assert list(sizes) == [1, 3]
    joined.run(carry_out(peer, operations.rset()))
    assert joined.run(carry_out(peer, operations.noop())).ok
    assert joined.run(carry_out(peer, operations.quit_())).ok


@pytest.mark.parametrize("piece", [0, 1, 2, 3, 7])
def test_messages_come_back_whatever_pieces_they_come_in(piece: int) -> None:
    """Messages are read whole, in pieces of any size."""
    joined, peer = join(piece=piece)
    joined.run(carry_out(peer, operations.user("ann")))
    joined.run(carry_out(peer, operations.pass_("secret")))
    for number, stored in enumerate(MAIL, 1):
        joined.chunks.clear()
        received = joined.run(carry_out(peer, operations.retr(number)))
        assert b"".join(joined.chunks) == stored.replace(b"\n", b"\r\n")
        assert received.octets == len(stored.replace(b"\n", b"\r\n"))
    assert joined.run(carry_out(peer, operations.top(1, 0))) == b"Subject: a\r\n\r\n"


@pytest.mark.parametrize("window", [0, 8, 20, 4096])
def test_no_more_than_the_window_is_under_way(
    logged_in: tuple[Joined, ServerPeer], window: int
) -> None:
    """Pipelined commands never exceed the window, and each reply belongs to its command."""
    joined, peer = logged_in
    joined.sent.clear()
    batch: list[Operation[bytes]] = [operations.top(n) for n in (1, 9, 2, 3)]
    answers = joined.run(pipeline(peer, batch, window))
    assert [isinstance(answer, ServerRefusedError) for answer in answers] == [
        False,
        True,
        False,
        False,
    ]
    assert max(map(len, joined.sent)) <= max(window, len(b"TOP 1 0\r\n"))
    assert peer.outstanding == 0


@pytest.mark.parametrize("field", ["a\r\nDELE 1", "a\nb", "a\0b", "x" * 300])
def test_a_field_that_would_break_out_is_refused(field: str) -> None:
    """A name or password with a line end is an error and is not sent."""
    with pytest.raises(LocalError):
        operations.user(field)
    with pytest.raises(LocalError):
        operations.pass_(field)


def test_a_typed_command_is_answered_as_it_is(logged_in: tuple[Joined, ServerPeer]) -> None:
    """A typed command returns the reply as it came; STLS and AUTH are errors."""
    joined, peer = logged_in
    status = joined.run(carry_out(peer, raw_command("retr 2")))
    assert status.ok
    assert b"".join(joined.chunks) == MAIL[1].replace(b"\n", b"\r\n")
    for line in ("XYZZY 1", "RETR 99"):
        assert not joined.run(carry_out(peer, raw_command(line))).ok
    assert is_multi_line("list")
    assert not is_multi_line("LIST 1")
    for line in ("STLS", "AUTH PLAIN", "NOOP\r\nQUIT", "NOOP \ud800"):
        with pytest.raises(LocalError):
            raw_command(line)


def test_octets_of_a_typed_command() -> None:
    """Octets that are not UTF-8 are sent as they were typed; Python has them as surrogates."""
    typed = b"LANG \xff\xc3\xa4".decode(errors="surrogateescape")
    assert raw_command(typed).request == b"LANG \xff\xc3\xa4\r\n"
    assert raw_command(f"PASS {typed}").shown == b"PASS ***\r\n"


@pytest.mark.parametrize(
    ("line", "public"),
    [
        ("PASS my secret", "PASS ***"),
        ("  pass\tsecret", "  pass\t***"),
        ("APOP ann 0123", "APOP ann ***"),
        ("AUTH PLAIN", "AUTH PLAIN"),
        ("PASSAGE a", "PASSAGE a"),
        ("AUTH PLAIN AGFubg==", "AUTH PLAIN ***"),
        ("RETR 1", "RETR 1"),
        ("", ""),
    ],
)
def test_a_line_is_shown_without_its_secret(line: str, public: str) -> None:
    """A command is shown without its secret."""
    assert redact_command(line) == public


@pytest.mark.parametrize(
    ("line", "code", "text"),
    [
        (b"+OK\r\n", "", ""),
        (b"-ERR [IN-USE] busy\r\n", "IN-USE", "busy"),
        (b"-ERR [in-use]\n", "IN-USE", ""),
        (b"-err no\r\n", "", "no"),
        (b"+OK [a b] text\r\n", "", "[a b] text"),
    ],
)
def test_a_status_line_is_read_liberally(line: bytes, code: str, text: str) -> None:
    """Unusual forms of a status line are read."""
    status = parse_status(line)
    assert status is not None
    assert (status.code, status.text) == (code, text)


@pytest.mark.parametrize("line", [b"OK\r\n", b"+OKAY\r\n", b"\r\n", b"220 hello\r\n", b"* OK\r\n"])
def test_what_is_no_status_line_is_none(line: bytes) -> None:
    """A line that is not a status line gives None."""
    assert parse_status(line) is None


@given(
    st.lists(st.sampled_from([b"a", b".", b"\r", b"\n", b"\r\n", b"\r\n.", b"\r\n.\r\n"])),
    st.integers(1, 5),
)
def test_unstuffing_undoes_stuffing_in_any_pieces(parts: list[bytes], piece: int) -> None:
    """rfc1939-s3/dot-stuffing."""
    from restante.protocol.stuffing import encode_message

    wire, octets = encode_message(b"".join(parts))
    body, got = DotUnstuffer(), b""
    sent = wire + b"+OK next"
    place = 0
    while not body.ended:
        got += body.feed(sent[place : place + piece])
        place += piece
    assert (got + body.rest + sent[place:]).endswith(b"+OK next")
    assert body.octets == octets == len(got)
    again, _ = encode_message(got)
    assert again == wire


@pytest.mark.parametrize("bare_lf", [False, True])
@pytest.mark.parametrize("sent", [b"ab\n..c\r\n\nd\r\n\n.\n", b"\n\r\n..\r.\r\n.\r\n"])
def test_lines_that_end_with_lf_in_any_pieces(sent: bytes, *, bare_lf: bool) -> None:
    """A message has the same octets, lines and bare line ends in any pieces."""
    results = set()
    for place in range(len(sent)):
        body = DotUnstuffer(bare_lf=bare_lf)
        got = body.feed(sent[:place]) + body.feed(sent[place:])
        assert body.ended
        results.add((got, body.octets, body.lines, body.bare, body.dots))
    assert len(results) == 1


def test_empty_command_that_a_server_accepts() -> None:
    """An empty line is a command too: some servers accept it."""
    peer = ServerPeer(unread=bytearray(b"+OK\r\n"))
    reply = raw_command("").read(peer)
    assert isinstance(next(reply), Peek)
    with pytest.raises(StopIteration) as end:
        reply.send(b"")
    assert end.value.value.ok
