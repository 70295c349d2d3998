import contextlib
import poplib
from collections.abc import Iterator

import pytest

from restante import testing


def fetch(host: str, port: int) -> list[bytes]:
    """The program under test: fetches all mail, and deletes what it has."""
    found = []
    with contextlib.closing(poplib.POP3(host, port, timeout=20)) as client:
        client.user("ann")
        client.pass_("secret")
        for number in range(1, client.stat()[0] + 1):
            found.append(b"\n".join(client.retr(number)[1]))
            client.dele(number)
        client.quit()
    return found


@pytest.fixture
def server() -> Iterator[testing.MemoryServer]:
    with testing.serving() as server:
        yield server


def test_all_mail_is_fetched_and_deleted(server: testing.MemoryServer) -> None:
    server.add("ann", "secret", b"Subject: one\n\n.\n", b"Subject: two\n\nhello\n")
    assert fetch(server.host, server.port) == [b"Subject: one\n\n.", b"Subject: two\n\nhello"]
    assert server.messages("ann") == []


def test_a_wrong_password_is_an_error(server: testing.MemoryServer) -> None:
    server.add("ann", "another")
    with pytest.raises(poplib.error_proto, match="AUTH"):
        fetch(server.host, server.port)
