"""Every command logs in with the tokens that are stored for the account."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import click
import pytest

from restante.cli.options.account_file import find_entry
from restante.oauth.token_store import TokenStore
from restante.protocol.secret import Secret
from support.issuer import Issuer, aadsts
from support.process import POP3
from support.thread import PATIENCE
from support.token_home import NAME, TokenHome
from support.token_server import TokenServer


@pytest.fixture
def home(tmp_path: Path, token_server: TokenServer, issuer: Issuer) -> TokenHome:
    issuer.requests.clear()
    issuer.scripted.clear()
    return TokenHome(tmp_path, token_server, issuer)


@pytest.mark.parametrize(
    ("command", "words", "expected"),
    [
        ("check", ["-v"], "OAUTHBEARER as ann"),
        ("stat", ["-v"], "0 messages"),
        ("ls", ["-v"], "The mailbox is empty."),
        ("uidl", ["-v"], ""),
        ("raw", ["NOOP", "-v"], "+OK"),
        ("monitor", ["-v"], "POP3 OK"),
        ("shell", ["-v"], ""),
    ],
)
def test_commands(home: TokenHome, command: str, words: list[str], expected: str) -> None:
    """Each command logs in with the stored token, refreshed where it is due. A trace has no token.

    The token that is due is used up: the issuer gives another one.
    """
    home.sign_in(life=60)
    ran = home.pop3(command, home.server.url("ann"), *words)
    assert (ran.code, expected in ran.out) == (0, True), ran
    assert home.issuer.count("/token") == 1
    home.pop3(command, home.server.url("ann"), *words)
    assert home.issuer.count("/token") == 1


def test_renewed(home: TokenHome) -> None:
    """A token that the server refuses is refreshed once, and the report says so."""
    home.sign_in(access=Secret(b"stale-token-1"))
    ran = home.pop3("check", home.server.url("ann"))
    assert ran.code == 0
    assert "a new one was requested" in ran.out
    home.sign_in(access=Secret(b"stale-token-2"))
    assert home.pop3("stat", home.server.url("ann")).code == 0


def test_refused(home: TokenHome) -> None:
    """A token that is refused after the refresh has a verdict by its claims, in every command."""
    home.sign_in("shared@localhost")  # of ann
    ran = home.pop3("check", home.server.url("shared"), "--json")
    assert ran.code == 7
    assert "token-user" in [found["id"] for found in json.loads(ran.out)["findings"]]
    ran = home.pop3("ls", home.server.url("shared"))
    assert (ran.code, "FAIL token-user" in ran.err) == (7, True)
    assert "the token is of ann, and the login is as shared" in ran.err


def test_ended(home: TokenHome) -> None:
    """A sign-in that the issuer has ended is reported with the issuer's words and id."""
    home.sign_in(life=60)
    home.issuer.scripted.append(aadsts(50173, words="The grant was revoked."))
    for command in ("check", "ls", "check"):
        ran = home.pop3(command, home.server.url("ann"))
        said = " ".join((ran.out + ran.err).split())
        assert (ran.code, "FAIL oauth-revoked" in said) == (7, True)
        assert "AADSTS50173: The grant was revoked." in said
        assert "c0-ffee" in said
    assert home.issuer.count("/token") == 1


def test_offline(home: TokenHome) -> None:
    """While the issuer has trouble, a token that has expired is a passing failure."""
    home.sign_in(life=-10)
    home.issuer.scripted.append(aadsts(90033, "temporarily_unavailable"))
    ran = home.pop3("check", home.server.url("ann"))
    assert (ran.code, "oauth-busy" in ran.out) == (8, True)
    assert home.pop3("check", home.server.url("ann")).code == 0


def test_other_server(home: TokenHome) -> None:
    """Tokens for one server are not sent to another one."""
    home.sign_in(host="pop.example.com")
    for command in ("check", "ls"):
        ran = home.pop3(command, home.server.url("ann"))
        said = " ".join((ran.out + ran.err).split())
        assert ran.code in (2, 10)
        assert "are for pop.example.com, so they are not sent to localhost" in said


def test_open_file(home: TokenHome) -> None:
    """Tokens that other users can read are not used, and the check says what to do."""
    home.sign_in()
    (home.store.folder / f"{NAME}.json").chmod(0o644)
    ran = home.pop3("check", home.server.url("ann"))
    assert (ran.code, "oauth-store" in ran.out, "chmod 600" in ran.out) == (10, True, True)


def test_named_password(home: TokenHome) -> None:
    """A password that the command line or the environment names comes before stored tokens."""
    home.sign_in()
    ran = home.pop3("check", home.server.url("ann"), password="wrong")
    assert ran.code != 0
    token = home.issuer.access_token()
    ran = home.pop3("check", home.server.url("ann"), "--oauth", password=token)
    assert ran.code == 0
    assert home.issuer.count("/token") == 0


def test_name_that_is_too_long(home: TokenHome) -> None:
    """An account whose name is too long for a file of tokens has a password."""
    home.sign_in()
    ran = home.pop3("check", home.server.url("x" * 201))
    assert "+OK POP3 server ready." in ran.out
    assert "token" not in ran.out + ran.err


def test_account_of_file(home: TokenHome) -> None:
    """An account of the file has tokens by its name, by its address, or by `login_as`.

    A shared mailbox is read by the user's own token.
    """
    home.accounts(
        f'[work]\naccount = "pop3s://localhost:{home.server.port}"\nuser = "ann"\n'
        f'oauth = {{ login_as = "ann@contoso.com" }}\n'
    )
    home.sign_in("ann@contoso.com")
    assert home.pop3("check", "work").code == 0
    home.sign_in("work", access=Secret(b"stale-token-3"))
    assert "a new one was requested" in home.pop3("check", "work").out


@pytest.mark.parametrize("command", ["check", "stat"])
def test_time_limit(home: TokenHome, command: str) -> None:
    """The time limit includes the issuer, and does not lose the refresh token that it gives."""
    home.sign_in(life=60)
    home.issuer.answering.clear()
    words = [str(POP3), command, home.server.url("ann"), "--max-time", "2"]
    environment = {**os.environ, **home.environment}
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert any("FAIL out-of-time" in line for line in process.stdout)
        finally:
            home.issuer.answering.set()
        assert process.wait(PATIENCE) == 4
    refresh = home.stored().sign_in.tokens.refresh
    assert refresh is not None
    assert home.issuer.refresh_tokens[refresh.reveal().decode()]


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without a home learns what to set, before any file is read."""

    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", fail)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(click.UsageError, match="set HOME"):
        find_entry("work")


def test_encrypted(home: TokenHome) -> None:
    """The key command of the account decrypts its tokens."""
    home.accounts(
        f'[work]\naccount = "{home.server.url("ann")}"\n'
        'oauth = { key_command = "echo correct horse" }\n'
    )
    store = TokenStore(home.store.folder, key_command="echo correct horse")
    home.sign_in("work", life=60)
    stored = home.stored("work")
    store.save("work", stored.sign_in, stored.host, stored.obtained_at)
    assert home.pop3("check", "work").code == 0
    assert '"place":"encrypted"' in (home.store.folder / "work.json").read_text()


def test_fetch(home: TokenHome) -> None:
    """The fetcher logs in with the stored token, and its status has the end of the sign-in."""
    home.accounts(
        f'[work]\naccount = "{home.server.url("ann")}"\n'
        "oauth = { client_secret_expires = 2030-05-01 }\n"
    )
    home.sign_in("work", life=60)
    ran = home.pop3("fetch", "--to", f"maildir:{home.folder}/box", "-v", "work")
    assert (ran.code, "AUTH OAUTHBEARER" in ran.err) == (0, True), ran
    assert home.issuer.count("/token") == 1
    assert "sign-in ends 2030-05-01: the client's secret" in home.pop3("fetch", "--status").out
