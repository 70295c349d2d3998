"""`pop3 token` and `pop3 logout`, and what `pop3 monitor` says of the end of a sign-in."""

from __future__ import annotations

import base64
import datetime as dt
import json
from pathlib import Path

import pytest

from support.issuer import Issuer, aadsts
from support.token_home import NAME, TokenHome
from support.token_server import TokenServer


@pytest.fixture
def home(tmp_path: Path, token_server: TokenServer, issuer: Issuer) -> TokenHome:
    issuer.requests.clear()
    issuer.revoked.clear()
    issuer.scripted.clear()
    issuer.broken = 0
    return TokenHome(tmp_path, token_server, issuer)


def test_token(home: TokenHome) -> None:
    """The access token is printed alone, refreshed where that is due."""
    home.sign_in(life=60)
    account = home.server.url("ann")
    ran = home.run("token", account)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.encode().strip() == home.stored().sign_in.tokens.access.reveal()
    assert home.run("token", account) == ran
    assert home.issuer.count("/token") == 1
    assert home.run("check", account, "--oauth", password=ran.out.strip()).code == 0


def test_verify(home: TokenHome) -> None:
    """The checks of `pop3 verify` after a login use the stored tokens, and show none."""
    home.sign_in()
    names = ["stat", "locked", "second_login"]
    only = [word for name in names for word in ("--only", name)]
    ran = home.pop3("verify", home.server.url("ann"), *only, "--json")
    assert {made["verdict"] for made in json.loads(ran.out)["checks"]} == {"pass"}
    assert ran.code == 0


def test_sasl(home: TokenHome) -> None:
    """With --sasl the response of XOAUTH2 is printed, which curl and others send as it is."""
    home.sign_in()
    ran = home.run("token", home.server.url("ann"), "--sasl")
    access = home.stored().sign_in.tokens.access.reveal()
    assert base64.b64decode(ran.out) == b"user=ann\x01auth=Bearer " + access + b"\x01\x01"


def test_show(home: TokenHome) -> None:
    """With --show the claims and the state are printed, and no secret and no request."""
    home.sign_in()
    ran = home.pop3("token", home.server.url("ann"), "--show")
    rows = dict(line.split(None, 1) for line in ran.out.splitlines())
    assert (ran.code, rows["server"], rows["user"]) == (0, "localhost", "ann")
    assert rows["aud"] == "pop3"
    assert rows["email"] == "ann"
    assert home.issuer.requests == []


def test_list(home: TokenHome) -> None:
    """With --list each account has a line, and one that cannot be read says why."""
    assert home.pop3("token", "--list").out == "No account has tokens; run pop3 login ACCOUNT.\n"
    home.sign_in()
    home.sign_in("shop", life=20)
    home.sign_in("tea", life=-1)
    home.sign_in("work")
    (home.store.folder / "work.json").chmod(0o640)
    lines = home.pop3("token", "--list").out.splitlines()
    assert [line.split()[0] for line in lines] == [NAME, "shop", "tea", "work"]
    assert lines[0].endswith("an access token for 60 min")
    assert lines[1].endswith(" s")
    assert lines[2].endswith(" due for a refresh")
    assert "chmod 600" in lines[3]


@pytest.mark.parametrize(
    "words", [["token"], ["token", "a@b.c", "--list"], ["token", "a@b.c", "--sasl", "--show"]]
)
def test_usage(home: TokenHome, words: list[str]) -> None:
    """Options that exclude each other are an error of usage."""
    assert home.pop3(*words).code == 2


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        ("token", "run pop3 login ann@outlook.com"),
        ("logout", "there is nothing to revoke or forget"),
    ],
)
def test_none(home: TokenHome, command: str, advice: str) -> None:
    """An account without tokens is an error, with the command that signs in where that helps."""
    ran = home.pop3(command, "ann@outlook.com")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"pop3: no tokens are stored for ann@outlook.com; {advice}\n"


@pytest.mark.parametrize("command", ["token", "logout"])
@pytest.mark.parametrize("name", ["shpo", "pop3s://mail.example.com"])
def test_unknown_name(home: TokenHome, command: str, name: str) -> None:
    """The error of a name that is not an account names no option that the command lacks."""
    ran = home.pop3(command, name)
    assert (ran.code, ran.err.count("-u NAME")) == (2, 0)
    assert "use user@domain" in ran.err


def test_user_like_the_name_of_an_account(home: TokenHome) -> None:
    """A user name without a domain does not find the tokens of an account that has this name."""
    home.accounts(f'[ann]\naccount = "{home.server.url("ann")}"\n')
    home.sign_in("ann")
    assert home.run("token", "ann").code == 0
    ran = home.pop3("token", "pop3s://ann@mail.example.com")
    assert (ran.code, "no tokens are stored" in ran.err) == (2, True), ran


def test_ended(home: TokenHome) -> None:
    """A sign-in that has ended prints no token, but its verdict."""
    home.sign_in(life=60)
    home.issuer.scripted.append(aadsts(700082))
    ran = home.pop3("token", home.server.url("ann"))
    assert (ran.code, ran.out) == (7, "")
    assert "FAIL oauth-refresh" in ran.err
    assert "ended (oauth-refresh)" in home.pop3("token", "--list").out


def test_logout(home: TokenHome) -> None:
    """Tokens are revoked at the issuer and removed here."""
    made = home.sign_in()
    ran = home.pop3("logout", home.server.url("ann"))
    assert (ran.code, ran.err) == (0, "")
    assert made.tokens.refresh
    assert home.issuer.revoked == [made.tokens.refresh.reveal().decode()]
    assert home.store.names() == []


def test_logout_without_the_lock(home: TokenHome) -> None:
    """Nothing is revoked while another process can replace the tokens."""
    home.sign_in()
    lock = home.store.folder / f"{NAME}.lock"
    lock.unlink()
    lock.mkdir()
    ran = home.pop3("logout", home.server.url("ann"))
    assert (ran.code, str(lock) in ran.err, home.issuer.revoked) == (2, True, []), ran
    assert home.store.names() == [NAME]


def test_offline_logout(home: TokenHome) -> None:
    """If the issuer does not revoke them, the tokens are forgotten, and the exit code is 1."""
    account = home.server.url("ann")
    home.sign_in()
    home.issuer.broken = 500
    ran = home.pop3("logout", account)
    assert (ran.code, "not revoked" in ran.err, home.store.names()) == (1, True, [])
    home.sign_in(revocation_url="")
    assert home.pop3("logout", account).code == 1
    home.sign_in()
    (home.store.folder / f"{NAME}.json").write_text("{")
    assert home.pop3("logout", account).code == 1
    assert home.store.names() == []


def test_logout_without_the_keyring(home: TokenHome) -> None:
    """If a copy may be in a keyring that does not work, the command says so, and it exits with 1."""
    home.sign_in()
    (home.store.folder / f"{NAME}.json").write_text("{")
    backend = "keyring.backends.fail.Keyring"
    ran = home.pop3("logout", home.server.url("ann"), PYTHON_KEYRING_BACKEND=backend)
    assert (ran.code, home.store.names()) == (1, [])
    assert f"remove the entry {NAME} of the service restante there." in ran.err


@pytest.mark.parametrize(("days", "code"), [(3, 2), (10, 1), (40, 0)])
def test_known_end(home: TokenHome, days: int, code: int) -> None:
    """A threshold warns some days before the client's secret expires."""
    day = dt.datetime.now(dt.UTC).date() + dt.timedelta(days=days)
    home.accounts(
        f'[work]\naccount = "{home.server.url("ann")}"\n'
        f"oauth = {{ client_secret_expires = {day} }}\n"
    )
    home.sign_in("work")
    ran = home.pop3("monitor", "work", "-w", "token=14", "-c", "token=7")
    assert (ran.code, "token=" in ran.out) == (code, True), ran
    assert f"ends        {day}: the client's secret" in home.pop3("token", "work", "--show").out


def test_testing(home: TokenHome) -> None:
    """A sign-in at Google to a client in Testing ends after seven days."""
    home.accounts(f'[work]\naccount = "{home.server.url("ann")}"\noauth = {{ testing = true }}\n')
    home.sign_in("work", provider="google")
    shown = home.pop3("token", "work", "--show").out
    assert "which ends sign-ins after 7 days" in shown
    home.accounts("")
    home.sign_in("work", provider="google")
    assert "180 days without use" in home.pop3("token", "work", "--show").out


def test_two_accounts(home: TokenHome) -> None:
    """A second account is an error that speaks of no password, since none is asked for."""
    for command in ("token", "logout", "login"):
        ran = home.pop3(command, home.server.url("ann"), "other")
        assert ran.code == 2
        assert ran.err.endswith("Error: 1 argument too many; use one\n")
