"""Many wrong passwords at once, and those whose password is right."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from restante.auth.file.accounts import FileAuthenticator
from restante.auth.passwords import hashing as password_hashing
from restante.protocol.secret import Secret
from support.live import PATIENCE, Client, Live, serving, wait_until

GUESSERS = 20


class Hashing:
    """The slow part of a login: the test says how long, and the calls at a time are counted."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.under_way = 0
        self.most = 0
        self._lock = threading.Lock()

    def verify(self, stored: str, password: Secret) -> bool:
        if password.reveal() == b"right":
            return hashes_verify(stored, password)
        with self._lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        self.go_on.wait(PATIENCE)
        with self._lock:
            self.under_way -= 1
        return False


hashes_verify = password_hashing.verify


@pytest.fixture
def hashing(monkeypatch: pytest.MonkeyPatch) -> Hashing:
    made = Hashing()
    monkeypatch.setattr(password_hashing, "verify", made.verify)
    return made


@pytest.fixture
def live(hashing: Hashing, tmp_path: Path) -> Iterator[Live]:
    users = tmp_path / "users"
    stored = password_hashing.hash_password(Secret(b"right"))
    users.touch(0o600)
    users.write_text(f"ann:{stored}\nbob:{stored}\n")
    accounts = FileAuthenticator(users, pytest.fail, remember=300)
    with serving(authenticator=accounts) as live:
        try:
            yield live
        finally:
            hashing.go_on.set()


@contextlib.contextmanager
def guessing(live: Live) -> Iterator[list[Client]]:
    """Let as many guess as there are threads for it, and more."""
    with contextlib.ExitStack() as stack:
        guessers = [stack.enter_context(live.connect()) for _ in range(GUESSERS)]
        for client in guessers:
            client.read_line()
            client.say("USER ann")
            client.send(b"PASS wrong\r\n")
        yield guessers


def test_known_clients_do_not_wait(live: Live, hashing: Hashing) -> None:
    """A client that logged in before does not wait for guessers."""
    with live.connect() as client:
        client.log_in("ann", "right")
        client.say("QUIT")
    with guessing(live):
        wait_until(lambda: hashing.under_way == password_hashing.AT_ONCE)
        with live.connect() as client:
            client.log_in("ann", "right")
            assert not hashing.go_on.is_set()


def test_newcomer_waits_once(live: Live, hashing: Hashing) -> None:
    """A client that logs in for the first time waits for the queue only."""
    with guessing(live) as guessers, live.connect() as client:
        wait_until(lambda: hashing.under_way == password_hashing.AT_ONCE)
        client.read_line()
        client.say("USER bob")
        client.send(b"PASS right\r\n")
        hashing.go_on.set()
        assert client.read_line() == b"+OK Logged in.\r\n"
        for guesser in guessers:
            assert guesser.read_line().startswith(b"-ERR [AUTH]")
    assert hashing.most == password_hashing.AT_ONCE
