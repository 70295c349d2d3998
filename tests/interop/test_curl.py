"""curl: every command that it can say."""

from __future__ import annotations

from pathlib import Path

import pytest

from interop.account import Account
from interop.conftest import OpenAccount
from interop.fetchers import curl_command, run
from interop.odd_messages import HEADER, MESSAGES, on_the_wire

LETTERS = [HEADER + b"letter %d\n.\n" % number for number in range(1, 4)]


@pytest.fixture
def account(open_account: OpenAccount) -> Account:
    return open_account(*LETTERS)


def curl(account: Account, home: Path, path: str, *options: str) -> bytes:
    url = f"pop3://127.0.0.1:{account.port}/{path}"
    return run([*curl_command(account, home), *options, url], home)


def test_curl_list_sizes(open_account: OpenAccount, tmp_path: Path) -> None:
    """rfc1939-s5/list, rfc1939-s11/size, implied/line-ends: curl lists each message with the octets
    that it gets.
    """
    account = open_account(*MESSAGES.values())
    sizes = [len(on_the_wire(message)) for message in MESSAGES.values()]
    lines = [f"{number} {size}" for number, size in enumerate(sizes, 1)]
    assert curl(account, tmp_path, "").decode().splitlines() == lines


def test_curl_unique_ids(account: Account, tmp_path: Path) -> None:
    """curl gets unique-ids that do not change when mail is seen."""
    before = curl(account, tmp_path, "", "--request", "UIDL")
    assert len(set(before.split()[1::2])) == len(LETTERS)
    account.mark_all_as_seen()
    assert curl(account, tmp_path, "", "--request", "UIDL") == before


def test_curl_gets_a_header_by_top(account: Account, tmp_path: Path) -> None:
    """curl gets a header by TOP."""
    assert curl(account, tmp_path, "", "--request", "TOP 2 0") == on_the_wire(HEADER)


def test_curl_gets_a_message_with_dots_as_it_is(account: Account, tmp_path: Path) -> None:
    """curl gets a message with dots at line starts unchanged."""
    assert curl(account, tmp_path, "3") == on_the_wire(LETTERS[2])


def test_curl_is_told_the_capabilities(account: Account, tmp_path: Path) -> None:
    """curl gets the capabilities by CAPA."""
    lines = curl(account, tmp_path, "", "--request", "CAPA").decode().splitlines()
    assert {"TOP", "UIDL", "RESP-CODES", "PIPELINING"} <= set(lines)


def test_curl_with_a_wrong_password_is_refused(account: Account, tmp_path: Path) -> None:
    """curl with a wrong password reports a rejected login."""
    wrong = Account(account.port, account.user, "guessed", account.maildir)
    login_denied = 67
    command = [*curl_command(wrong, tmp_path), f"pop3://127.0.0.1:{account.port}/"]
    assert run(command, tmp_path, ok=(login_denied,)) == b""
