"""Stored tokens: when they are refreshed, what is kept, and what no crash may lose."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.net.http import HttpAnswer, HttpClient
from restante.oauth import token_store
from restante.oauth.errors import OAuthError, TokenStoreError
from restante.oauth.sign_in import SignIn
from restante.oauth.token_endpoint import TokenEndpoint, TokenSet
from restante.oauth.token_source import StoredTokenSource
from restante.oauth.token_store import StoredSignIn, TokenStore
from restante.protocol.secret import Secret
from support.issuer import SCOPE, Issuer, Refused, aadsts, running_issuer
from support.token_processes import NAME

ROOT = Path(__file__).parents[2]
HOST = "127.0.0.1"


class Clock:
    """The time, which a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of the source and of the requests; it begins at 1,000,000."""
    made = Clock()
    made.now = 1_000_000.0
    monkeypatch.setattr("restante.oauth.token_endpoint.time.time", made)
    return made


@pytest.fixture
def store(tmp_path: Path) -> TokenStore:
    return TokenStore(tmp_path / "tokens", keyring=False)


def sign_in(issuer: Issuer, at: float, **changes: Any) -> SignIn:
    given = issuer.give(SCOPE)
    access, refresh = (Secret(given[n].encode()) for n in ("access_token", "refresh_token"))
    tokens = TokenSet(access, refresh, at + issuer.life, SCOPE)
    endpoint = TokenEndpoint(f"{issuer.url}/token", "me")
    return replace(SignIn("", issuer.url, endpoint, tokens, "device", SCOPE), **changes)


@pytest.fixture
def source(issuer: Issuer, store: TokenStore, clock: Clock) -> StoredTokenSource:
    store.save(NAME, sign_in(issuer, clock.now), HOST, clock.now)
    return StoredTokenSource(NAME, store, clock=clock)


def stored(store: TokenStore) -> StoredSignIn:
    found = store.load(NAME)
    assert found is not None
    return found


def requests(issuer: Issuer) -> int:
    return issuer.count("/token")


def test_one_time_for_all_answers(
    source: StoredTokenSource, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many requests a refresh takes, none is sent whose answer could come too late."""
    monkeypatch.setattr("restante.oauth.token_source.SECONDS", 9.0)
    clock.now += 3600
    with pytest.raises(OAuthError) as caught:
        source.token()
    assert (caught.value.id, requests(issuer)) == ("oauth-network", 0)


@pytest.mark.parametrize("error", ["invalid_scope", "invalid_client", "invalid_grant"])
def test_one_time_for_retries(
    issuer: Issuer, store: TokenStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, error: str
) -> None:
    """A second way to ask is not tried if the first answer left no time for it."""
    made = sign_in(issuer, clock.now, client_secret_command="echo s3cret")
    store.save(NAME, made, HOST, clock.now)
    source = StoredTokenSource(NAME, store, clock=clock)
    clock.now += 3600
    source.token()  # so there is a refresh token before the present one
    true = HttpClient.send

    def send_slowly(*arguments: Any, **options: Any) -> HttpAnswer:
        monkeypatch.setattr("restante.oauth.issuer_requests.SECONDS", 1000.0)
        return true(*arguments, **options)

    monkeypatch.setattr(HttpClient, "send", send_slowly)
    issuer.scripted.append(Refused(error))
    clock.now += 3600
    with pytest.raises(OAuthError) as caught:
        source.token()
    assert (caught.value.id, requests(issuer)) == ("oauth-network", 2)


def test_fresh(source: StoredTokenSource, issuer: Issuer, clock: Clock) -> None:
    """A token is used without a request until ten minutes before its end."""
    first = source.token()
    clock.now += 2999
    assert source.token() == first
    assert requests(issuer) == 0
    clock.now += 1
    second = source.token()
    assert second != first
    assert source.token() == second
    assert requests(issuer) == 1


@pytest.mark.parametrize(("said", "seconds"), [("60", 60), ("1000000", 900)])
def test_retry_after(
    source: StoredTokenSource, issuer: Issuer, clock: Clock, said: str, seconds: int
) -> None:
    """A busy issuer is left alone for as long as it asks, and for 15 minutes at most."""
    clock.now += 3600
    issuer.retry_after = said
    issuer.scripted.append(Refused("temporarily_unavailable", 503))
    for moment in (0, seconds - 1):
        clock.now += moment
        with pytest.raises(OAuthError, match=f"it asks to wait {said} s") as caught:
            source.token()
        assert caught.value.temporary
    assert requests(issuer) == 1
    assert caught.value.others == ["the issuer is not asked again for 1 s"]
    clock.now += 1
    source.token()
    assert requests(issuer) == 2


def test_short_life(source: StoredTokenSource, issuer: Issuer, clock: Clock) -> None:
    """A token that lives for less than 20 minutes is used for half its life."""
    issuer.life = 300
    clock.now += 3600
    first = source.token()
    clock.now += 149
    assert source.token() == first
    clock.now += 1
    assert source.token() != first


def test_unknown_end(source: StoredTokenSource, issuer: Issuer, store: TokenStore) -> None:
    """A token without a known end is used until a server refuses it."""
    now = stored(store)
    tokens = replace(now.sign_in.tokens, expires_at=None)
    store.save(NAME, replace(now.sign_in, tokens=tokens), HOST, 0.0)
    first = source.token()
    assert requests(issuer) == 0
    assert source.renew(first) not in (None, first)


def test_rotation(
    source: StoredTokenSource, store: TokenStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new refresh token is durable, beside the old one, before the access token is given."""
    old = stored(store).sign_in.tokens.refresh
    calls: list[str] = []
    for name in ("rename", "fsync"):
        true = getattr(os, name)

        def record(*arguments: Any, name: str = name, true: Any = true, **options: Any) -> Any:
            calls.append(name)
            return true(*arguments, **options)

        monkeypatch.setattr(os, name, record)
    clock.now += 3600
    token = source.token()
    assert calls[-3:] == ["fsync", "rename", "fsync"]
    now = stored(store)
    assert now.sign_in.tokens.access == Secret(token.encode())
    assert now.sign_in.tokens.refresh != old
    assert now.previous_refresh == old


def test_undurable(
    source: StoredTokenSource, store: TokenStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the new token cannot be kept, it is not used."""
    saves = Counter[str]()
    true = token_store.StoreEntry.save

    def fail_second(entry: token_store.StoreEntry, new: StoredSignIn) -> str:
        saves["all"] += 1
        if saves["all"] == 2:
            raise TokenStoreError("No space left on device")
        return true(entry, new)

    monkeypatch.setattr(token_store.StoreEntry, "save", fail_second)
    clock.now += 3600
    with pytest.raises(TokenStoreError, match="No space"):
        source.token()


def test_full_disk(
    source: StoredTokenSource, issuer: Issuer, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk is found before the issuer is asked, so it rotates nothing."""

    def fail(_: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    clock.now += 3600
    with pytest.raises(TokenStoreError, match="No space left"):
        source.token()
    assert requests(issuer) == 0


@pytest.mark.parametrize("changes", [{"token_type": "DPoP"}, {"access_token": None}])
def test_rotated_alone(
    source: StoredTokenSource,
    issuer: Issuer,
    store: TokenStore,
    clock: Clock,
    changes: dict[str, Any],
) -> None:
    """The refresh token of an answer without a usable access token is kept: the old one is spent.

    rfc6749-s6/rotation
    """
    clock.now += 3600
    issuer.token_changes = changes
    with pytest.raises(OAuthError, match="token"):
        source.token()
    now = stored(store)
    assert now.sign_in.tokens.refresh is not None
    assert issuer.refresh_tokens[now.sign_in.tokens.refresh.reveal().decode()]
    issuer.token_changes = {}
    assert source.token()


def test_old_token_helps(
    source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock
) -> None:
    """If the issuer has lost the new refresh token, the one before is tried."""
    issuer.retires_late = True
    clock.now += 3600
    source.token()
    new = stored(store).sign_in.tokens.refresh
    assert new is not None
    del issuer.refresh_tokens[new.reveal().decode()]
    clock.now += 3600
    source.token()
    clock.now += 3600
    source.token()
    assert not stored(store).ended


@pytest.mark.parametrize("trouble", [{"broken": 503}, {"port": 1}])
def test_trouble(
    source: StoredTokenSource,
    issuer: Issuer,
    store: TokenStore,
    clock: Clock,
    trouble: dict[str, Any],
) -> None:
    """While the issuer cannot be asked, the present token is used to its end, and all is kept."""
    first = source.token()
    before = {name: getattr(issuer, name) for name in trouble}
    if "port" in trouble:  # nothing listens there
        endpoint = TokenEndpoint("http://127.0.0.1:1/token", "me")
        now = stored(store)
        store.save(NAME, replace(now.sign_in, endpoint=endpoint), HOST, now.obtained_at)
    else:
        issuer.broken = 503
    clock.now += 3300
    assert source.token() == first
    clock.now += 300
    with pytest.raises(OAuthError) as found:
        source.token()
    assert found.value.temporary
    assert not stored(store).ended
    assert stored(store).sign_in.tokens.refresh is not None
    if "broken" in trouble:
        issuer.broken = before["broken"]
        clock.now += 1000
        assert source.token() != first


def test_offline_counts_nothing(
    source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock
) -> None:
    """However often the network fails, the first try after it succeeds."""
    now = stored(store)
    away = TokenEndpoint("http://127.0.0.1:1/token", "me")
    store.save(NAME, replace(now.sign_in, endpoint=away), HOST, now.obtained_at)
    clock.now += 3600
    for _ in range(5):
        with pytest.raises(OAuthError, match="oauth-network"):
            source.token()
    assert stored(store).refusals == ()
    store.save(NAME, now.sign_in, HOST, now.obtained_at)
    assert source.token()
    assert requests(issuer) == 1


def test_ended(source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock) -> None:
    """Only invalid_grant ends a sign-in; it is kept for the report, and not asked for again."""
    issuer.scripted.append(aadsts(700082, words="It expired due to inactivity."))
    clock.now += 3600
    for _ in range(3):
        with pytest.raises(OAuthError, match="inactivity") as found:
            source.token()
        assert found.value.id == "oauth-refresh"
        assert found.value.correlation == "c0-ffee"
    assert requests(issuer) == 1
    assert stored(store).ended
    with pytest.raises(OAuthError):
        source.renew("x")
    assert requests(issuer) == 1


@pytest.mark.parametrize("number", [53003, 65001, 7000215, 90033, 80013])
def test_not_ended(
    source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock, number: int
) -> None:
    """Any other refusal leaves the sign-in as it is, and after three the issuer has a rest."""
    issuer.scripted.extend(aadsts(number, "interaction_required") for _ in range(3))
    clock.now += 3600
    for _ in range(5):
        with pytest.raises(OAuthError) as found:
            source.token()
    assert "not asked again for 15 min" in found.value.others[0]
    assert requests(issuer) == 3
    assert not stored(store).ended
    clock.now += 899
    with pytest.raises(OAuthError) as found:
        source.token()
    assert "not asked again for 1 min" in found.value.others[0]
    clock.now += 1
    assert source.token()
    assert requests(issuer) == 4


def test_renewed(source: StoredTokenSource, issuer: Issuer, clock: Clock) -> None:
    """A refused token is refreshed by force, and three times in 15 minutes at most."""
    token = source.token()
    for _ in range(3):
        renewed = source.renew(token)
        assert renewed not in (None, token)
        assert source.token() == renewed
        token = renewed or ""
        clock.now += 60
    assert source.renew(token) is None
    assert source.token() == token
    assert requests(issuer) == 3
    clock.now += 900
    assert source.renew(token)


@pytest.mark.parametrize("life", [None, 3600.0])
def test_no_other_token(
    source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock, life: float | None
) -> None:
    """If the issuer gives no other token, its reason is the cause, also while it is not asked."""
    now = stored(store)
    expires_at = life and clock.now + life
    tokens = replace(now.sign_in.tokens, expires_at=expires_at)
    store.save(NAME, replace(now.sign_in, tokens=tokens), HOST, clock.now)
    issuer.scripted.extend([Refused("invalid_client", 401)] * 4)
    for _ in range(4):
        with pytest.raises(OAuthError) as found:
            source.renew(source.token())
        assert found.value.id == "oauth-client"
        assert "the mail server refused the present token" in found.value.others
    assert requests(issuer) < 4


def test_no_other_token_in_trouble(
    source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock
) -> None:
    """Trouble of the issuer is the cause only where the refused token may have expired."""
    issuer.broken = 503
    assert source.renew(source.token()) is None
    now = stored(store)
    tokens = replace(now.sign_in.tokens, expires_at=None)
    store.save(NAME, replace(now.sign_in, tokens=tokens), HOST, clock.now)
    with pytest.raises(OAuthError) as found:
        source.renew(source.token())
    assert found.value.id == "oauth-busy"


def test_expired_in_trouble(source: StoredTokenSource, issuer: Issuer, clock: Clock) -> None:
    """If the refused token has expired, the issuer's trouble is why there is no other."""
    issuer.broken = 503
    token = source.token()
    clock.now += 3600
    with pytest.raises(OAuthError) as found:
        source.renew(token)
    assert found.value.id == "oauth-busy"


def test_renewals_of_tokens_without_an_end(source: StoredTokenSource, issuer: Issuer) -> None:
    """After three refusals there is no other token, although the present one may be good."""
    issuer.token_changes = {"expires_in": None}
    for _ in range(3):
        assert source.renew(source.token())
    assert source.renew(source.token()) is None


def test_clock_set_back(source: StoredTokenSource, issuer: Issuer, clock: Clock) -> None:
    """A token of the future may have expired; a small step of the clock changes nothing."""
    first = source.token()
    clock.now -= 30
    assert source.token() == first
    clock.now -= 86400
    assert source.token() != first
    assert source.token() != first
    assert requests(issuer) == 1


def test_renewed_elsewhere(
    source: StoredTokenSource, issuer: Issuer, store: TokenStore, clock: Clock
) -> None:
    """If another process has renewed the token, its token is taken and the issuer not asked."""
    old = source.token()
    new = StoredTokenSource(NAME, store, clock=clock).renew(old)
    assert source.renew(old) == new
    assert requests(issuer) == 1
    clock.now += 3600
    assert source.renew(old) not in (None, new)


def test_busy_lock(
    source: StoredTokenSource, store: TokenStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If another process holds the lock too long, the present token is used to its end."""
    first = source.token()
    clock.now += 3300
    true = store.edit
    monkeypatch.setattr(store, "edit", lambda name: true(name, 0.01))
    with true(NAME):
        assert source.token() == first
        clock.now += 300
        with pytest.raises(OAuthError, match="another process") as found:
            source.token()
    assert found.value.id == "oauth-busy"
    assert source.token() != first


def test_name_is_text() -> None:
    """A name of an unset variable is an error where it is given."""
    name: Any = None
    with pytest.raises(TypeError, match="the name must be str, and is NoneType"):
        StoredTokenSource(name)


def test_no_tokens(store: TokenStore) -> None:
    """An account without tokens is an error with the command that signs in."""
    with pytest.raises(TokenStoreError, match="run pop3 login"):
        StoredTokenSource(NAME, store).token()


def test_client_credentials(
    issuer: Issuer, store: TokenStore, clock: Clock, tmp_path: Path
) -> None:
    """A client of its own asks anew with its secret, which a command prints."""
    issuer.client_secrets["me"] = "s3cret-of-client"
    (tmp_path / "secret").write_text("s3cret-of-client\n")
    made = sign_in(
        issuer, clock.now, flow="client-credentials",
        client_secret_command=f"cat {tmp_path / 'secret'}",
    )  # fmt: skip
    store.save(NAME, replace(made, tokens=replace(made.tokens, refresh=None)), HOST, clock.now)
    clock.now += 3600
    assert StoredTokenSource(NAME, store, clock=clock).token()
    assert "s3cret-of-client" not in (store.folder / f"{NAME}.json").read_text()


def test_a_client_secret_in_another_encoding(
    issuer: Issuer, store: TokenStore, clock: Clock, tmp_path: Path
) -> None:
    """A secret that no request can have is an error that names the command, and not the secret."""
    (tmp_path / "secret").write_bytes(b"s3cret-\xff\n")
    made = sign_in(issuer, clock.now, client_secret_command=f"cat {tmp_path / 'secret'}")
    store.save(NAME, made, HOST, clock.now)
    clock.now += 3600
    with pytest.raises(TokenStoreError, match=r"^client_secret_command printed .* not UTF-8$"):
        StoredTokenSource(NAME, store, clock=clock).token()


def test_no_refresh_token(issuer: Issuer, store: TokenStore, clock: Clock) -> None:
    """Without a refresh token the sign-in ends with the access token."""
    made = sign_in(issuer, clock.now)
    store.save(NAME, replace(made, tokens=replace(made.tokens, refresh=None)), HOST, clock.now)
    clock.now += 3600
    with pytest.raises(OAuthError, match="no refresh token"):
        StoredTokenSource(NAME, store, clock=clock).token()


def run_processes(*arguments: object) -> list[str]:
    words = [sys.executable, "-m", "support.token_processes", *map(str, arguments)]
    done = subprocess.run(
        words, cwd=ROOT / "tests", stdout=subprocess.PIPE, check=True, timeout=300, text=True
    )
    return done.stdout.split()


def test_race(issuer: Issuer, tmp_path: Path) -> None:
    """Of eight processes that ask at once, one asks the issuer, and all get its token."""
    store = TokenStore(tmp_path / "tokens", keyring=False)
    store.save(NAME, sign_in(issuer, time.time()), HOST, time.time())
    tokens = run_processes("race", store.folder, 8)
    assert len(tokens) == 8
    assert len(set(tokens)) == 1
    assert requests(issuer) == 1


def test_kills(tmp_path: Path) -> None:
    """A process that is killed at any call while it refreshes loses no account.

    The issuer rotates refresh tokens. An old one that is used after its successor ends the sign-in.
    """
    with running_issuer(retires_late=True) as issuer:
        store = TokenStore(tmp_path / "tokens", keyring=False)
        store.save(NAME, sign_in(issuer, time.time()), HOST, time.time())
        [count] = run_processes("kills", store.folder, f"{issuer.url}/introspect")
    assert int(count) > 40
    assert any(issuer.refresh_tokens.values())
