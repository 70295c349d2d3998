"""IMAP as a destination: Debian's Dovecot, and a double for servers that misbehave."""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import queue
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from imapclient import IMAPClient

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, deliver, opened, prepare, settle, source
from fetch.destinations.imap_double import GmailHandler, ImapHandler, odd_server, serving
from restante.fetch.destinations.imap.address import parse_imap_url
from restante.fetch.destinations.imap.connection import PIECE
from restante.fetch.destinations.imap.destination import ImapDestination
from restante.fetch.destinations.message_digest import NormalDigest
from restante.fetch.interfaces import (
    Content,
    DeliveryInDoubtError,
    DestinationUnavailableError,
    MessageRefusedError,
    Settled,
)
from restante.fetch.spool import Spool, SpooledDraft
from support.dovecot import imap_server
from support.live import PATIENCE
from support.other_user import public_folder

PASSWORD = "secret"
_users = itertools.count(1)


class ImapPlace:
    """The INBOX of a user of its own."""

    exact = True

    def __init__(self, port: int, state: Path, user: str) -> None:
        self.port, self.state, self.user = port, state, user

    def destination(self, more: str = "INBOX") -> ImapDestination:
        url = f"imap://{self.user}@127.0.0.1:{self.port}/{more}"
        spool = Spool(str(self.state / "spool"))
        return ImapDestination(url, parse_imap_url(url), spool, lambda: PASSWORD)

    @contextlib.contextmanager
    def reader(self, folder: str = "INBOX") -> Iterator[IMAPClient]:
        with IMAPClient("127.0.0.1", self.port, ssl=False) as client:
            client.login(self.user, PASSWORD)
            client.select_folder(folder)
            yield client

    def messages(self, folder: str = "INBOX") -> list[bytes]:
        with self.reader(folder) as client:
            found = client.fetch(client.search(), ["BODY.PEEK[]"])
        return [found[uid][b"BODY[]"] for uid in sorted(found)]

    def remove_all(self) -> None:
        with self.reader() as client:
            client.delete_messages(client.search())
            client.expunge()

    def carries(self, message: bytes) -> bool:
        lone = b"\r" in message.replace(b"\r\n", b"")
        return b"\0" not in message and not lone


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with public_folder() as folder, imap_server(folder, PASSWORD) as (_, port):
        yield port


@pytest.fixture
def place(port: int, tmp_path: Path) -> ImapPlace:
    return ImapPlace(port, tmp_path, f"user{next(_users)}")


@pytest.mark.parametrize(
    "message",
    [b"Subject: a\r\n\r\nNUL\0\r\n", b"Subject: a\r\n\r\na lone\rCR\r\n", LETTER.rstrip()],
    ids=["NUL", "CR", "no line end"],
)
def test_changed_octets_are_recognized(place: ImapPlace, message: bytes) -> None:
    """A message whose odd octets the server changes is known to be there all the same."""
    destination = opened(place)
    [token] = deliver(destination, message)
    destination.close()
    assert len(place.messages()) == 1
    assert settle(place, token) is Settled.HERE


def test_other_mail_is_not_taken_for_it(place: ImapPlace) -> None:
    """Mail that came meanwhile does not count as the message in doubt."""
    destination = opened(place)
    [token] = prepare(destination, LETTER)[1]
    with place.reader() as client:
        client.append("INBOX", OTHER)
        client.append("INBOX", LETTER.replace(b"hello", b"hullo"))
    destination.close()
    assert settle(place, token) is Settled.NOT_HERE


@pytest.mark.parametrize(
    ("date", "day"),
    [
        (b"Fri, 20 Nov 2026 10:11:12 +0000", "2026-11-20"),
        (b"Tue, 20 Nov 118 10:11:12 +0000", "2018-11-20"),
        (b"Sat, 31 Dec 2016 11:59:60 +0000", "2016-12-31"),
        (b"Sun, 20 Nov 1960 10:11:12 +0000", None),
        (b"Sat, 20 Nov 0999 10:11:12 +0000", None),
        (b"Fri, 20 Nov 9999 23:11:12 -1200", None),
        (b"Fri, 20 Nov 2026 10:11:12 -2359", None),
    ],
)
def test_date_and_flags(place: ImapPlace, date: bytes, day: str | None) -> None:
    """A message is unread, and has the date at which the first server received it."""
    message = b"Received: from a by b; " + date + b"\r\n" + LETTER
    destination = opened(place)
    draft = destination.start(source())
    draft.write(message)
    draft.finish(Content(len(message), "", message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"))
    destination.prepare([draft])
    destination.deliver(draft)
    destination.close()
    with place.reader() as client:
        [found] = client.fetch(client.search(), ["INTERNALDATE", "FLAGS"]).values()
    assert b"\\Seen" not in found[b"FLAGS"]
    assert day is None or str(found[b"INTERNALDATE"].date()) == day


def test_missing_folder(place: ImapPlace) -> None:
    """A missing folder is named with what to do, or made where the URL says so, in any script."""
    with pytest.raises(DestinationUnavailableError, match=r"Entwürfe: .*or add \?create=true"):
        opened_at(place, "Entw%C3%BCrfe")
    destination = opened_at(place, "Entw%C3%BCrfe?create=true")
    deliver(destination, LETTER)
    destination.close()
    assert place.messages("Entwürfe") == [LETTER]


def opened_at(place: ImapPlace, more: str) -> ImapDestination:
    destination = place.destination(more)
    try:
        destination.open()
    except DestinationUnavailableError:
        destination.close()
        raise
    return destination


def test_new_folder_of_the_same_name(place: ImapPlace) -> None:
    """Where the folder was made anew, the message is in doubt, or is not there."""
    destination = opened_at(place, "Work?create=true")
    [token] = prepare(destination, LETTER)[1]
    destination.close()
    with place.reader() as client:
        client.delete_folder("Work")
        client.create_folder("Work")
    again = opened_at(place, "Work")
    validity = again.settle(token)
    again.close()
    assert validity in {Settled.UNKNOWN, Settled.NOT_HERE}


def test_wrong_password(place: ImapPlace) -> None:
    """A rejected login is unavailable, and the error has no password."""
    url = f"imap://ann@127.0.0.1:{place.port}/INBOX"
    spool = Spool(str(place.state / "spool"))
    destination = ImapDestination(url, parse_imap_url(url), spool, lambda: "wrong-password")
    with pytest.raises(DestinationUnavailableError, match="rejected the login") as caught:
        destination.open()
    destination.close()
    assert "wrong-password" not in str(caught.value)
    assert "check the output of to_password_command" in str(caught.value)


def test_tls_at_a_port_without_it(place: ImapPlace) -> None:
    """The error of a port without TLS says what to write."""
    url = f"imaps://ann@127.0.0.1:{place.port}/INBOX"
    spool = Spool(str(place.state / "spool"))
    destination = ImapDestination(url, parse_imap_url(url), spool, lambda: PASSWORD)
    with pytest.raises(DestinationUnavailableError, match="use imap://, or the port of imaps://"):
        destination.open()
    destination.close()


def end_session(destination: Any) -> None:
    """End the connection, as a server does with one that is idle."""
    destination._session._client.connection.sock.shutdown(socket.SHUT_RDWR)  # noqa: SLF001


def test_ended_session(place: ImapPlace, port: int) -> None:
    """A session that the server ended while nothing was sent is begun anew."""
    destination = opened(place)
    end_session(destination)
    deliver(destination, LETTER)
    destination.close()
    assert place.messages() == [LETTER]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (b"a\r\nb\r\n", b"a\nb"),
        (b"a\0b", b"a\x80b"),
        (b"a\r\n\r\nb", b"a\n\nb\n\n"),
    ],
)
def test_normal_digest(one: bytes, other: bytes) -> None:
    """Line ends and NUL octets that servers change do not change the digest, in any pieces."""
    digests = set()
    for octets, size in itertools.product((one, other), (1, 2, 100)):
        digest = NormalDigest()
        for start in range(0, len(octets), size):
            digest.feed(octets[start : start + size])
        digests.add(digest.hexdigest())
    assert len(digests) == 1


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("imaps://host/INBOX", "names no user"),
        ("imaps://ann@/INBOX", "or no host"),
        ("imaps://ann@host/INBOX?make=true", "create, cafile"),
        ("imaps://ann@host:port/", "for example imaps://"),
    ],
)
def test_invalid_url(url: str, reason: str) -> None:
    """An invalid URL is rejected with what to write."""
    with pytest.raises(ValueError, match=reason):
        parse_imap_url(url)


def test_user_with_domain() -> None:
    """A user may be a mail address; a folder may have a slash."""
    found = parse_imap_url("imaps://ann@example.com@mail.example.com/Lists/dev")
    assert (found.user, found.host, found.port, found.folder) == (
        "ann@example.com", "mail.example.com", 993, "Lists/dev",
    )  # fmt: skip


def test_certificates_at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of certificates may be named from the home folder."""
    monkeypatch.setenv("HOME", "/home/ann")
    found = parse_imap_url("imaps://ann@mail.example.com/INBOX?cafile=~/ca.pem")
    assert found.cafile == "/home/ann/ca.pem"


CLOSE = b""  # as an answer: the server closes the connection
FIRST_READ = b"+ ".ljust(PIECE - len(b"\r\n"), b"x")  # a line as long as one read


def accept_then(answer: bytes | None) -> Callable[[Any, bytes], None]:
    def append(handler: ImapHandler, tag: bytes) -> None:
        handler.take_literal(len(LETTER))
        if answer is None:
            handler.connection.shutdown(socket.SHUT_RDWR)
        else:
            handler.say(answer.replace(b"TAG", tag))

    return append


@pytest.mark.parametrize(
    ("append", "kind"),
    [
        (lambda handler, tag: handler.say(tag + b" NO [OVERQUOTA] full"), "unavailable"),
        (lambda handler, tag: handler.say(tag + b" NO [TRYCREATE] no folder"), "unavailable"),
        (lambda handler, tag: handler.say(tag + b" NO too large"), "refused"),
        (lambda handler, tag: handler.say(b"* BYE restart"), "unavailable"),
        (lambda handler, tag: handler.say(b"+ go on\r\n" + tag + b" OK too early"), "unavailable"),
        (
            lambda handler, tag: handler.say(FIRST_READ + b"\r\n" + tag + b" OK too early"),
            "unavailable",
        ),
        (accept_then(b"TAG NO virus"), "refused"),
        (accept_then(b"TAG NO [UNAVAILABLE] later"), "unavailable"),
        (accept_then(b"TAG BAD what"), "unavailable"),
        (accept_then(b"* BYE restart"), "doubt"),
        (accept_then(None), "doubt"),
        (accept_then(b"TAG"), "doubt"),
        (accept_then(b"TAG what"), "doubt"),
        (accept_then(b"TAG PREAUTH what"), "doubt"),
        (accept_then(b"TAG  OK  done"), "here"),
        (accept_then(b"TAG ok"), "here"),
        (accept_then(b"* 1 EXISTS\r\nTAG OK [APPENDUID 7 4] done"), "here"),
    ],
)
def test_odd_servers(append: Callable[[Any, bytes], None], kind: str, tmp_path: Path) -> None:
    """Rejections, trouble and doubt differ by what the server says, and when."""
    with odd_server(append) as port:
        destination = opened(ImapPlace(port, tmp_path, "ann"))
        try:
            deliver(destination, LETTER)
            outcome = "here"
        except DeliveryInDoubtError:
            outcome = "doubt"
        except DestinationUnavailableError:
            outcome = "unavailable"
        except MessageRefusedError:
            outcome = "refused"
        finally:
            destination.close()
    assert outcome == kind


@pytest.mark.parametrize(
    ("answer", "general"),
    [(b"TAG NO [OVERQUOTA] full", False), (b"* BYE restart", True), (CLOSE, True)],
)
def test_causes_beside_the_message(answer: bytes, general: bool, tmp_path: Path) -> None:
    """A connection that ends is not the fault of the message."""

    def append(handler: ImapHandler, tag: bytes) -> None:
        if answer == CLOSE:
            handler.connection.shutdown(socket.SHUT_RDWR)
        handler.say(answer.replace(b"TAG", tag))

    with odd_server(append) as port:
        destination = opened(ImapPlace(port, tmp_path, "ann"))
        with pytest.raises(DestinationUnavailableError) as caught:
            deliver(destination, LETTER)
        destination.close()
    assert caught.value.general == general


def test_early_refusal(tmp_path: Path) -> None:
    """A server that rejects a message before its end, and hangs up, is understood."""

    def answer(self: ImapHandler, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        if word != b"APPEND":
            return ImapHandler.answer(self, tag, word, command)
        self.say(tag + b" NO [TOOBIG] larger than 1 MB")
        self.connection.close()
        raise ConnectionAbortedError

    with serving(ImapHandler, answer=answer, capabilities=b" LITERAL+") as (port, _):
        destination = opened(ImapPlace(port, tmp_path, "ann"))
        with pytest.raises(MessageRefusedError, match=r"\[TOOBIG\] larger than 1 MB"):
            deliver(destination, LETTER + b"x" * 10_000_000)
        destination.close()


def test_full_mailbox(tmp_path: Path) -> None:
    """The error of a mailbox that is full says what to do."""
    with odd_server(lambda handler, tag: handler.say(tag + b" NO [OVERQUOTA] full.")) as port:
        destination = opened(ImapPlace(port, tmp_path, "ann"))
        with pytest.raises(DestinationUnavailableError, match=r"INBOX: NO \[OVERQUOTA\] full; del"):
            deliver(destination, LETTER)
        destination.close()


def test_half_a_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If a message cannot be sent to its end, nothing follows that a server could add to it."""
    received: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def append(handler: ImapHandler, _: bytes) -> None:
        handler.say(b"+ go on")
        received.put(handler.rfile.read())

    def chunks(_: SpooledDraft) -> Iterator[bytes]:
        yield LETTER[:10]
        raise OSError("the disk cannot be read")

    with odd_server(append) as port:
        destination = opened(ImapPlace(port, tmp_path, "ann"))
        [draft], _ = prepare(destination, LETTER)
        monkeypatch.setattr(SpooledDraft, "chunks", chunks)
        with pytest.raises(DestinationUnavailableError, match="the disk cannot be read"):
            destination.deliver(draft)
        destination.close()
        assert received.get(timeout=PATIENCE) == LETTER[:10]


def require_unavailable(destination: ImapDestination) -> None:
    """Open a destination, which must fail as one whose server is in trouble."""
    try:
        with pytest.raises(DestinationUnavailableError):
            destination.open()
    finally:
        destination.close()


@pytest.mark.parametrize(
    "status",
    [
        b'* STATUS "INBOX" (MESSAGES 1)',
        b'* STATUS "INBOX" (UIDVALIDITY x UIDNEXT 4)',
        b'* STATUS "INBOX" (UIDVALIDITY 7 UIDNEXT (4))',
        b'* STATUS "INBOX"',
        b'* STATUS "INBOX" ' + b"(" * 20_000,
        b"* STATUS {99999999999999}",
        b"* OK nothing",
    ],
)
def test_unreadable_status(status: bytes, tmp_path: Path) -> None:
    """An answer that cannot be read is trouble of the server, so other accounts are fetched."""

    def answer(self: ImapHandler, tag: bytes, word: bytes, command: bytes) -> bytes | None:
        if word != b"STATUS":
            return ImapHandler.answer(self, tag, word, command)
        self.say(status)
        return b"OK done"

    with serving(ImapHandler, answer=answer) as (port, _):
        require_unavailable(ImapPlace(port, tmp_path, "ann").destination())


NAMED = b"Message-ID: <1@example.com>\r\n" + LETTER


@pytest.fixture
def gmail(tmp_path: Path) -> Iterator[tuple[ImapPlace, type[GmailHandler]]]:
    folders: dict[bytes, dict[int, bytes]] = {b"INBOX": {}, b"[Gmail]/All Mail": {}}
    with serving(GmailHandler, folders=folders) as (port, handler):
        yield ImapPlace(port, tmp_path, "ann"), handler


def test_gmail_message_that_was_moved(gmail: tuple[ImapPlace, type[GmailHandler]]) -> None:
    """At Gmail a message in doubt is found where a reader has moved it, and another is not."""
    place, handler = gmail
    destination = opened(place)
    [token] = deliver(destination, NAMED)
    [other] = prepare(destination, NAMED + b"more\r\n")[1]
    [unnamed] = deliver(destination, LETTER)
    destination.close()
    handler.folders[b"INBOX"].clear()
    assert settle(place, token) is Settled.HERE
    assert settle(place, other) is Settled.NOT_HERE
    assert settle(place, unnamed) is Settled.NOT_HERE


def test_message_that_is_removed_meanwhile(gmail: tuple[ImapPlace, type[GmailHandler]]) -> None:
    """A message that another program removes while it is compared is not there."""
    place, handler = gmail
    destination = opened(place)
    [token] = deliver(destination, NAMED)
    destination.close()
    handler.removed = {4}
    assert settle(place, token) is Settled.NOT_HERE


def test_numbers_of_appended_messages(gmail: tuple[ImapPlace, type[GmailHandler]]) -> None:
    """APPENDUID says where the next message comes; STATUS, which may lag, is not asked again."""
    place, handler = gmail
    destination = opened(place)
    first, second, third = deliver(destination, NAMED, NAMED, LETTER)
    [fourth] = prepare(destination, LETTER)[1]
    destination.close()
    assert [json.loads(token)[:2] for token in (first, second, third, fourth)] == [
        [7, 4], [7, 5], [7, 6], [7, 7],
    ]  # fmt: skip
    assert handler.commands.count(b"STATUS") == 2
    assert handler.commands[-1] == b"LOGOUT"
    handler.folders[b"INBOX"].pop(5)
    handler.folders[b"[Gmail]/All Mail"].pop(6)
    assert settle(place, third) is Settled.HERE
    assert settle(place, fourth) is Settled.NOT_HERE


def test_numbers_that_are_old(
    gmail: tuple[ImapPlace, type[GmailHandler]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was idle is asked again, and begun anew if the server has ended it."""
    place, handler = gmail
    monkeypatch.setattr("restante.fetch.destinations.imap.destination.FRESH", 0)
    destination = place.destination()
    destination.open()
    deliver(destination, LETTER)
    end_session(destination)
    deliver(destination, OTHER)
    destination.close()
    assert list(handler.folders[b"INBOX"].values()) == [LETTER, OTHER]


def test_token_of_an_older_version(gmail: tuple[ImapPlace, type[GmailHandler]]) -> None:
    """A token without a Message-ID, as older versions wrote it, is settled by the folder."""
    place, _ = gmail
    destination = opened(place)
    [token] = deliver(destination, NAMED)
    destination.close()
    assert settle(place, json.dumps(json.loads(token)[:4])) is Settled.HERE


def test_token(tmp_path: Path) -> None:
    """A token is sent as OAuth requires it, and never in an error."""
    sent = []

    class TokenServer(ImapHandler):
        capabilities = b" AUTH=XOAUTH2"

        def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
            if word == b"AUTHENTICATE":
                self.say(b"+ ")
                sent.append(self.rfile.readline().strip())
                return b"NO what is " + sent[-1]
            return super().answer(tag, word, command)

    with serving(TokenServer) as (port, _):
        url = f"imap://ann@127.0.0.1:{port}/INBOX"
        spool = Spool(str(tmp_path))
        made = ImapDestination(url, parse_imap_url(url), spool, None, lambda: "the-token")
        with pytest.raises(DestinationUnavailableError, match="rejected the login") as caught:
            made.open()
        made.close()
    assert base64.b64decode(sent[0]) == b"user=ann\1auth=Bearer the-token\1\1"
    assert "what is ***" in str(caught.value)


def login_error(folder: Path, answer: bytes, password: str, user: str = "ann") -> str:
    """Return the error of a server whose answer to LOGIN is this, and the command."""

    class LoginServer(ImapHandler):
        def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
            if word == b"LOGIN":
                return answer + command
            return super().answer(tag, word, command)

    with serving(LoginServer) as (port, _):
        url = f"imap://{quote(user)}@127.0.0.1:{port}/INBOX"
        made = ImapDestination(url, parse_imap_url(url), Spool(str(folder)), lambda: password)
        with pytest.raises(DestinationUnavailableError) as caught:
            made.open()
        made.close()
    return str(caught.value)


@pytest.mark.parametrize("answer", [b"NO ", b"BAD what is "])
@pytest.mark.parametrize("password", ['hunter"22\\x', "hunter'\"22"])
def test_a_server_that_repeats_login(tmp_path: Path, answer: bytes, password: str) -> None:
    """A password in quotes is in no error, and a name may have any characters of ASCII."""
    error = login_error(tmp_path, answer, password, 'an "n')
    assert 'LOGIN "an \\"n" "***"' in error
    assert "22" not in error.partition(":")[2].partition(":")[2]


def test_login_beyond_ascii(tmp_path: Path) -> None:
    """Without AUTH=PLAIN, a password beyond ASCII is the cause, and not an answer of the server."""
    assert "does not offer AUTH=PLAIN" in login_error(tmp_path, b"OK ", "s\xe9same")


def test_login_that_is_not_possible_now(tmp_path: Path) -> None:
    """A server that cannot check a login is not a reason to check the password."""

    class BusyServer(ImapHandler):
        def answer(self, tag: bytes, word: bytes, command: bytes) -> bytes | None:
            if word in (b"LOGIN", b"AUTHENTICATE"):
                return b"NO [UNAVAILABLE] Temporary authentication failure."
            return super().answer(tag, word, command)

    with serving(BusyServer) as (port, _):
        url = f"imap://ann@127.0.0.1:{port}/INBOX"
        made = ImapDestination(url, parse_imap_url(url), Spool(str(tmp_path)), lambda: PASSWORD)
        with pytest.raises(DestinationUnavailableError, match="Temporary") as caught:
            made.open()
        made.close()
    assert str(caught.value).endswith("; the next run tries again")
