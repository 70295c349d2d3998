"""An issuer of tokens on this machine, for the clients of OAuth, which misbehaves as a test says.

It has metadata, code with PKCE, device codes, refresh with rotation and reuse detection, client
credentials, dynamic registration and revocation. `browse` is a browser without a screen.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import secrets
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code"
SCOPE = "urn:ietf:params:oauth:scope:mail"
Form = dict[str, str]


class Refused(Exception):  # noqa: N818  # it is an answer rather than an error
    """The answer is an error of RFC 6749 section 5.2."""

    def __init__(self, error: str, status: int = 400, **fields: Any) -> None:
        super().__init__(error)
        self.status, self.body = status, {"error": error, **fields}


def aadsts(number: int, error: str = "invalid_grant", words: str = "It is so.") -> Refused:
    """Return a refusal in the form of Microsoft's."""
    said = f"AADSTS{number}: {words} Trace ID: 1-2\r\nCorrelation ID: c0-ffee\r\nTimestamp: now"
    return Refused(error, error_description=said, error_codes=[number], correlation_id="c0-ffee")


def _set_event() -> threading.Event:
    event = threading.Event()
    event.set()
    return event


@dataclass
class Issuer:
    """The state and the settings of an issuer; a test changes the attributes at any time.

    Attributes:
        scripted: refusals for the next requests to the token endpoint, each used once.
        scripted_device: the same for requests of a device code.
        broken: the status of every answer, such as 500, and 0 for none.
        hangs: no request is answered until the test is over.
        places: the status of paths that answer with a page instead.
        answering: a test clears it to hold all answers back.
        success: the status of an answer with tokens.
        retry_after: the header Retry-After of every answer, "" for none.
        revocation: the status and the octets of the answer to a revocation.
        basic: client secrets are in the header Authorization, and not in the form.
        rotates: a refresh gives a new refresh token; one that is used twice ends the sign-in.
        retires_late: a rotated refresh token is of use until its successor is used, or the access
            token that came with it, and ends the sign-in if it is used later.
        changes: fields that the redirect to the client gets in place of the true ones.
        metadata_changes: fields of the metadata; None removes one.
        token_changes: fields of an answer with tokens; None removes one.
        id_changes: claims of an ID token.
        client_changes: fields of an answer with a client; None removes one.
        device_changes: fields of an answer with a device code.
        requests: path and form of each request.
        described: the answers of the endpoint `tokeninfo` by access token; one with an
            `error_description` is a refusal.
    """

    port: int = 0
    user: str = "ann"
    audience: str = "pop3"
    life: int = 3600
    interval: int = 5
    device_life: int = 900
    basic: bool = False
    rotates: bool = True
    retires_late: bool = False
    broken: int = 0
    hangs: bool = False
    places: dict[str, int] = field(default_factory=dict)
    answering: threading.Event = field(default_factory=_set_event)
    success: int = 200
    retry_after: str = ""
    revocation: tuple[int, bytes] = (200, b"")
    client_secrets: Form = field(default_factory=dict)
    scripted: deque[Refused] = field(default_factory=deque)
    scripted_device: deque[Refused] = field(default_factory=deque)
    changes: dict[str, str | None] = field(default_factory=dict)
    metadata_changes: dict[str, Any] = field(default_factory=dict)
    token_changes: dict[str, Any] = field(default_factory=dict)
    id_changes: dict[str, Any] = field(default_factory=dict)
    client_changes: dict[str, Any] = field(default_factory=dict)
    device_changes: dict[str, Any] = field(default_factory=dict)
    requests: list[tuple[str, Form]] = field(default_factory=list)
    refresh_tokens: dict[str, bool] = field(default_factory=dict)  # True: it is of use
    predecessors: Form = field(default_factory=dict)  # of new tokens, to be retired
    codes: dict[str, Form] = field(default_factory=dict)
    device_codes: dict[str, Form] = field(default_factory=dict)
    registered: list[dict[str, Any]] = field(default_factory=list)
    revoked: list[str] = field(default_factory=list)
    described: dict[str, Form] = field(default_factory=dict)
    secrets_given: list[str] = field(default_factory=list)  # none may show in any output
    done: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "ec"}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def count(self, path: str) -> int:
        """Return how many requests came to a path."""
        return sum(found == path for found, _ in self.requests)

    def metadata(self) -> dict[str, Any]:
        ends = ("authorize", "token", "device", "register", "revoke", "jwks")
        names = ("authorization_endpoint", "token_endpoint", "device_authorization_endpoint",
                 "registration_endpoint", "revocation_endpoint", "jwks_uri")  # fmt: skip
        made: dict[str, Any] = {"issuer": self.url}
        made |= {name: f"{self.url}/{end}" for name, end in zip(names, ends, strict=True)}
        made |= {
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": True,
            "scopes_supported": [SCOPE, "offline_access"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_post"],
            **self.metadata_changes,
        }
        return {name: value for name, value in made.items() if value is not None}

    def jwks(self) -> dict[str, Any]:
        return dict(KeySet([self.key]).as_dict(private=False))

    def access_token(self, scope: str = SCOPE, **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": self.url, "aud": self.audience, "email": self.user, "scp": scope,
            "exp": now + self.life, "iat": now, "jti": secrets.token_hex(8), **claims,
        }  # fmt: skip
        return jwt.encode({"alg": "ES256", "kid": "ec"}, said, self.key)

    def give(self, scope: str, *, refresh: bool = True) -> dict[str, Any]:
        """Return an answer with tokens."""
        made: dict[str, Any] = {
            "access_token": self.access_token(scope), "token_type": "Bearer",
            "expires_in": self.life, "scope": scope,
        }  # fmt: skip
        if refresh:
            made["refresh_token"] = self._new_refresh_token()
        made |= self.token_changes
        self.secrets_given += [made[n] for n in ("access_token", "refresh_token") if made.get(n)]
        return {name: value for name, value in made.items() if value is not None}

    def _new_refresh_token(self) -> str:
        token = f"refresh-{secrets.token_urlsafe(24)}"
        self.refresh_tokens[token] = True
        return token

    def authorize(self, query: Form) -> str:
        """Return where the browser goes: the client's redirect URI with a code or an error."""
        made: dict[str, str | None] = {"state": query.get("state", ""), "iss": self.url}
        if query.get("code_challenge_method") == "S256" and query.get("code_challenge"):
            made["code"] = code = f"code-{secrets.token_urlsafe(16)}"
            self.codes[code] = query
            self.secrets_given.append(code)
        else:
            made["error"] = "invalid_request"
        made |= self.changes
        fields = {name: value for name, value in made.items() if value is not None}
        return f"{query['redirect_uri']}?{urllib.parse.urlencode(fields)}"

    def token(self, form: Form) -> dict[str, Any]:
        """Answer a request for tokens. Raises Refused."""
        with self.lock:
            if self.scripted:
                raise self.scripted.popleft()
            expected = self.client_secrets.get(form.get("client_id", ""))
            if expected is not None and form.get("client_secret") != expected:
                raise Refused("invalid_client", 401, error_description="Bad client_secret.")
            grants = {
                "authorization_code": self._by_code, "refresh_token": self._by_refresh_token,
                "client_credentials": self._by_itself, DEVICE_CODE: self._by_device_code,
            }  # fmt: skip
            if form.get("grant_type") not in grants:
                raise Refused("unsupported_grant_type")
            return grants[form["grant_type"]](form)

    def _by_code(self, form: Form) -> dict[str, Any]:
        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["redirect_uri"] != form.get("redirect_uri"):
            raise Refused("invalid_grant", error_description="The code is unknown.")
        if asked["code_challenge"] != challenge or asked["client_id"] != form.get("client_id"):
            raise Refused("invalid_grant", error_description="The code verifier is wrong.")
        scope = asked.get("scope", "").split()  # OpenID Connect Core section 11: no consent, no use
        if "offline_access" in scope and asked.get("prompt") != "consent":
            scope.remove("offline_access")
            return self.give(" ".join(scope), refresh=False)
        made = self.give(" ".join(scope))
        if asked.get("nonce") and "id_token" not in made:
            made["id_token"] = self.access_token(**{"nonce": asked["nonce"], **self.id_changes})
        return made

    def _by_refresh_token(self, form: Form) -> dict[str, Any]:
        token = form.get("refresh_token", "")
        if not self.refresh_tokens.get(token):
            if token in self.refresh_tokens:  # reused: all of the sign-in ends
                self.refresh_tokens = dict.fromkeys(self.refresh_tokens, False)
            raise Refused("invalid_grant", error_description="Token has been expired or revoked.")
        self.note_use(token)
        if self.rotates and not self.retires_late:
            self.refresh_tokens[token] = False
        made = self.give(form.get("scope", SCOPE), refresh=self.rotates)
        if self.rotates and self.retires_late:
            self.predecessors |= {made["access_token"]: token, made["refresh_token"]: token}
        return made

    def note_use(self, token: str) -> None:
        """Retire the refresh token that a token was given for, now that this token is used."""
        if token in self.predecessors:
            self.refresh_tokens[self.predecessors[token]] = False

    def introspect(self, form: Form) -> dict[str, Any]:
        """Say whether an access token is of use, as a mail server asks: RFC 7662."""
        token = form.get("token", "")
        with self.lock:
            self.note_use(token)
            known = token in self.secrets_given and token not in self.revoked
        return {"active": known, "username": self.user, "email": self.user}

    def _by_itself(self, form: Form) -> dict[str, Any]:
        if "client_secret" not in form:
            raise Refused("invalid_client", 401, error_description="client_secret is missing.")
        return self.give(form.get("scope", ""), refresh=False)

    def _by_device_code(self, form: Form) -> dict[str, Any]:
        asked = self.device_codes.get(form.get("device_code", ""))
        if asked is None:
            raise Refused("invalid_grant")
        return self.give(asked.get("scope", ""))

    def device(self, form: Form) -> dict[str, Any]:
        """Begin a sign-in on another device. A test scripts what the polls get. Raises Refused."""
        if self.scripted_device:
            raise self.scripted_device.popleft()
        code = f"device-{secrets.token_urlsafe(16)}"
        self.device_codes[code] = form
        self.secrets_given.append(code)
        return {
            "device_code": code, "user_code": "G7KQ-M2XW", "interval": self.interval,
            "verification_uri": f"{self.url}/activate", "expires_in": self.device_life,
            **self.device_changes,
        }  # fmt: skip

    def register(self, client: dict[str, Any]) -> dict[str, Any]:
        self.registered.append(client)
        made = {**client, "client_id": f"registered-{len(self.registered)}"}
        return {k: v for k, v in {**made, **self.client_changes}.items() if v is not None}


@contextlib.contextmanager
def running_issuer(**attributes: Any) -> Iterator[Issuer]:
    """Run an issuer on a free port of this machine."""
    issuer = Issuer(**attributes)

    class Handler(_Handler):
        of = issuer

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        issuer.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield issuer
        finally:
            issuer.done.set()
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    of: Issuer

    def do_GET(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(address.query))
        if self._note(address.path, query):
            return
        match address.path:
            case "/.well-known/oauth-authorization-server" | "/.well-known/openid-configuration":
                self._answer(200, self.of.metadata())
            case "/authorize":
                self.send_response(302)
                self.send_header("Location", self.of.authorize(query))
                self.send_header("Content-Length", "0")
                self.end_headers()
            case "/jwks":
                self._answer(200, self.of.jwks())
            case _:
                self._answer(404, {})

    def do_POST(self) -> None:
        octets = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        json_sent = self.headers.get_content_type() == "application/json"
        form = json.loads(octets) if json_sent else dict(urllib.parse.parse_qsl(octets.decode()))
        if self._note(self.path, form):
            return
        try:
            match self.path:
                case "/token":
                    self._answer(self.of.success, self.of.token(self._with_secret(form)))
                case "/device":
                    self._answer(200, self.of.device(form))
                case "/register":
                    self._answer(201, self.of.register(form))
                case "/introspect":
                    self._answer(200, self.of.introspect(form))
                case "/tokeninfo":
                    unknown = {"error_description": "Invalid Value"}
                    found = self.of.described.get(form.get("access_token", ""), unknown)
                    self._answer(400 if "error_description" in found else 200, found)
                case "/revoke":
                    self.of.revoked.append(form.get("token", ""))
                    self._send(*self.of.revocation)
                case _:
                    self._answer(404, {})
        except Refused as refused:
            self._answer(refused.status, refused.body)

    def _with_secret(self, form: Form) -> Form:
        """Return the form with the client's id and secret from where this issuer reads them."""
        if not self.of.basic:
            return form
        pair = base64.b64decode(self.headers.get("Authorization", "").removeprefix("Basic "))
        name, _, secret = map(urllib.parse.unquote_plus, pair.decode().partition(":"))
        return {**form, "client_id": name or form.get("client_id", ""), "client_secret": secret}

    def _note(self, path: str, form: Form) -> bool:
        """Note a request; return whether its answer is the trouble that a test asked for."""
        with self.of.lock:
            self.of.requests.append((path, form))
        if self.of.hangs:
            self.of.done.wait()
            return True
        self.of.answering.wait()
        status = self.of.broken or self.of.places.get(path, 0)
        if status:
            self._answer(status, None)
        return bool(status)

    def _answer(self, status: int, body: dict[str, Any] | None) -> None:
        if body is None:
            self._send(status, b"<h1>Trouble</h1>", "text/html; charset=utf-8")
        else:
            self._send(status, json.dumps(body).encode())

    def _send(self, status: int, octets: bytes, kind: str = "application/json") -> None:
        with contextlib.suppress(OSError):  # the client may be gone
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(octets)))
            if self.of.retry_after:
                self.send_header("Retry-After", self.of.retry_after)
            self.end_headers()
            self.wfile.write(octets)

    def log_message(self, *_: object) -> None:
        """Write no log."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Let the caller follow it."""


_browser = urllib.request.build_opener(_NoRedirects)


def final_url(url: str) -> str:
    """Return where an authorization URL leads: the redirect URI with code and state."""
    try:
        with _browser.open(url, timeout=20):
            raise AssertionError("the issuer did not redirect")
    except urllib.error.HTTPError as answer:
        answer.close()
        return answer.headers["Location"]


def browse(url: str) -> bool:
    """Sign in as a browser does, in a thread of its own. It fits `webbrowser.open`."""

    def follow() -> None:
        with contextlib.suppress(OSError), _browser.open(final_url(url), timeout=20) as page:
            page.read()

    threading.Thread(target=follow, daemon=True).start()
    return True
