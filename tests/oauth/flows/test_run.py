"""The flows, against a local issuer with a browser without a screen."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import urllib.error
import urllib.request
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from restante.oauth.client import SignInClient
from restante.oauth.errors import OAuthError
from restante.oauth.flows import Flow, device, loopback, paste, run
from restante.oauth.flows.device import DeviceCode
from restante.oauth.metadata import fetch_metadata
from restante.oauth.token_endpoint import TokenEndpoint
from restante.protocol.secret import Secret
from support.issuer import SCOPE, Issuer, Refused, browse, final_url


def client(issuer: Issuer, **fields: Any) -> SignInClient:
    server = fetch_metadata(issuer.url)
    endpoint = TokenEndpoint(server.token, "me")
    flows: tuple[Flow, ...] = ("loopback", "device", "paste", "client-credentials")
    return replace(SignInClient("", server, endpoint, SCOPE, flows), **fields)


@dataclass
class Double:
    """A person with a browser, at a terminal."""

    browser: bool = True
    notes: list[str] = field(default_factory=list)
    codes: list[DeviceCode] = field(default_factory=list)

    def open_page(self, url: str) -> None:
        browse(url)

    def show_code(self, code: DeviceCode) -> None:
        self.codes.append(code)

    def ask_for_answer(self, url: str) -> str:
        return final_url(url)

    def note(self, text: str) -> None:
        self.notes.append(text)


def get(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def test_loopback(issuer: Issuer) -> None:
    """A browser brings the code; the sign-in has tokens, the user and the issuer.

    rfc7636-s4/s256, rfc8252-s7/loopback
    """
    made = run.sign_in(client(issuer), ["loopback"], Double())
    assert (made.flow, made.user, made.issuer) == ("loopback", "ann", issuer.url)
    assert made.tokens.refresh is not None
    assert made.revocation_url == f"{issuer.url}/revoke"
    query = next(form for path, form in issuer.requests if path == "/authorize")
    assert query["code_challenge_method"] == "S256"
    assert len(query["state"]) >= 43


def test_loopback_at_a_chosen_port(issuer: Issuer) -> None:
    """The redirect goes to the port that the user forwards from another machine."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    opened: list[str] = []

    def open_page(url: str) -> None:
        opened.append(final_url(url))
        browse(url)

    loopback.sign_in(client(issuer, redirect="http://localhost"), open_page, port)
    assert opened[0].startswith(f"http://localhost:{port}/?")


def test_other_requests_do_not_count(issuer: Issuer) -> None:
    """A browser's request for an icon, and a connection without a request, end nothing.

    rfc8252-s7/loopback
    """

    def open_page(url: str) -> None:
        place = final_url(url)
        base = place.partition("?")[0]
        idle = socket.create_connection(("127.0.0.1", int(base.split(":")[2].strip("/"))))
        statuses.extend([get(f"{base}favicon.ico"), get(base), get(f"{base}?x=1"), get(place)])
        idle.close()

    statuses: list[int] = []
    assert loopback.sign_in(client(issuer), open_page).refresh is not None
    assert statuses == [404, 404, 404, 200]


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"iss": "https://evil.example"}, "oauth-forged"),
        ({"iss": None}, "oauth-forged"),
        ({"iss": None, "code": None, "error": "access_denied"}, "oauth-declined"),
        ({"iss": "https://evil.example", "error": "access_denied"}, "oauth-forged"),
        ({"code": None}, "oauth-answer"),
        ({"code": "unknown"}, "oauth-code"),
        ({"code": None, "error": "access_denied"}, "oauth-declined"),
        ({"code": None, "error": "invalid_scope"}, "oauth-scope"),
        (
            {"code": None, "error": "x", "error_description": "AADSTS53003: Blocked."},
            "oauth-policy",
        ),
        ({"code": "", "error": "temporarily_unavailable"}, "oauth-busy"),
    ],
)
def test_answers_that_are_not_good(
    issuer: Issuer, changes: dict[str, str | None], verdict: str
) -> None:
    """An answer of another issuer sends no code on; a refusal has its verdict.

    rfc9207-s2/issuer
    """
    issuer.changes = changes
    with pytest.raises(OAuthError) as caught:
        run.sign_in(client(issuer), ["loopback"], Double())
    assert caught.value.id == verdict
    if verdict == "oauth-forged":
        assert issuer.count("/token") == 0


@pytest.mark.parametrize(
    "forged",
    [
        "code=a",
        "code=a&state=another",
        "code=a&state=&state=b",
        "error=access_denied",
        "error=%ff",
        f"state=another&code={'x' * 70_000}",
    ],
)
def test_a_page_that_opens_the_port(issuer: Issuer, forged: str) -> None:
    """A page of an attacker sends answers to the port; the wait goes on for the user's.

    rfc6749-s4/state
    """

    def open_page(url: str) -> None:
        place = final_url(url)
        statuses.append(get(f"{place.partition('?')[0]}?{forged}"))
        statuses.append(get(place))

    statuses: list[int] = []
    assert loopback.sign_in(client(issuer), open_page).refresh is not None
    assert statuses == [404, 200]
    assert issuer.count("/token") == 1


@pytest.mark.parametrize("state", ["another", None])
def test_the_wrong_state_alone(issuer: Issuer, state: str | None) -> None:
    """If only answers of other sign-ins come, the end of the wait says so. rfc6749-s4/state"""
    issuer.changes = {"state": state}
    statuses: list[int] = []
    with pytest.raises(OAuthError, match="answers of other sign-ins were ignored: 1") as caught:
        loopback.sign_in(
            client(issuer), lambda url: statuses.append(get(final_url(url))), seconds=0.05
        )
    assert statuses == [404]
    assert caught.value.id == "oauth-code"
    assert issuer.count("/token") == 0


@pytest.mark.parametrize(
    ("code", "text"),
    [("x" * 70_000, "too long"), ("x" * 500_000, "too long"), ("a&code=b", "has a field twice")],
    ids=["long", "longer", "twice"],
)
def test_an_answer_that_cannot_be_used(issuer: Issuer, code: str, text: str) -> None:
    """An answer to this sign-in ends the wait, however odd it is."""

    def open_page(url: str) -> None:
        with contextlib.suppress(OSError):  # the answer may be rejected before it is read
            get(final_url(url).replace("code=", f"code={code}&x=", 1))

    with pytest.raises(OAuthError, match=text) as caught:
        loopback.sign_in(client(issuer), open_page, seconds=10)
    assert caught.value.id == "oauth-answer"
    assert issuer.count("/token") == 0


def test_the_nonce_of_an_id_token(issuer: Issuer) -> None:
    """Some issuers require a nonce where an ID token is due, which must then have it."""
    made = run.sign_in(client(issuer, scope="openid email"), ["loopback"], Double())
    assert made.tokens.id_token is not None
    issuer.id_changes = {"nonce": "of another sign-in"}
    with pytest.raises(OAuthError, match="another sign-in") as caught:
        run.sign_in(client(issuer, scope="openid"), ["loopback"], Double())
    assert caught.value.id == "oauth-forged"
    run.sign_in(client(issuer, scope="openids"), ["loopback"], Double())
    queries = [form for path, form in issuer.requests if path == "/authorize"]
    assert ["nonce" in query for query in queries] == [True, True, False]
    assert queries[0]["nonce"] != queries[1]["nonce"]


@pytest.mark.parametrize(("scope", "id_token"), [("openid", "a.b.c.d.e"), (SCOPE, "")])
def test_an_id_token_without_a_nonce(issuer: Issuer, scope: str, id_token: str) -> None:
    """One that is encrypted, or that was not asked for, is not compared."""
    issuer.token_changes = {"id_token": id_token or issuer.access_token()}
    assert run.sign_in(client(issuer, scope=scope), ["loopback"], Double()).tokens.id_token


def test_an_issuer_that_has_no_iss(issuer: Issuer) -> None:
    """A file of a domain has often a host name as the issuer, which `iss` cannot be."""
    made = client(issuer)
    made = replace(made, server=replace(made.server, issuer="example.com", iss_in_response=False))
    assert run.sign_in(made, ["loopback"], Double()).user == "ann"


def test_an_issuer_without_iss(issuer: Issuer) -> None:
    """Where the metadata do not promise `iss`, its absence is right, and a wrong one is not.

    rfc9207-s2/issuer
    """
    issuer.metadata_changes = {"authorization_response_iss_parameter_supported": None}
    issuer.changes = {"iss": None}
    assert run.sign_in(client(issuer), ["loopback"], Double()).user == "ann"
    issuer.changes = {"iss": "https://evil.example"}
    with pytest.raises(OAuthError) as caught:
        run.sign_in(client(issuer), ["loopback"], Double())
    assert caught.value.id == "oauth-forged"


def test_nobody_signs_in(issuer: Issuer) -> None:
    """The wait for a browser ends."""
    with pytest.raises(OAuthError) as caught:
        loopback.sign_in(client(issuer), lambda _: None, seconds=0.05)
    assert caught.value.id == "oauth-code"


def test_a_flood_of_connections(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new connection closes the oldest of too many, so a flood does not keep the browser out."""
    monkeypatch.setattr(loopback, "MAX_CONNECTIONS", 3)
    closed: list[bytes] = []

    def open_page(url: str) -> None:
        place = final_url(url)
        port = int(place.split(":")[2].partition("/")[0])
        flood = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(9)]
        closed.extend(idle.recv(1) for idle in flood[:6])
        assert get(place) == 200
        for idle in flood:
            idle.close()

    assert loopback.sign_in(client(issuer), open_page).refresh is not None
    assert closed == [b""] * 6


def test_a_connection_that_sends_slowly(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a connection holds for all of its request, and not for each octet."""
    monkeypatch.setattr(loopback, "CONNECTION_SECONDS", 0.1)
    closed: list[bytes] = []

    def open_page(url: str) -> None:
        place = final_url(url)
        port = int(place.split(":")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
            slow.sendall(b"GET /")
            for _ in range(200):
                if select.select([slow], [], [], 0.01)[0]:
                    break
                slow.sendall(b"x")
            closed.append(slow.recv(1))
        assert get(place) == 200

    assert loopback.sign_in(client(issuer), open_page).refresh is not None
    assert closed == [b""]


def test_a_port_in_use(issuer: Issuer) -> None:
    """Where the port cannot be used, the next flow is tried, with one line of why."""
    person = Double()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        made = run.sign_in(client(issuer), ["loopback", "paste"], person, port)
        assert made.flow == "paste"
        assert [f"port {port} cannot be used" in note for note in person.notes] == [True]
        with pytest.raises(OAuthError) as caught:
            run.sign_in(client(issuer), ["loopback"], person, port)
    assert caught.value.id == "oauth-flow"


def test_paste(issuer: Issuer) -> None:
    """The address that a browser elsewhere ends at has the answer."""
    made = run.sign_in(client(issuer), ["paste"], Double())
    assert (made.flow, made.user) == ("paste", "ann")


@pytest.mark.parametrize("text", ["", "http://127.0.0.1/", "http://[", "?" + "x" * 70_000, "a=b"])
def test_a_wrong_address(issuer: Issuer, text: str) -> None:
    """A pasted text that is not the address of an answer is an error of the issuer's answer."""
    with pytest.raises(OAuthError) as caught:
        paste.sign_in(client(issuer), lambda _: text)
    assert caught.value.id == "oauth-answer"


def test_a_pasted_answer_of_another_sign_in(issuer: Issuer) -> None:
    """An address with another state sends no code on. rfc6749-s4/state"""
    with pytest.raises(OAuthError) as caught:
        paste.sign_in(client(issuer), lambda url: final_url(url).replace("state=", "state=x"))
    assert (caught.value.id, issuer.count("/token")) == ("oauth-forged", 0)


def test_an_address_that_is_not_text(issuer: Issuer) -> None:
    """A terminal without UTF-8 may give octets: such an answer is of another sign-in."""
    with pytest.raises(OAuthError) as caught:
        paste.sign_in(client(issuer), lambda _: "?code=a&state=\udcff")
    assert caught.value.id == "oauth-forged"


def test_a_field_twice(issuer: Issuer) -> None:
    """An answer with two states or codes is not one. rfc6749-s3/field-once"""
    with pytest.raises(OAuthError) as caught:
        paste.sign_in(client(issuer), lambda url: f"{final_url(url)}&code=another")
    assert caught.value.id == "oauth-answer"


@dataclass
class Clock:
    """A time that passes in pauses only."""

    now: float = 0.0
    pauses: list[float] = field(default_factory=list)

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    def __call__(self) -> float:
        return self.now


def by_device(issuer: Issuer, clock: Clock) -> Any:
    shown: list[DeviceCode] = []
    found = device.sign_in(client(issuer), shown.append, pause=clock.pause, clock=clock)
    assert shown[0].user_code == "G7KQ-M2XW"
    return found


def test_device(issuer: Issuer) -> None:
    """Polls wait for the interval, and 5 s more after each slow_down. rfc8628-s3/polling"""
    errors = ["authorization_pending", "slow_down", "authorization_pending", "slow_down"]
    issuer.scripted.extend(map(Refused, errors))
    clock = Clock()
    assert by_device(issuer, clock).refresh is not None
    assert clock.pauses == [5, 5, 10, 10, 15]


def test_device_of_a_client_with_a_secret(issuer: Issuer) -> None:
    """The request of a code has the secret, as that of a token has."""
    issuer.client_secrets["me"] = "s3cret-of-me"
    endpoint = TokenEndpoint(f"{issuer.url}/token", "me", Secret(b"s3cret-of-me"))
    found = device.sign_in(client(issuer, endpoint=endpoint), lambda _: None, pause=lambda _: None)
    assert found.refresh is not None
    sent = {path: form.get("client_secret") for path, form in issuer.requests}
    assert sent["/device"] == sent["/token"] == "s3cret-of-me"


def test_slow_down_without_an_end(issuer: Issuer) -> None:
    """Each slow_down counts, as long as the code lives. rfc8628-s3/polling"""
    issuer.scripted.extend([Refused("slow_down")] * 13)
    clock = Clock()
    by_device(issuer, clock)
    assert clock.pauses == [*range(5, 75, 5)]


def test_device_in_trouble(issuer: Issuer) -> None:
    """Trouble of the issuer makes the polls slower, and does not end them."""
    issuer.scripted.extend([Refused("server_error", 503)] * 5)
    clock = Clock()
    by_device(issuer, clock)
    assert clock.pauses == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize("error", ["server_error", "slow_down"])
def test_retry_after(issuer: Issuer, error: str) -> None:
    """A busy issuer is not polled before it asks to be, and then at the interval again."""
    issuer.retry_after = "300"
    issuer.scripted.extend([Refused(error, 503), Refused("authorization_pending")])
    clock = Clock()
    by_device(issuer, clock)
    assert clock.pauses == [5, 300, 10]


def test_retry_after_the_end(issuer: Issuer) -> None:
    """An issuer that is busy for longer than the code lives is the reason of the failure."""
    issuer.retry_after = "901"
    issuer.scripted.append(Refused("server_error", 503))
    with pytest.raises(OAuthError, match="it asks to wait 901 s") as caught:
        by_device(issuer, Clock())
    assert caught.value.id == "oauth-busy"


def test_trouble_of_a_slow_issuer(issuer: Issuer) -> None:
    """Trouble makes no poll come before the interval that the issuer named."""
    issuer.interval = 120
    issuer.scripted.append(Refused("server_error", 503))
    clock = Clock()
    by_device(issuer, clock)
    assert clock.pauses == [120, 120]


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        ("expired_token", "oauth-code"),
        ("access_denied", "oauth-declined"),
        ("authorization_declined", "oauth-declined"),
        ("bad_verification_code", "oauth-code"),
        ("unauthorized_client", "oauth-client"),
    ],
)
def test_the_end_of_a_device_code(issuer: Issuer, error: str, verdict: str) -> None:
    """A refusal ends the polls at once."""
    issuer.scripted.append(Refused(error))
    with pytest.raises(OAuthError) as caught:
        by_device(issuer, Clock())
    assert caught.value.id == verdict
    assert issuer.count("/token") == 1


def test_a_device_code_that_runs_out(issuer: Issuer) -> None:
    """No poll is sent after the end of the code's life. rfc8628-s3/polling"""
    issuer.scripted.extend([Refused("authorization_pending")] * 1000)
    issuer.device_life = 60
    clock = Clock()
    with pytest.raises(OAuthError) as caught:
        by_device(issuer, clock)
    assert caught.value.id == "oauth-code"
    assert clock.now < 60
    assert issuer.count("/token") == 11


def test_ctrl_c_ends_the_polls(issuer: Issuer) -> None:
    """An interruption of the pause goes to the caller."""

    def pause(seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        device.sign_in(client(issuer), lambda _: None, pause=pause)


@pytest.mark.parametrize(
    ("interval", "used"),
    [(0, 5), (-1, 5), (0.1, 1), (120, 120), ("10", 10), ("soon", 5), (True, 5), (None, 5)],
)
def test_odd_intervals(issuer: Issuer, interval: Any, used: float) -> None:
    """The interval is the issuer's, as a number or as text, and 5 s for anything else."""
    issuer.interval = interval
    assert device.request_device_code(client(issuer)).interval == used


@pytest.mark.parametrize(
    ("life", "used"), [("30", 30), (10**400, 3600), (-1, 900), ("soon", 900), (True, 900)]
)
def test_odd_lives(issuer: Issuer, life: Any, used: float) -> None:
    """A code lives as long as the issuer says, at most an hour, and 15 minutes by default."""
    issuer.device_life = life
    assert device.request_device_code(client(issuer)).seconds == used


@pytest.mark.parametrize(
    "changes",
    [
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://id.example.com/"},
        {"interval": 60, "expires_in": 30},
        {"interval": 10**400},
        {"user_code": ""},
        {"device_code": 5},
    ],
)
def test_unusable_device_codes(issuer: Issuer, changes: dict[str, Any]) -> None:
    """A code that cannot be used is not shown. rfc8628-s3/polling"""
    issuer.device_changes = changes
    shown: list[DeviceCode] = []
    with pytest.raises(OAuthError) as caught:
        device.sign_in(client(issuer), shown.append)
    assert (caught.value.id, shown) == ("oauth-answer", [])


def test_an_unusable_address_with_the_code(issuer: Issuer) -> None:
    """The address that has the code in it is optional, so a bad one is left out."""
    issuer.device_changes = {"verification_uri_complete": "javascript:alert(1)"}
    assert device.request_device_code(client(issuer)).verification_uri_complete == ""


def test_the_order() -> None:
    """Loopback needs a browser here or a port; client credentials are never guessed."""
    all_flows: tuple[Any, ...] = ("loopback", "device", "paste", "client-credentials")
    assert run.flow_order(all_flows, browser=True, port=None) == ["loopback", "device", "paste"]
    assert run.flow_order(all_flows, browser=False, port=9000)[0] == "loopback"
    assert run.flow_order(all_flows, browser=False, port=None) == ["device", "paste"]
    assert run.flow_order(("loopback", "paste"), browser=False, port=None) == ["paste"]


def test_a_device_flow_that_is_blocked(issuer: Issuer) -> None:
    """A refusal of the flow leads to the next one, with one line of why."""
    refused = Refused("invalid_request", error_description="AADSTS53003: Blocked.")
    issuer.scripted_device.extend([refused, refused])
    person = Double()
    made = run.sign_in(client(issuer), ["device", "paste"], person)
    assert made.flow == "paste"
    assert person.notes == ["device does not work: AADSTS53003: Blocked.; paste is next"]
    with pytest.raises(OAuthError) as caught:
        run.sign_in(client(issuer), ["device"], person)
    assert caught.value.id == "oauth-policy"


@pytest.mark.parametrize(
    ("flow", "endpoint"),
    [("device", "device"), ("paste", "authorization"), ("loopback", "authorization")],
)
def test_a_flow_that_the_issuer_does_not_have(issuer: Issuer, flow: Any, endpoint: str) -> None:
    """A flow that the user has chosen, and that has no endpoint, is an error that says so."""
    changes: Any = {endpoint: ""}
    chosen = client(issuer)
    chosen = replace(chosen, server=replace(chosen.server, **changes))
    with pytest.raises(OAuthError, match=f"does not offer the flow {flow}") as caught:
        run.sign_in(chosen, [flow], Double())
    assert caught.value.id == "oauth-flow"


def test_a_flow_that_a_client_does_not_have(issuer: Issuer) -> None:
    """A flow that is not for this client, such as one that registered itself, is never begun."""
    chosen = client(issuer, flows=("loopback", "paste"))
    with pytest.raises(OAuthError, match="does not offer the flow device to this client"):
        run.sign_in(chosen, ["device"], Double())
    assert issuer.count("/device") == 0


def test_client_credentials(issuer: Issuer) -> None:
    """The client signs in by itself, without a person."""
    issuer.client_secrets["me"] = "s3cret-of-me"
    endpoint = TokenEndpoint(f"{issuer.url}/token", "me", Secret(b"s3cret-of-me"))
    made = run.sign_in(client(issuer, endpoint=endpoint), ["client-credentials"], Double())
    assert made.flow == "client-credentials"
    assert made.tokens.refresh is None


def test_nothing_of_a_code_is_printed(issuer: Issuer, capfd: pytest.CaptureFixture[str]) -> None:
    """The web server of the loopback flow logs neither a request nor a browser that hangs up."""

    def open_page(url: str) -> None:
        place = final_url(url)
        port = int(place.split(":")[2].partition("/")[0])
        for target in ("/", place.partition(str(port))[2]):
            with socket.create_connection(("127.0.0.1", port)) as browser:
                browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                browser.sendall(f"GET {target} HTTP/1.0\r\n\r\n".encode())
                if target != "/":  # a reset may overtake a request that was not read yet
                    browser.recv(1)

    threads_before = threading.active_count()
    assert loopback.sign_in(client(issuer), open_page).refresh is not None
    output = "".join(capfd.readouterr())
    assert [secret for secret in issuer.secrets_given if secret in output] == []
    assert threading.active_count() < threads_before + 10
