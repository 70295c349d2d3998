"""Bearer tokens, checked against a local issuer: a JWKS (file, URL) and RFC 7662."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import socket
import threading
import time
import urllib.parse
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OKPKey, RSAKey

from restante.auth.interfaces import CredentialsError, UnavailableError
from restante.auth.oauth import issuer as issuer_module
from restante.auth.oauth import tokens as tokens_module
from restante.auth.oauth.tokens import Claims, IntrospectedTokens, JwksTokens, Tokens
from restante.net.http import HttpError
from restante.protocol.secret import Secret

CLIENT = ["restante:pop3", "client secret+%2B"]
CLAIMS = Claims(issuer="https://issuer.example.com", audience="pop3", user="email")


class Issuer:
    """An issuer of tokens on this machine."""

    def __init__(self) -> None:
        self.keys: list[Any] = [
            RSAKey.generate_key(2048, {"kid": "rsa"}),
            ECKey.generate_key("P-256", {"kid": "ec"}),
        ]
        self.active: dict[str, dict[str, Any]] = {}  # what introspection says of a token
        self.asked = 0
        self.away = False
        self.port = 0

    def token(self, key: int = 0, /, **claims: Any) -> Secret:
        said = {
            "iss": "https://issuer.example.com",
            "aud": ["imap", "pop3"],
            "email": "ann",
            "exp": int(time.time()) + 300,
            **claims,
        }
        algorithm = "RS256" if isinstance(self.keys[key], RSAKey) else "ES256"
        header = {"alg": algorithm, "kid": self.keys[key].kid}
        return Secret(jwt.encode(header, said, self.keys[key]).encode())

    def jwks(self) -> bytes:
        return json.dumps(KeySet(self.keys).as_dict(private=False)).encode()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def running(issuer: Issuer) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer.asked += 1
            if issuer.away:
                self.send_error(503)
                return
            if self.path == "/moved":
                self.move()
                return
            if self.path == "/moved-away":
                self.send_error(404)
                return
            self.answer(issuer.jwks())

        def do_POST(self) -> None:
            if self.path == "/moved":
                self.move()
                return
            form = self.rfile.read(int(self.headers["Content-Length"])).decode()
            token = urllib.parse.parse_qs(form)["token"][0]
            pair = base64.b64decode(self.headers["Authorization"].removeprefix("Basic "))
            if [*map(urllib.parse.unquote_plus, pair.decode().split(":"))] != CLIENT:
                self.send_error(401)
                return
            said = issuer.active.get(token, {"active": False})
            self.answer(json.dumps(said).encode(), 400 if "error" in said else 200)

        def move(self) -> None:
            self.send_response(302)
            self.send_header("Location", issuer.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def answer(self, body: bytes, status: int = 200) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        issuer.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    made = Issuer()
    with running(made):
        yield made


def user_of(tokens: Tokens, *wanted: Secret) -> list[str]:
    async def ask() -> list[str]:
        return [await tokens.user_of(token) for token in wanted]

    return asyncio.run(ask())


@pytest.mark.parametrize("key", [0, 1], ids=["RSA", "EC"])
def test_signed_token_names_account(issuer: Issuer, tmp_path: Path, key: int) -> None:
    """A token that the issuer signed names the account."""
    file = tmp_path / "jwks.json"
    file.write_bytes(issuer.jwks())
    for source in (str(file), issuer.url):
        assert user_of(JwksTokens(source, CLAIMS), issuer.token(key)) == ["ann"]


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 1},
        {"exp": None},
        {"nbf": time.time() + 3600},
        {"iss": "https://somebody.else"},
        {"aud": "imap"},
        {"email": ""},
        {"email": 7},
        {"email_verified": False},
        {"email_verified": "false"},
    ],
)
def test_unsuitable_tokens_rejected(issuer: Issuer, claims: dict[str, Any]) -> None:
    """A token for another time or audience, or without a user, is rejected."""
    with pytest.raises(CredentialsError):
        user_of(JwksTokens(issuer.url, CLAIMS), issuer.token(**claims))


def test_token_of_other_service(issuer: Issuer) -> None:
    """RFC 7519 section 4.1.3: without an audience, a token that names one is rejected."""
    tokens = JwksTokens(issuer.url, Claims())
    with pytest.raises(CredentialsError) as caught:
        user_of(tokens, issuer.token(aud="a-shopping-app"))
    assert "tokens.audience is not set" in caught.value.reason
    assert user_of(tokens, issuer.token(aud=None)) == ["ann"]


def test_a_token_of_somebody_elses_key_is_refused(issuer: Issuer) -> None:
    """A token that another key signed is rejected."""
    with pytest.raises(CredentialsError):
        user_of(JwksTokens(issuer.url, CLAIMS), Issuer().token())


@pytest.mark.parametrize("token", [b"", b"x", b"a.b.c", b"\xff.\xff.\xff"])
def test_what_is_no_token_is_refused(issuer: Issuer, token: bytes) -> None:
    """A text that is not a valid token is rejected."""
    with pytest.raises(CredentialsError):
        user_of(JwksTokens(issuer.url, CLAIMS), Secret(token))


@pytest.mark.parametrize(
    "more", [{"pi.atm": "1"}, {"nonce": 5}, {"x5c": ["A" * 2000] * 3}, {"typ": "at+jwt"}]
)
def test_unknown_headers_are_ignored(issuer: Issuer, more: dict[str, Any]) -> None:
    """RFC 7515 section 4: a parameter that is not understood, or a long one, rejects no token."""
    header = {"alg": "RS256", "kid": "rsa", **more}
    assert user_of(JwksTokens(issuer.url, CLAIMS), signed(issuer, header)) == ["ann"]


def signed(issuer: Issuer, header: dict[str, Any]) -> Secret:
    """Return a token with a header that joserfc would not write."""
    claims = issuer.token().reveal().split(b".")[1]
    text = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=") + b"." + claims
    digest = issuer.keys[0].private_key.sign(text, padding.PKCS1v15(), hashes.SHA256())
    return Secret(text + b"." + base64.urlsafe_b64encode(digest).rstrip(b"="))


@pytest.mark.parametrize("named", ["the token", "the keys", "nothing"])
def test_names_of_keys_are_optional(issuer: Issuer, tmp_path: Path, named: str) -> None:
    """RFC 7515 section 4.1.4, RFC 7517 section 4.5."""
    keys = json.loads(issuer.jwks())["keys"]
    for key in keys if named != "the keys" else ():
        del key["kid"]
    file = tmp_path / "jwks"
    file.write_text(json.dumps({"keys": keys[::-1]}))
    token = signed(issuer, {"alg": "RS256"} | ({"kid": "rsa"} if named == "the token" else {}))
    assert user_of(JwksTokens(str(file), CLAIMS), token) == ["ann"]
    header, claims, digest = token.reveal().split(b".")
    with pytest.raises(CredentialsError):
        user_of(JwksTokens(str(file), CLAIMS), Secret(b".".join([header, claims, digest[::-1]])))


@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_both_names_of_eddsa(tmp_path: Path, name: str) -> None:
    """RFC 8037, RFC 9864: most issuers still write EdDSA."""
    key, file = OKPKey.generate_key("Ed25519", {"kid": "ed"}), tmp_path / "jwks"
    file.write_text(json.dumps(KeySet([key]).as_dict(private=False)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the old name
        token = jwt.encode({"alg": name, "kid": "ed"}, {"email": "ann"}, key, algorithms=[name])
    with pytest.raises(CredentialsError, match="wrong name") as caught:  # it has no `exp`
        user_of(JwksTokens(str(file), Claims()), Secret(token.encode()))
    assert "not valid now" in caught.value.reason


@pytest.mark.parametrize("crit", [1, [{}], ["pi.atm"]])
def test_a_token_whose_header_is_odd_is_refused(issuer: Issuer, crit: object) -> None:
    """RFC 7515 section 4.1.11."""
    header = {"alg": "RS256", "kid": "rsa", "crit": crit, "pi.atm": 1}
    with pytest.raises(CredentialsError):
        user_of(JwksTokens(issuer.url, CLAIMS), signed(issuer, header))


def test_forged_signatures_rejected(issuer: Issuer) -> None:
    """The two classical attacks on JWT fail: "alg": "none", and HMAC keyed with the public key."""
    header, claims, _ = issuer.token().reveal().split(b".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=") + b"." + claims + b"."
    public = issuer.keys[0].as_pem(private=False)
    keyed = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"rsa"}').rstrip(b"=") + b"." + claims
    digest = hmac.digest(public, keyed, "sha256")
    forged = keyed + b"." + base64.urlsafe_b64encode(digest).rstrip(b"=")
    for token in (unsigned, forged, header + b"." + claims + b"."):
        with pytest.raises(CredentialsError):
            user_of(JwksTokens(issuer.url, CLAIMS), Secret(token))


def test_keys_fetched_when_needed(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The issuer's keys are fetched once, and again if a token names a new key."""
    tokens = JwksTokens(issuer.url, CLAIMS)
    before = issuer.asked
    assert user_of(tokens, *[issuer.token()] * 5) == ["ann"] * 5
    assert issuer.asked == before + 1
    issuer.keys.append(ECKey.generate_key("P-256", {"kid": "new"}))
    with pytest.raises(CredentialsError):
        user_of(tokens, issuer.token(-1))
    monkeypatch.setattr("restante.auth.oauth.tokens.KEYS_ASKED_AGAIN", -1)
    assert user_of(tokens, issuer.token(-1)) == ["ann"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("/no/such/file", "No such file or directory"),
        ("http://127.0.0.1:1/", "refused"),
        ("{issuer}/moved-away", "HTTP 404"),
    ],
)
def test_an_issuer_that_is_away_is_nobodys_fault(issuer: Issuer, source: str, reason: str) -> None:
    """If the issuer cannot be reached, a login is a temporary failure, and the log says why."""
    source = source.format(issuer=issuer.url)
    with pytest.raises(UnavailableError, match=f"{reason}.*; check tokens.jwks"):
        user_of(JwksTokens(source, CLAIMS), issuer.token())


def test_wrong_secret_of_the_server_itself(issuer: Issuer) -> None:
    """If the issuer rejects the client, the log names its settings, and no secret."""
    tokens = IntrospectedTokens(issuer.url, "restante", Secret(b"wrong"), CLAIMS)
    with pytest.raises(UnavailableError, match=r"HTTP 401.*tokens\.client_secret_file") as caught:
        user_of(tokens, Secret(b"opaque"))
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize(
    "unknown",
    [
        {"kty": "EC", "crv": "brainpoolP256r1", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": 5, "e": "AQAB"},
        {"kty": ["new"]},
        "new",
    ],
)
def test_keys_of_a_new_kind_are_ignored(
    issuer: Issuer, tmp_path: Path, unknown: dict[str, Any]
) -> None:
    """A key that is not understood does not keep the others from use. RFC 7517 section 5."""
    file = tmp_path / "jwks"
    file.write_text(json.dumps({"keys": [unknown, *json.loads(issuer.jwks())["keys"]]}))
    assert user_of(JwksTokens(str(file), CLAIMS), issuer.token()) == ["ann"]
    file.write_text(json.dumps({"keys": [unknown]}))
    with pytest.raises(UnavailableError):
        user_of(JwksTokens(str(file), CLAIMS), issuer.token())


def test_lost_issuer_asked_once(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the issuer is away, invalid tokens cause one request, and the cached keys still verify."""
    tokens = JwksTokens(issuer.url, CLAIMS)
    assert user_of(tokens, issuer.token()) == ["ann"]
    monkeypatch.setattr(tokens_module, "KEYS_ASKED_AGAIN", -1)
    monkeypatch.setattr(issuer, "away", True)  # the next tests ask the same issuer
    before = issuer.asked
    for _ in range(3):
        with pytest.raises(CredentialsError):
            user_of(tokens, Secret(b"a.b.c"))
    assert user_of(tokens, issuer.token()) == ["ann"]
    assert issuer.asked == before + 1


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Return the URL of an issuer that accepts connections and never replies."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_silent_issuer_delays_only_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that never answers delays only logins with tokens, not other work in threads."""
    monkeypatch.setattr(tokens_module, "PATIENCE", 2)

    async def ask(url: str) -> None:
        tokens = IntrospectedTokens(url, "restante", Secret(b"x"), CLAIMS)
        many = [asyncio.create_task(tokens.user_of(Secret(b"x"))) for _ in range(40)]
        await asyncio.sleep(0)
        await asyncio.to_thread(int)
        assert not any(task.done() for task in many)
        for task in many:
            task.cancel()
        await asyncio.gather(*many, return_exceptions=True)

    with silent() as url:
        asyncio.run(ask(url))


DRIPS = {
    "headers": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "status": (b"", b"H"),
    "body": (b"HTTP/1.1 200 OK\r\n\r\n", b" "),
    "chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "size of a chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0"),
}


@pytest.mark.parametrize("drip", DRIPS)
def test_dripping_issuer(drip: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that comes octet by octet, in whatever part, has one deadline for its sum."""
    monkeypatch.setattr(issuer_module, "PATIENCE", 0.3)
    first, more = DRIPS[drip]
    over = threading.Event()

    def answer(server: socket.socket) -> None:
        peer = server.accept()[0]
        with peer, contextlib.suppress(OSError):
            peer.sendall(first)
            while not over.wait(0.02):
                peer.sendall(more)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, args=(server,))
        thread.start()
        try:
            with pytest.raises(HttpError, match="in time"):
                issuer_module.get(f"http://127.0.0.1:{server.getsockname()[1]}")
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("body", [b"[" * 200_000, b"{", b"[]", b"\xff"])
def test_odd_answers(body: bytes, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer other than a JSON object is the issuer's error, not an incident."""
    monkeypatch.setattr(Issuer, "jwks", lambda _: body)
    with pytest.raises(UnavailableError, match="no keys of the issuer"):
        user_of(JwksTokens(issuer.url, CLAIMS), Secret(b"a.b.c"))


def test_long_answer(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer of more octets than allowed is not read to its end."""
    monkeypatch.setattr(issuer_module, "LARGEST_ANSWER", 2048)
    monkeypatch.setattr(Issuer, "jwks", lambda _: b"{" + b" " * 4096 + b"}")
    with pytest.raises(HttpError, match="over 2 KiB"):
        issuer_module.get(issuer.url)


def test_hung_dns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that asks the issuer is free again in time, though the DNS never answers."""
    monkeypatch.setattr(issuer_module, "PATIENCE", 0.1)
    hung = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: hung.wait() and [])
    tokens = IntrospectedTokens("https://issuer.example.com/", "restante", Secret(b"x"), CLAIMS)

    async def ask() -> list[Any]:
        many = (tokens.user_of(Secret(b"x")) for _ in range(tokens_module.THREADS * 3))
        return await asyncio.gather(*many, return_exceptions=True)

    try:
        answers = asyncio.run(ask())
        lookups = [thread for thread in threading.enumerate() if thread.name == "resolve"]
    finally:
        hung.set()
    assert {type(answer) for answer in answers} == {UnavailableError}
    assert all("in time" in str(answer) for answer in answers)
    assert len(lookups) == 1


def test_time_for_an_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that hangs, say in the DNS, holds up no login for longer than the bound."""
    monkeypatch.setattr(tokens_module, "PATIENCE", 0.05)
    hung = threading.Event()
    with pytest.raises(UnavailableError, match="does not reply in time"):
        asyncio.run(tokens_module.IssuerPool().run(hung.wait))
    hung.set()


def test_only_so_many_tokens_wait_for_the_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of tokens that wait for the issuer is bounded."""
    monkeypatch.setattr(tokens_module, "PATIENCE", 0.1)
    monkeypatch.setattr(tokens_module, "MAX_WAITING", 1)

    async def ask(url: str) -> list[Any]:
        tokens = IntrospectedTokens(url, "restante", Secret(b"x"), CLAIMS)
        two = (tokens.user_of(Secret(b"x")) for _ in range(2))
        return await asyncio.gather(*two, return_exceptions=True)

    with silent() as url:
        first, second = asyncio.run(ask(url))
    assert "does not reply" in str(first)
    assert "too many tokens" in str(second)


def test_introspection_asks_the_issuer(issuer: Issuer) -> None:
    """RFC 7662 section 2."""
    claims = Claims(user="username")
    tokens = IntrospectedTokens(issuer.url, CLIENT[0], Secret(CLIENT[1].encode()), claims)
    issuer.active["good"] = {"active": True, "username": "ann"}
    issuer.active["old"] = {"active": True, "username": "ann", "exp": 1}
    issuer.active["odd"] = {"active": "yes", "username": "ann"}
    assert user_of(tokens, Secret(b"good")) == ["ann"]
    for token in (b"old", b"odd", b"unknown"):
        with pytest.raises(CredentialsError):
            user_of(tokens, Secret(token))


def test_a_kind_of_token_that_the_issuer_does_not_know(issuer: Issuer) -> None:
    """A client that sends such a token is rejected; any other error is trouble of the server."""
    tokens = IntrospectedTokens(issuer.url, CLIENT[0], Secret(CLIENT[1].encode()), Claims())
    issuer.active["jwt"] = {"error": "unsupported_token_type"}
    issuer.active["bad"] = {"error": "invalid_request"}
    with pytest.raises(CredentialsError):
        user_of(tokens, Secret(b"jwt"))
    with pytest.raises(UnavailableError, match="HTTP 400"):
        user_of(tokens, Secret(b"bad"))


def test_failed_introspection_hides_secrets(issuer: Issuer) -> None:
    """If introspection fails, accounts are unavailable, and the error shows no secret."""
    tokens = IntrospectedTokens(issuer.url, "restante", Secret(b"wrong"), Claims())
    with pytest.raises(UnavailableError) as caught:
        user_of(tokens, Secret(b"good"))
    assert "wrong" not in str(caught.value)
    assert "good" not in str(caught.value)


def test_redirect_to_http_not_followed(issuer: Issuer) -> None:
    """Over plain HTTP an attacker could send keys, or get the client's secret."""
    moved = f"{issuer.url}/moved"
    asked = issuer.asked
    with pytest.raises(UnavailableError):
        user_of(JwksTokens(moved, CLAIMS), issuer.token())
    with pytest.raises(UnavailableError):
        user_of(IntrospectedTokens(moved, "restante", Secret(b"x"), CLAIMS), issuer.token())
    assert issuer.asked == asked + 1
