"""The account that `pop3 fetch` connects to."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click
import pytest

from restante.cli.fetching.account import FetchAccount
from restante.cli.options.account import fill_options, parse_account
from restante.cli.options.fetch_settings import FetchSettings
from restante.fetch.planner import Policy
from restante.protocol.errors import RemoteError
from support.broken_server import HELLO, Broken, broken


def account_at(server: Broken) -> FetchAccount:
    params: dict[str, Any] = {}
    fill_options(params)
    params["password"] = "pw"
    with click.Context(click.Command("fetch")):
        args = parse_account(f"pop3://ann@127.0.0.1:{server.port}", params)
    return FetchAccount("ann", args, (), FetchSettings(), Policy(), Path("fetch.db"))


def ignore(_id: str, _text: str) -> None:
    pass


def test_time_is_over() -> None:
    """The time of a run is that of all its sessions: none begins when it is over."""
    with broken() as server:
        account = account_at(server)
        account.connect(ignore, until=time.monotonic() + 60).close()
        with pytest.raises(RemoteError) as failed:
            account.connect(ignore, until=time.monotonic() - 1)
    assert failed.value.id in ("tcp-timeout", "out-of-time")


def test_large_message() -> None:
    """A message of over 256 MiB by LIST is fetched: the limit of the library does not apply."""
    listing = b"+OK\r\n1 3000000000\r\n2 20\r\n.\r\n"
    with broken({"LIST": listing}) as server, account_at(server).connect(ignore) as drop:
        assert b"".join(drop.retrieve(1)) == HELLO
