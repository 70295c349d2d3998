"""Unexpected errors: the peer gets a number, and the log the details.
known-bug/exception-text.
"""

from __future__ import annotations

import asyncio
import ctypes
import io
import re
import sys
import threading
from collections.abc import Iterator

import pytest

from restante.auth.interfaces import UnavailableError
from restante.protocol.errors import Pop3Error
from restante.protocol.secret import Secret
from restante.protocol.server import commands
from restante.protocol.server.session import Session, State
from restante.protocol.server.settings import AuthOffer
from restante.server.limits.limit_log import LimitLog
from restante.server.log import event_log
from restante.server.system import process as system
from restante.storage.errors import (
    LostError,
    MessageGoneError,
    PartialRemovalError,
    StoreError,
    UnsyncedRemovalError,
)
from server.doubles import Chunks, ScriptedStore
from support.live import Client, Live, serving

LETTER = b"Subject: a\n\nhello\n"
INCIDENT = re.compile(rb"-ERR \[SYS/TEMP\] Internal error \(incident ([0-9a-f]{8})\)\.\r\n")
LOST = b"This session no longer holds the maildrop, and removed nothing; log in again."
DETAIL = RuntimeError("a secret detail")


@pytest.fixture
def store() -> ScriptedStore:
    return ScriptedStore()


@pytest.fixture
def live(store: ScriptedStore) -> Iterator[Live]:
    with serving(store=store) as live:
        live.add("ann", "hunter2", LETTER, LETTER)
        yield live


def is_told_and_logged(live: Live, said: bytes) -> None:
    found = INCIDENT.fullmatch(said)
    assert found, said
    live.wait_for_log(f"incident={found[1].decode()}", "a secret detail")
    assert "hunter2" not in live.log.getvalue()


def goes_on(client: Client) -> None:
    assert client.say("NOOP") == b"+OK\r\n"


def test_accounts_that_break(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unexpected error of the accounts is an incident, and the session goes on."""

    async def verify(user: str, password: Secret) -> None:
        raise DETAIL

    monkeypatch.setattr(live.passwords, "verify", verify)
    with live.connect() as client:
        client.read_line()
        client.say("USER ann")
        is_told_and_logged(live, client.say("PASS hunter2"))
        assert client.say("CAPA").startswith(b"+OK")


def test_accounts_that_return_no_identity(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log says what `verify` must return, and not what it returned."""

    async def verify(user: str, password: Secret) -> str:
        return password.reveal().decode()

    monkeypatch.setattr(live.passwords, "verify", verify)
    with live.connect() as client:
        client.read_line()
        client.say("USER ann")
        assert INCIDENT.fullmatch(client.say("PASS hunter2"))
        live.wait_for_log("`verify` returned str, not Identity")
    assert "hunter2" not in live.log.getvalue()


def test_a_store_that_breaks_at_opening(live: Live, store: ScriptedStore) -> None:
    """rfc1939-s4/failed-open."""
    store.acquire_error = DETAIL
    with live.connect() as client:
        client.read_line()
        client.say("USER ann")
        is_told_and_logged(live, client.say("PASS hunter2"))


@pytest.mark.parametrize("command", ["RETR 1", "TOP 1 1"])
def test_a_store_that_breaks_at_reading(live: Live, store: ScriptedStore, command: str) -> None:
    """An unexpected error while reading is an incident, and the session goes on."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        store.read_error = DETAIL
        is_told_and_logged(live, client.say(command))
        goes_on(client)


def test_a_store_that_breaks_at_removing(live: Live, store: ScriptedStore) -> None:
    """rfc1939-s6/quit-removes-marked, rfc1939-s6/quit-unlocks."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        client.say("DELE 1")
        store.remove_error = DETAIL
        is_told_and_logged(live, client.say("QUIT"))
        assert client.read_all() == b""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        assert client.say("STAT") == b"+OK 2 42\r\n"


class Outcome(BaseException):
    """A BaseException alone, as the error of `pytest.fail` in a store of a test."""


@pytest.mark.parametrize("place", ["verify", "acquire", "read", "remove"])
def test_base_exception(
    live: Live, store: ScriptedStore, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """A BaseException is an incident, and leaves no lock."""
    error = Outcome("a secret detail")

    async def verify(user: str, password: Secret) -> None:
        raise error

    with monkeypatch.context() as patch, live.connect() as client:
        if place == "verify":
            patch.setattr(live.passwords, "verify", verify)
        elif place == "acquire":
            store.acquire_error = error
        if place in {"verify", "acquire"}:
            client.read_line()
            client.send(b"USER ann\r\nPASS hunter2\r\n")
        else:
            client.log_in("ann", "hunter2")
            store.read_error = store.remove_error = error
            client.send(b"RETR 1\r\nQUIT\r\n" if place == "read" else b"DELE 1\r\nQUIT\r\n")
        assert b"secret" not in client.read_all()
        live.wait_for_log("event=incident", "a secret detail")
    store.acquire_error = store.read_error = store.remove_error = None
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        assert client.say("STAT") == b"+OK 2 42\r\n"


@pytest.mark.parametrize("error", [DETAIL, StoreError("the disk is gone")])
def test_body_fails_at_first_octet(live: Live, store: ScriptedStore, error: Exception) -> None:
    """known-bug/early-ok: a body that fails before its first octet is a -ERR, and the session goes
    on.
    """
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        store.body = body = Chunks([], error)
        assert client.say("RETR 1").startswith(b"-ERR [SYS/TEMP]")
        assert body.closed
        goes_on(client)


@pytest.mark.parametrize("error", [DETAIL, StoreError("the disk is gone")])
def test_broken_body_has_no_dot(live: Live, store: ScriptedStore, error: Exception) -> None:
    """A body that breaks half way never gets its terminator."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        store.body = body = Chunks([b"Subject: a\n\n", b"half of i"], error)
        assert client.say("RETR 1").startswith(b"+OK")
        try:
            rest = client.read_all()
        except ConnectionResetError:
            rest = b""
        assert b".\r\n" not in rest
        assert body.closed
    live.wait_for_log(str(error))


def test_a_core_that_breaks_ends_its_session_only(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unexpected error in a command ends its session, which removes nothing."""

    def noop(_: Session) -> bytes:
        raise DETAIL

    row = commands.ALLOWED[State.TRANSACTION][b"NOOP"]
    broken = commands.Command(row.verb, row.states, row.argument, noop, row.source)
    monkeypatch.setitem(commands.ALLOWED[State.TRANSACTION], b"NOOP", broken)
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        client.say("DELE 1")
        is_told_and_logged(live, client.say("NOOP"))
        assert client.read_all() == b""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        assert client.say("STAT") == b"+OK 2 42\r\n"
    live.wait_for_log('end="internal error"')


@pytest.mark.parametrize(
    ("error", "reply"),
    [
        (
            StoreError("EIO"),
            b"-ERR [SYS/TEMP] The mail store does not answer now, try again later.",
        ),
        (StoreError("bad", permanent=True), b"-ERR [SYS/PERM] The mail store needs its admin"),
        (MessageGoneError("gone"), b"-ERR Message is gone: another program took it away."),
        (LostError("the lease ended"), b"-ERR [SYS/TEMP] " + LOST),
    ],
)
def test_a_foreseen_error_says_whether_waiting_helps(
    live: Live, store: ScriptedStore, error: Pop3Error, reply: bytes
) -> None:
    """rfc3206-s4/sys, policy/moved-files."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        store.read_error = error
        for command in ("RETR 1", "TOP 1 0"):
            assert client.say(command).startswith(reply)
        goes_on(client)


def test_an_update_that_fails_in_part_says_so(live: Live, store: ScriptedStore) -> None:
    """rfc1939-s6/quit-removes-marked, rfc1939-s6/quit-unlocks, known-bug/delete-early."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        client.say("DELE 1")
        client.say("DELE 2")
        store.remove_error = PartialRemovalError("in part", [1])
        assert client.say("QUIT") == b"-ERR [SYS/TEMP] Some deleted messages not removed.\r\n"
        assert client.read_all() == b""
    live.wait_for_log('end="update failed"', "deleted=1")


def test_unsynced_removal_is_logged(live: Live, store: ScriptedStore) -> None:
    """A removal without a sync has its event, and the client reads that mail may come back."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        client.say("DELE 1")
        client.say("DELE 2")
        store.remove_error = UnsyncedRemovalError("a removal may not last", [1])
        reply = b"-ERR [SYS/TEMP] The disk failed: removed messages may come back.\r\n"
        assert client.say("QUIT") == reply
    live.wait_for_log("event=message_removed user=ann by=pop3 ", " durable=no")
    assert live.log.getvalue().count("event=message_removed") == 1


def test_storage_error_is_logged(live: Live, store: ScriptedStore) -> None:
    """policy/moved-files: a storage error is logged with user and file, which the client does not
    see.
    """
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        store.read_error = StoreError("a message cannot be opened", path="/srv/mail/ann/cur/1.a")
        assert b"/srv" not in client.say("RETR 1")
    live.wait_for_log(
        'event=trouble address=127.0.0.1 user=ann error="a message cannot be opened:'
        ' /srv/mail/ann/cur/1.a" code=SYS/TEMP'
    )


@pytest.mark.parametrize("commands", [["USER bob", "PASS x"], ["AUTH PLAIN AGJvYgB4"]])
def test_login_error_names_user(commands: list[str]) -> None:
    """An error during a login is logged with the name that the client gave."""

    class Away:
        async def verify(self, user: str, password: Secret) -> None:
            raise UnavailableError("no database")

    offer = AuthOffer(mechanisms=frozenset({"PLAIN"}))
    with serving(authenticator=Away(), offer=lambda: offer) as live:
        with live.connect() as client:
            client.read_line()
            said = [client.say(command) for command in commands]
        assert said[-1].startswith(b"-ERR [SYS/TEMP] Logins cannot be checked now")
        live.wait_for_log('event=trouble address=127.0.0.1 user=bob error="no database"')


def test_what_cannot_be_raised_is_an_event(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception in a C library's callback, or in a thread, is a line of the log."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    lines = io.StringIO()
    log, writer = event_log.configure_log("text", lines)

    async def report() -> None:
        system.report_incidents(log, LimitLog(log))

    def fail(*_: object) -> int:
        raise DETAIL

    asyncio.run(report())
    ctypes.CFUNCTYPE(ctypes.c_int)(fail)()
    thread = threading.Thread(target=fail, name="one")
    thread.start()
    thread.join()
    writer.close()
    assert lines.getvalue().count("event=incident") == 2
    assert "a thread ended: one" in lines.getvalue()
    assert capfd.readouterr().err == ""


def test_session_that_lost_its_maildrop(live: Live, store: ScriptedStore) -> None:
    """QUIT of a session whose lock has ended removes nothing, and the reply says so."""
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        client.say("DELE 1")
        store.remove_error = LostError("the lease ended")
        assert client.say("QUIT") == b"-ERR [SYS/TEMP] " + LOST + b"\r\n"
        assert client.read_all() == b""
    live.wait_for_log("the lease ended", "update failed")
    store.remove_error = None
    with live.connect() as client:
        client.log_in("ann", "hunter2")
        assert client.say("STAT") == b"+OK 2 42\r\n"
