"""Tokens of a source in both faces: one more login after a refusal, and no more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

import restante
from restante.client import blocking
from restante.client.token_source import is_token_refused
from restante.protocol.errors import ReplyTimeoutError, ServerRefusedError
from support.issuer import Issuer
from support.token_home import forms_of
from support.token_server import TokenServer


class Tokens:
    """A source that gives each of its tokens in turn, and keeps what was refused."""

    def __init__(self, *tokens: Any) -> None:
        self.left: list[Any] = list(tokens)
        self.refused: list[str] = []

    def token(self) -> Any:
        return self.left.pop(0)

    def renew(self, refused: str) -> Any:
        self.refused.append(refused)
        return self.left.pop(0) if self.left else None


def by_blocking(account: str, **options: Any) -> int:
    with blocking.connect(account, **options) as drop:
        return len(drop)


def by_asyncio(account: str, **options: Any) -> int:
    async def count() -> int:
        async with restante.connect(account, **options) as drop:
            return len(drop)

    return asyncio.run(count())


FACES = pytest.mark.parametrize("count", [by_blocking, by_asyncio])
Count = Callable[..., int]


@FACES
def test_token(token_server: TokenServer, issuer: Issuer, count: Count) -> None:
    """A token of the source logs in."""
    tokens = Tokens(issuer.access_token())
    assert count(token_server.url("ann"), auth=tokens, context=token_server.context) == 0
    assert tokens.refused == []


@FACES
def test_refused_once(token_server: TokenServer, issuer: Issuer, count: Count) -> None:
    """After a refused token the source is asked for another one, which logs in."""
    tokens = Tokens("stale", issuer.access_token())
    assert count(token_server.url("ann"), auth=tokens, context=token_server.context) == 0
    assert tokens.refused == ["stale"]


@FACES
def test_refused_twice(token_server: TokenServer, count: Count) -> None:
    """The second refusal is the error, and no third token is asked for."""
    tokens = Tokens("one-a1b2c3", "two-d4e5f6", "three")
    with pytest.raises(ServerRefusedError) as found:
        count(token_server.url("ann"), auth=tokens, context=token_server.context)
    assert tokens.left == ["three"]
    assert "d4e5f6" not in f"{found.value} {found.value.__dict__}"


def test_other_refusals() -> None:
    """No other token is asked for if the token is not why the login was rejected."""
    for id_, refused in ("auth-failed", True), ("in-use", False), ("login-delay", False):
        assert (
            is_token_refused(ServerRefusedError(id_, "no", phase=restante.Phase.LOGIN)) is refused
        )


@FACES
def test_traces(token_server: TokenServer, issuer: Issuer, count: Count) -> None:
    """No trace shows a token, neither as it is nor in base64."""
    good = issuer.access_token()
    tokens = Tokens("stale-token-octets", good)
    lines: list[str] = []
    trace = lambda way, line: lines.append(f"{way} {line}")  # noqa: E731
    options = {"context": token_server.context, "trace": trace, "initial_response": True}
    count(token_server.url("ann"), auth=tokens, **options)
    shown = "\n".join(lines)
    assert "AUTH OAUTHBEARER" in shown
    for secret in ("stale-token-octets", good):
        assert [form for form in forms_of(secret) if form in shown] == []


@FACES
def test_no_other(token_server: TokenServer, count: Count) -> None:
    """If the source has no other token, the refusal is the error."""
    with pytest.raises(ServerRefusedError, match="auth-failed"):
        count(token_server.url("ann"), auth=Tokens("stale"), context=token_server.context)


@FACES
def test_no_password(token_server: TokenServer, count: Count) -> None:
    """A password beside a source is an error before anything is sent."""
    with pytest.raises(ValueError, match="exclude each other"):
        count(token_server.url("ann"), password="secret", auth=Tokens("x"))


@FACES
def test_source_in_time(token_server: TokenServer, count: Count) -> None:
    """A source that hangs does not outlast the time for the whole call."""
    done = threading.Event()

    class Hanging(Tokens):
        def token(self) -> str:
            done.wait()
            return ""

    try:
        with pytest.raises(ReplyTimeoutError, match="time limit"):
            count(token_server.url("ann"), auth=Hanging(), total_seconds=0.1)
    finally:
        done.set()


@FACES
def test_source_error(token_server: TokenServer, count: Count) -> None:
    """An error of the source reaches the caller as it is."""

    class Failing(Tokens):
        def token(self) -> str:
            raise restante.RemoteError("oauth-refresh", "over", phase=restante.Phase.LOGIN)

    with pytest.raises(restante.RemoteError, match="oauth-refresh"):
        count(token_server.url("ann"), auth=Failing())


@FACES
@pytest.mark.parametrize("given", [b"octets", None, 5])
def test_no_text(token_server: TokenServer, count: Count, given: Any) -> None:
    """A source that gives something else than text is named, and nothing is sent."""
    for tokens in (Tokens(given), Tokens("stale", given or 5)):
        with pytest.raises(TypeError, match=r"of the token source returned \w+, and must"):
            count(token_server.url("ann"), auth=tokens, context=token_server.context)


@FACES
def test_empty_token(token_server: TokenServer, count: Count) -> None:
    """An empty token is not sent."""
    with pytest.raises(restante.LocalError, match="empty token"):
        count(token_server.url("ann"), auth=Tokens(""), context=token_server.context)


class Half:
    """A source without its second method."""

    def __init__(self, method: str) -> None:
        setattr(self, method, str)


@FACES
@pytest.mark.parametrize("auth", ["a1b2c3d4e5f6", Half("token"), Half("renew")])
def test_no_source(token_server: TokenServer, count: Count, auth: Any) -> None:
    """A token in place of a source is an error that names the right argument, and not the token."""
    with pytest.raises(TypeError, match="token=True") as found:
        count(token_server.url("ann"), auth=auth)
    assert "a1b2c3" not in str(found.value)
