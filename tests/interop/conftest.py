"""The real server, once for all clients, and an account for each test."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TypeAlias

import pytest

from interop.account import Account
from support.process import Served, serving

PASSWORD = "open sesame"  # known-bug/password-spaces: a password may have spaces

OpenAccount: TypeAlias = Callable[..., Account]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("server")) as served:
        yield served
        assert served.stop() == 0
        assert "level=error" not in served.log.read_text()


@pytest.fixture(scope="session")
def open_account(server: Served) -> OpenAccount:
    """A function which makes an account with these messages."""
    numbers = itertools.count(1)

    def open_account(*messages: bytes) -> Account:
        user = f"user{next(numbers)}@example.com"
        return Account(server.port, user, PASSWORD, server.add(user, PASSWORD, *messages))

    return open_account
