import contextlib
import poplib
from collections.abc import Callable

import pytest

from restante.misbehave import find
from restante.misbehave.driver import FaultyServer, serving

PROBLEMS = (poplib.error_proto, OSError)


def fetch(server: FaultyServer, keep: Callable[[bytes], object]) -> None:
    """The program under test: keeps each message, and only then deletes it."""
    with contextlib.closing(poplib.POP3(server.host, server.port, timeout=1)) as client:
        client.user(server.user)
        client.pass_(server.password)
        for number in range(1, client.stat()[0] + 1):
            keep(b"\r\n".join([*client.retr(number)[1], b""]))
            client.dele(number)
        client.quit()


def test_a_message_that_is_cut() -> None:
    with serving(find("retr-cut")) as server:
        with pytest.raises(PROBLEMS):
            fetch(server, print)
        assert server.removed == []
        assert "DELE 1" not in server.commands


@pytest.mark.parametrize("name", ["retr-cut", "retr-refused", "dele-closed", "quit-closed"])
def test_nothing_is_lost(name: str) -> None:
    kept: list[bytes] = []
    with serving(find(name)) as server, contextlib.suppress(*PROBLEMS):
        fetch(server, kept.append)
    assert set(server.removed) <= set(kept)
