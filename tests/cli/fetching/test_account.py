"""The account that `pop3 fetch` connects to."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import trustme

from restante import testing
from restante.cli.fetching.account import FetchAccount
from restante.cli.options.account import fill_options, parse_account
from restante.cli.options.fetch_settings import FetchSettings
from restante.fetch.planner import Policy
from restante.misbehave.driver import FaultyServer
from restante.oauth.sign_in import SignIn
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet
from restante.oauth.token_store import TokenStore
from restante.protocol.errors import RemoteError
from restante.protocol.secret import Secret
from support.command import Ran, pop3
from support.faulty_server import HELLO, PASSWORD, faulty_server
from support.gmail_api import Gmail, gmail_api


def account_at(server: FaultyServer, url: str = "", cacert: Path | None = None) -> FetchAccount:
    params: dict[str, Any] = {}
    fill_options(params)
    params["password"], params["cacert"] = PASSWORD, cacert
    with click.Context(click.Command("fetch")):
        args = parse_account(url or server.url, params)
    return FetchAccount("ann", args, (), FetchSettings(), Policy(), Path("fetch.db"))


def ignore(_id: str, _text: str) -> None:
    pass


def test_time_is_over() -> None:
    """The time of a run is that of all its sessions: none begins when it is over."""
    with faulty_server() as server:
        account = account_at(server)
        account.connect(ignore, until=time.monotonic() + 60).close()
        with pytest.raises(RemoteError) as failed:
            account.connect(ignore, until=time.monotonic() - 1)
    assert failed.value.id == "out-of-time"


def test_a_run_has_an_end() -> None:
    """Without --max-time, a server that sends octet by octet ends a run after a day."""
    with faulty_server() as server:
        account = account_at(server)
    assert account.seconds == 86_400
    account.args.seconds = 5
    assert account.seconds == 5


def test_large_message() -> None:
    """A message of over 256 MiB by LIST is fetched: the limit of the library does not apply."""
    with faulty_server("LIST: with 1 3000000000") as server:
        with account_at(server).connect(ignore) as drop:
            assert b"".join(drop.retrieve(1)) == HELLO


def test_renewed_authorities(tmp_path: Path) -> None:
    """A session of a long run reads a changed file of --cacert again."""
    file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(file)
    with faulty_server(tls=True) as server:
        account = account_at(server, f"pop3s://ann@localhost:{server.tls_port}", file)
        with pytest.raises(RemoteError) as failed:
            account.connect(ignore)
        assert failed.value.id.startswith("tls-")
        file.write_bytes(Path(str(server.authority)).read_bytes())
        account.connect(ignore).close()
        file.write_text("")
        with pytest.raises(click.UsageError, match="cacert cannot be read"):
            account.connect(ignore)


@pytest.fixture
def gmail(tmp_path: Path) -> Iterator[Gmail]:
    (tmp_path / "gmail").mkdir()
    with gmail_api(tmp_path / "gmail") as running:
        yield running


def fetch_into(gmail: Gmail, folder: Path, provider: str = "", host: str = "") -> Ran:
    """Fetch one message into Gmail, with a sign-in at a provider, or without any."""
    state = folder / "state"
    if provider:
        token, refresh = Secret(gmail.token.encode()), Secret(b"refresh")
        tokens = TokenSet(token, refresh, time.time() + 3600, "mail")
        endpoint = TokenEndpoint("https://localhost/token", "me")
        sign_in = SignIn(provider, "https://localhost", endpoint, tokens, "device", "mail")
        store = TokenStore(state / "restante" / "tokens", keyring=False)
        store.save("ann@gmail.com", sign_in, host, time.time())
    environment = {"XDG_STATE_HOME": str(state), "HOME": str(folder)}
    with testing.serving() as server:
        server.add("bob", "secret", b"Message-ID: <1@x>\n\nHello.\n")
        source = f"pop3://bob@{server.host}:{server.port}"
        to = f"gmail:ann@gmail.com?api={gmail.url}"
        return pop3("fetch", source, "--to", to, password="secret", stdin=b"", **environment)


def test_gmail_with_tokens(gmail: Gmail, tmp_path: Path) -> None:
    """The tokens of a sign-in at Google import into Gmail."""
    ran = fetch_into(gmail, tmp_path, "google", "pop.gmail.com")
    assert (ran.code, "1 new" in ran.out) == (0, True), ran
    assert gmail.octets() == [b"Message-ID: <1@x>\r\n\r\nHello.\r\n"]


def test_gmail_without_sign_in(gmail: Gmail, tmp_path: Path) -> None:
    """Without a sign-in the error says what to run, and which scope is enough."""
    ran = fetch_into(gmail, tmp_path)
    assert ran.code == 12, ran
    assert "pop3 login ann@gmail.com" in ran.out + ran.err
    assert "https://mail.google.com/" in ran.out + ran.err
    assert gmail.requests == []


def test_gmail_gets_no_other_tokens(gmail: Gmail, tmp_path: Path) -> None:
    """Google gets no tokens of another provider, though they are kept by the same address."""
    ran = fetch_into(gmail, tmp_path, "microsoft", "outlook.office365.com")
    assert ran.code == 12, ran
    assert "are for outlook.office365.com" in ran.out + ran.err
    assert gmail.requests == []
