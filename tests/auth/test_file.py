"""Logging in by a file of accounts: R1939-4.1."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path

import pytest

from restante.auth import hashes
from restante.auth.api import CredentialsError, UnavailableError
from restante.auth.file import HASHES_AT_ONCE, FileAuthenticator
from restante.protocol.secret import Secret
from restante.protocol.settings import Identity

HASH = hashes.make(Secret(b"secret"))
OTHER = hashes.make(Secret(b"other"))


def made(file: Path, *lines: str) -> tuple[FileAuthenticator, list[str]]:
    file.write_text("".join(f"{line}\n" for line in lines))
    warnings: list[str] = []
    return FileAuthenticator(file, warnings.append), warnings


def test_the_right_password_proves_who_it_is(tmp_path: Path) -> None:
    accounts, warnings = made(tmp_path / "users", f"ann:{HASH}")
    assert asyncio.run(accounts.verify("ann", Secret(b"secret"))) == Identity("ann")
    assert warnings == []


@pytest.mark.parametrize(
    ("user", "password"),
    [("ann", b"wrong"), ("nobody", b"secret"), ("ann", b""), ("Ann", b"secret"), ("", b"secret")],
)
def test_all_else_is_refused_alike(tmp_path: Path, user: str, password: bytes) -> None:
    """D2, R3206-6."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}")
    with pytest.raises(CredentialsError) as caught:
        asyncio.run(accounts.verify(user, Secret(password)))
    assert str(caught.value) == "wrong name or password"


def test_an_unknown_name_costs_one_hash_as_a_known_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D2."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}", f"bob:{OTHER}")
    checked: list[str] = []

    def verify(stored: str, password: Secret) -> bool:
        checked.append(stored)
        return True  # not even a decoy that matches lets anybody in

    monkeypatch.setattr(hashes, "verify", verify)
    for user in ("nobody", "nobody", "someone"):
        with pytest.raises(CredentialsError):
            asyncio.run(accounts.verify(user, Secret(b"x")))
    assert len(checked) == 3
    assert set(checked) <= {HASH, OTHER}
    assert checked[0] == checked[1]


def test_with_no_accounts_an_unknown_name_still_costs_a_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D2."""
    accounts, _ = made(tmp_path / "users")
    checked: list[str] = []

    def verify(stored: str, password: Secret) -> bool:
        checked.append(stored)
        return False

    monkeypatch.setattr(hashes, "verify", verify)
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("nobody", Secret(b"x")))
    assert checked[0].startswith("$argon2id$")


def test_an_account_with_a_bad_line_is_as_good_as_unknown(tmp_path: Path) -> None:
    accounts, warnings = made(tmp_path / "users", "ann:{PLAIN}secret")
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))
    assert len(warnings) == 1


def test_a_changed_file_holds_at_once(tmp_path: Path) -> None:
    file = tmp_path / "users"
    accounts, _ = made(file, f"ann:{HASH}")
    asyncio.run(accounts.verify("ann", Secret(b"secret")))
    new = tmp_path / "new"
    new.write_text(f"ann:{OTHER}\n")
    os.rename(new, file)
    asyncio.run(accounts.verify("ann", Secret(b"other")))
    with pytest.raises(CredentialsError):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))


def test_a_missing_file_proves_nothing_about_a_password(tmp_path: Path) -> None:
    file = tmp_path / "users"
    accounts, _ = made(file, f"ann:{HASH}")
    file.unlink()
    with pytest.raises(UnavailableError, match="No such file"):
        asyncio.run(accounts.verify("ann", Secret(b"secret")))


def test_hashing_leaves_the_event_loop_free_and_runs_few_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X18."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}")
    at_once: list[int] = []
    running = 0
    lock = threading.Lock()
    gate = threading.Event()

    def verify(stored: str, password: Secret) -> bool:
        nonlocal running
        with lock:
            running += 1
            at_once.append(running)
        assert gate.wait(10)
        with lock:
            running -= 1
        return True

    monkeypatch.setattr(hashes, "verify", verify)

    async def log_in_often() -> None:
        logins = [asyncio.create_task(accounts.verify("ann", Secret(b"secret"))) for _ in range(8)]
        asyncio.get_running_loop().call_later(0.1, gate.set)  # only a free loop gets to this
        await asyncio.gather(*logins)

    asyncio.run(log_in_often())
    assert len(at_once) == 8
    assert max(at_once) == HASHES_AT_ONCE == 2


NFC = "\N{LATIN CAPITAL LETTER A WITH DIAERESIS}".encode()
NFD = "A\N{COMBINING DIAERESIS}".encode()


@pytest.mark.parametrize(
    ("stored", "said", "right"),
    [
        (NFC, NFC, True),
        (NFC, NFD, True),
        (NFC, "\N{SOFT HYPHEN}Ä".encode(), True),
        (NFD, NFD, True),  # an old hash of what some client sends keeps working
        (NFD, NFC, False),
        ("אבג123".encode(), "אבג123".encode(), True),  # of both directions: as it is
        (NFC, b"A", False),
        ("\N{SOFT HYPHEN}".encode(), b"", False),
    ],
)
def test_a_password_is_right_as_it_was_sent_or_prepared(
    tmp_path: Path, stored: bytes, said: bytes, *, right: bool
) -> None:
    """R6856-2.6."""
    accounts, _ = made(tmp_path / "users", f"ann:{hashes.make(Secret(stored))}")
    verify = accounts.verify("ann", Secret(said))
    if right:
        assert asyncio.run(verify) == Identity("ann")
    else:
        with pytest.raises(CredentialsError):
            asyncio.run(verify)


@pytest.mark.parametrize("user", ["ann", "nobody"])
def test_a_second_form_is_tried_for_known_and_unknown_names_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    """D2, R6856-2.6: it is even where the first was right, be it by a decoy."""
    accounts, _ = made(tmp_path / "users", f"ann:{HASH}")
    tried: list[bytes] = []

    def verify(stored: str, password: Secret) -> bool:
        tried.append(password.reveal())
        return True

    monkeypatch.setattr(hashes, "verify", verify)
    with contextlib.suppress(CredentialsError):
        asyncio.run(accounts.verify(user, Secret(NFD)))
    assert tried == [NFD, NFC]


def test_a_form_is_remembered_as_it_was_sent(tmp_path: Path) -> None:
    """R6856-2.6: what would be wrong when it is hashed is not right when it is remembered."""
    file = tmp_path / "users"
    file.write_text(f"ann:{hashes.make(Secret(NFD))}\n")
    accounts = FileAuthenticator(file, pytest.fail, remember=300)
    asyncio.run(accounts.verify("ann", Secret(NFD)))
    assert accounts.recall("ann", Secret(NFD)) == Identity("ann")
    assert accounts.recall("ann", Secret(NFC)) is None
