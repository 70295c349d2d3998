import contextlib
import poplib
from collections.abc import Callable

import pytest

from restante.testing import MemoryAccount


def fetch(account: MemoryAccount, keep: Callable[[bytes], object]) -> None:
    """The program under test: keeps each message, and only then deletes it."""
    with contextlib.closing(poplib.POP3(account.host, account.port, timeout=20)) as client:
        client.user(account.user)
        client.pass_(account.password)
        for number in range(1, client.stat()[0] + 1):
            keep(b"\n".join(client.retr(number)[1]))
            client.dele(number)
        client.quit()


def test_all_mail_is_fetched_and_deleted(pop3_account: MemoryAccount) -> None:
    pop3_account.deliver("Subject: one\n\n.\n")
    pop3_account.deliver("Subject: two\n\nhello\n")
    kept: list[bytes] = []
    fetch(pop3_account, kept.append)
    assert kept == [b"Subject: one\n\n.", b"Subject: two\n\nhello"]
    assert pop3_account.messages == []
    assert [message["subject"] for message in pop3_account.removed] == ["one", "two"]
    assert pop3_account.sessions[-1].commands[:4] == ["USER", "PASS", "STAT", "RETR 1"]


def test_a_wrong_password_is_an_error(pop3_account: MemoryAccount) -> None:
    pop3_account.password = "wrong"
    with pytest.raises(poplib.error_proto, match="AUTH"):
        fetch(pop3_account, print)


@pytest.mark.pop3_faults("retr-cut", "retr-reset", "retr-refused", "dele-closed", "quit-closed")
def test_nothing_is_lost(pop3_account: MemoryAccount) -> None:
    pop3_account.deliver("Subject: one\n\nhello\n")
    kept: list[bytes] = []
    with contextlib.suppress(poplib.error_proto, OSError):
        fetch(pop3_account, kept.append)
    assert pop3_account.find_lost(kept) == []
