"""The server of developer mode, by Python's own clients."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import poplib
import smtplib
import socket
import ssl
from email.message import EmailMessage

import pytest

from restante import RemoteError, blocking
from restante.auth.interfaces import CredentialsError
from restante.developer.accounts import DeveloperAccounts
from restante.developer.server import DeveloperOptions, DeveloperServer
from restante.protocol.secret import Secret
from restante.protocol.server.settings import AuthOffer, ProtocolSettings
from restante.server.log.loggers import INCIDENTS
from support.developer import QUIET, serving


def letter(to: str = "new@shop.example") -> EmailMessage:
    message = EmailMessage()
    message["To"] = to
    message["Subject"] = "Welcome"
    message.set_content("hello\n")
    return message


def session(server: DeveloperServer, user: str = "ann", password: str = "any") -> poplib.POP3:
    client = poplib.POP3(server.host, server.port, timeout=20)
    try:
        client.user(user)
        client.pass_(password)
    except poplib.error_proto:
        client.close()
        raise
    return client


def test_mail_for_any_address() -> None:
    """SMTP accepts any address, and POP3 gives the mail to that name in any case."""
    with serving(any_account=True) as server:
        with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
            client.send_message(letter("New@Shop.example"), from_addr="shop@example.com")
        (mail,) = server.mailboxes.mail("new@shop.example")
        assert (mail.sender, mail.delivered_by) == ("shop@example.com", 1)
        pop3 = session(server, "NEW@shop.example")
        assert b"Subject: Welcome" in pop3.retr(1)[1]
        pop3.quit()
        assert server.sessions.all()[0].user == "shop@example.com"


@pytest.mark.parametrize(
    "name", ["j\u00f6rg", "jo\u0308rg", "J\u00d6RG", "\u044e\u043b\u0438\u044f"]
)
def test_an_address_beyond_ascii(name: str) -> None:
    """A letter with a mark is the same in one character and in two, for SMTP and for POP3."""
    address = f"{name}@ex\u00e4mple.de"
    with serving(any_account=True) as server:
        with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
            client.send_message(letter(address))
        pop3 = poplib.POP3(server.host, server.port, timeout=20)
        pop3.encoding = "utf-8"
        pop3.utf8()
        pop3.user(address)
        pop3.pass_("any")
        assert pop3.stat()[0] == 1
        pop3.quit()
        assert len(server.mailboxes.names()) == 1
        assert len(server.mailboxes.mail(address)) == 1


def test_help_of_smtp() -> None:
    """HELP lists what this server can do, AUTH and STARTTLS among it."""
    with serving() as server:
        with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
            listed = client.help().decode().split()
    assert {"AUTH", "DATA", "EHLO", "STARTTLS"} < set(listed)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_any_login_to_smtp(mechanism: str) -> None:
    """SMTP accepts any name and password by each mechanism, and the record stars the password."""
    with serving() as server:
        with smtplib.SMTP(server.host, server.smtp_port or 0, timeout=20) as client:
            client.ehlo()
            client.esmtp_features["auth"] = mechanism
            client.login("ann", "hidden-word")
            client.send_message(letter(), from_addr="shop@example.com")
        (record,) = server.sessions.all()
        assert record.commands[1] == f"AUTH {mechanism}"
        assert "hidden" not in str(record)
        assert "aGlkZGVu" not in str(record)
        assert "***" in str(record)


def test_starttls() -> None:
    """STARTTLS begins TLS with a certificate that clients can verify, and so does SMTP in TLS."""
    with serving(tls=True) as server:
        context = ssl.create_default_context(cafile=server.authority)
        with smtplib.SMTP("localhost", server.smtp_port or 0, timeout=20) as client:
            client.starttls(context=context)
            assert not client.has_extn("starttls")
            client.send_message(letter(), from_addr="shop@example.com")
        port = server.smtps_port or 0
        with smtplib.SMTP_SSL("localhost", port, context=context, timeout=20) as client:
            client.send_message(letter(), from_addr="shop@example.com")
        assert len(server.mailboxes.mail()) == 2
        assert [one.tls for one in server.sessions.all()] == [True, True]


def test_a_failed_handshake_ends_the_session() -> None:
    """A client that does not trust the certificate leaves a session that is over."""
    with serving(tls=True) as server:
        client = smtplib.SMTP("localhost", server.smtp_port or 0, timeout=20)
        with pytest.raises(ssl.SSLError):
            client.starttls(context=ssl.create_default_context())
        client.close()
        over = server.feed.wait_for(lambda: not server.sessions.all()[0].live, timeout=20)
        assert over


def test_a_stop_during_a_handshake(capsys: pytest.CaptureFixture[str]) -> None:
    """The server stops at once, though a client is in the middle of STARTTLS, and logs no error."""
    with DeveloperServer(DeveloperOptions(tls=True, stop_timeout=20, log=INCIDENTS)) as server:
        with begun_tls(server) as client:
            server.call(server.stop())
            assert client.sock is not None
            while client.sock.recv(1000):
                pass
        assert not server.sessions.all()[0].live
    assert capsys.readouterr().err == ""


def test_a_stop_after_quit() -> None:
    """A client that does not end its TLS is disconnected when the server stops."""
    with serving(tls=True, stop_timeout=0.1) as server, begun_tls(server) as client:
        secured = start_tls(server, client)
        secured.sendall(b"QUIT\r\n")
        assert secured.recv(1000).startswith(b"221 ")
        server.call(server.stop())
        with socket.socket(fileno=secured.detach()) as plain:
            plain.settimeout(1)
            with contextlib.suppress(ConnectionResetError):
                while plain.recv(1000):
                    pass


def test_the_end_of_tls_before_the_replies(caplog: pytest.LogCaptureFixture) -> None:
    """A client that ends TLS while a command is carried out leaves no error."""
    with serving(tls=True) as server, begun_tls(server) as client:
        secured = start_tls(server, client)
        secured.sendall(b"EHLO x\r\nMAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\n")
        with contextlib.suppress(ssl.SSLError, OSError):
            secured.unwrap()
        secured.close()
        assert server.feed.wait_for(lambda: not server.sessions.all()[0].live, timeout=20)
    gc.collect()
    assert "never retrieved" not in caplog.text


def test_the_end_of_tls_at_its_begin(caplog: pytest.LogCaptureFixture) -> None:
    """A client that ends TLS together with its handshake leaves a session that is over."""
    with serving(tls=True) as server, begun_tls(server) as client:
        context = ssl.create_default_context(cafile=server.authority)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        secured = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        plain = client.sock
        assert plain is not None
        for step in (secured.do_handshake, secured.unwrap):
            while True:
                try:
                    step()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65_536))
                except ssl.SSLEOFError:
                    break
        assert server.feed.wait_for(lambda: not server.sessions.all()[0].live, timeout=20)
    assert caplog.text == ""


def begun_tls(server: DeveloperServer) -> smtplib.SMTP:
    """Return a client that may begin its handshake."""
    client = smtplib.SMTP("localhost", server.smtp_port or 0, timeout=20)
    client.ehlo()
    assert client.docmd("STARTTLS")[0] == 220
    return client


def start_tls(server: DeveloperServer, client: smtplib.SMTP) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=server.authority)
    assert client.sock is not None
    client.sock = secured = context.wrap_socket(client.sock, server_hostname="localhost")
    return secured


def test_words_behind_starttls_are_thrown_away() -> None:
    """Commands in clear text after STARTTLS are not carried out in TLS."""
    with serving(tls=True) as server:
        with smtplib.SMTP("localhost", server.smtp_port or 0, timeout=20) as client:
            client.ehlo()
            client.send("STARTTLS\r\nEHLO injected\r\n")
            assert client.getreply()[0] == 220
            assert client.sock is not None
            context = ssl.create_default_context(cafile=server.authority)
            client.sock = context.wrap_socket(client.sock, server_hostname="localhost")
            client.file = None
            assert client.docmd("NOOP")[0] == 250
            assert client.docmd("MAIL", "FROM:<a@example.com>")[0] == 503


def test_record_of_a_session() -> None:
    """The record has each line, and what is marked, held, fetched and removed."""
    with serving(any_account=True) as server:
        server.mailboxes.add("ann", b"Subject: a\n\nhello\n", uid="chosen")
        client = session(server)
        assert client.uidl()[1] == [b"1 chosen"]
        client.retr(1)
        client.dele(1)
        (record,) = server.sessions.all()
        (mail,) = server.mailboxes.mail("ann")
        assert (record.state, record.user, record.marked) == ("TRANSACTION", "ann", ("chosen",))
        assert server.mailboxes.holder("ann") == mail.marked_by == record.number
        assert mail.fetched_by == (record.number,)
        client.quit()
        server.feed.wait_for(lambda: not server.sessions.all()[0].live, timeout=20)
        (record,) = server.sessions.all()
        assert record.ending == "quit"
        assert [str(line) for line in record.lines] == [
            "S +OK POP3 server ready.",
            "C USER ann",
            "S +OK",
            "C PASS ***",
            "S +OK Logged in.",
            "C UIDL",
            "S +OK",
            "S 1 chosen",
            "S .",
            "C RETR 1",
            "S +OK 21 octets",
            "S (3 lines, 21 octets)",
            "C DELE 1",
            "S +OK Marked to be deleted.",
            "C QUIT",
            "S +OK Logging out.",
        ]
        assert server.mailboxes.removed_mail("ann")[0].removed_by == record.number
        assert server.mailboxes.mail("ann") == []


def test_a_fault_is_switched_on() -> None:
    """A fault holds for the sessions that begin after it was switched on."""
    with serving(any_account=True) as server:
        server.faults.set(["PASS: -ERR later"])
        assert server.faults.on == ["PASS: -ERR later"]
        with pytest.raises(poplib.error_proto, match="later"):
            session(server)
        assert server.sessions.all()[0].fault == "PASS: -ERR later"
        server.faults.set([])
        session(server).quit()


def test_on_an_event_loop() -> None:
    """On a program's own event loop, a reader gets each event."""

    async def run() -> list[str]:
        async with DeveloperServer(DeveloperOptions(log=QUIET)) as server:
            reader = server.feed.reader()
            server.mailboxes.add("ann", b"a")
            server.mailboxes.remove({1})
            events = [await reader.next(20), await reader.next(20), await reader.next(0)]
            return [event.kind for event in events if event]

    assert asyncio.run(run()) == ["delivered", "removed"]


def test_a_fault_of_one_user() -> None:
    """A fault of one user begins with the name, and does not reach others."""
    with serving(any_account=True) as server:
        server.faults.set(["user-refused"], "Ann")
        with pytest.raises(poplib.error_proto):
            session(server)
        session(server, "bob").quit()
        server.faults.set(["retr-refused"], "ann")
        server.mailboxes.add("ann", b"a")
        client = session(server)
        with pytest.raises(poplib.error_proto):
            client.retr(1)
        client.quit()
        assert [one.fault for one in server.sessions.all()] == ["user-refused", "", "retr-refused"]


def test_a_fault_of_the_mail() -> None:
    """A fault may change what a session finds, and the mail stays as it is."""
    with serving(any_account=True) as server:
        server.mailboxes.add("ann", b"a")
        server.faults.set(["empty"])
        client = session(server)
        assert client.stat() == (0, 0)
        client.quit()
        assert len(server.mailboxes.mail("ann")) == 1


def test_a_fault_of_the_listener_is_an_error() -> None:
    """A fault of TLS cannot be switched on later."""
    with serving() as server, pytest.raises(ValueError, match="before the server starts"):
        server.faults.set(["tls-expired"])


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5", "APOP", "PLAIN"])
def test_a_shared_password(mechanism: str) -> None:
    """With a password for all names, mechanisms work that never show it; a wrong one is refused."""
    with serving(
        any_account=True,
        shared_password=Secret(b"secret"),
        settings=ProtocolSettings(apop=True),
        offer=AuthOffer(mechanisms=frozenset({"SCRAM-SHA-256", "CRAM-MD5", "PLAIN"})),
    ) as server:
        url = f"pop3://new@{server.host}:{server.port}"
        with blocking.connect(url, "secret", mechanisms=(mechanism,)) as maildrop:
            assert len(maildrop) == 0
        with pytest.raises(RemoteError):
            with blocking.connect(url, "wrong", mechanisms=(mechanism,)):
                pass


def test_scram_keys_stay() -> None:
    """A login by SCRAM succeeds, whichever other users log in between its two messages."""
    accounts = DeveloperAccounts()
    for number in range(66):
        accounts.add(f"user{number}", f"secret{number}")

    async def ask(number: int) -> object:
        return await accounts.scram_keys("SCRAM-SHA-256", f"user{number}")

    before, *_ = [asyncio.run(ask(number)) for number in range(66)]
    assert asyncio.run(ask(0)) == before


def test_a_token_needs_a_name() -> None:
    """Where any password is accepted, a token without a user opens no mailbox."""
    accounts = DeveloperAccounts(any_account=True)
    assert asyncio.run(accounts.identify("ann")).name == "ann"
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("", Secret(b"token")))


def test_a_fault_of_the_first_session() -> None:
    """Sessions are counted since the switch: `second-login` refuses the first one alone."""
    with serving(any_account=True) as server:
        session(server).quit()
        server.faults.set(["second-login"], "ann")
        with pytest.raises(poplib.error_proto, match="IN-USE"):
            session(server)
        session(server).quit()
