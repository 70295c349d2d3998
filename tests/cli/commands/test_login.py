"""`pop3 login`, with a local issuer, a browser without a screen, and the real server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support import browser
from support.command import Ran, pop3
from support.issuer import Issuer, Refused, aadsts
from support.process import POP3, Served, free_port, serving_tls
from support.thread import PATIENCE

CONFIG = """\
[tokens]
jwks = "{issuer}/jwks"
issuer = "{issuer}"
audience = "pop3"
metadata_url = "{issuer}/.well-known/openid-configuration"
"""
MESSAGE = b"Subject: one\r\n\r\none\r\n"
TESTS = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, issuer: Issuer) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("login")
    with serving_tls(folder, CONFIG.format(issuer=issuer.url)) as running:
        running.add("ann", "secret", MESSAGE, MESSAGE)
        yield running
        assert running.stop() == 0


@dataclass
class Home:
    """A user with files of her own."""

    folder: Path
    served: Served
    issuer: Issuer

    @property
    def account(self) -> str:
        return f"pop3s://ann@localhost:{self.served.tls_port}"

    def accounts(self, oauth: str = "") -> None:
        """Write the file of accounts."""
        file = self.folder / "config" / "restante" / "accounts.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'[shop]\naccount = "{self.account}"\n{oauth}\n')

    def environment(self) -> dict[str, str]:
        certificate = self.served.mail.parent / "certificate.pem"
        return {
            "HOME": str(self.folder),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "XDG_STATE_HOME": str(self.folder / "state"),
            "SSL_CERT_FILE": str(certificate),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "DISPLAY": "",
            "WAYLAND_DISPLAY": "",
        }

    def pop3(self, *words: str, stdin: bytes = b"", **more: str) -> Ran:
        """Run pop3, and see to it that no secret is shown."""
        ran = pop3(*words, password=None, stdin=stdin, **{**self.environment(), **more})
        shown = ran.out + ran.err
        assert [secret for secret in self.issuer.secrets_given if secret in shown] == []
        return ran

    def login(self, *words: str, **more: str) -> Ran:
        """Run pop3 login with a browser."""
        return self.pop3("login", *words, stdin=b"", BROWSER=browser.COMMAND, **more)

    def kept(self) -> list[Path]:
        return sorted((self.folder / "state" / "restante" / "tokens").glob("*.json"))


@pytest.fixture
def home(tmp_path: Path, served: Served, issuer: Issuer) -> Home:
    issuer.requests.clear()
    issuer.registered.clear()
    issuer.changes, issuer.metadata_changes, issuer.broken = {}, {}, 0
    return Home(tmp_path, served, issuer)


def test_a_server_that_names_its_issuer(home: Home) -> None:
    """Without any file: the server names the issuer, the issuer registers a client, and the browser
    signs in. The tokens are kept, and the account works.
    """
    ran = home.login(home.account)
    assert (ran.code, ran.err) == (0, "")
    assert f"  provider  {home.issuer.url} (localhost:" in ran.out
    assert "  client    registered by Restante: " in ran.out
    assert "signed in as ann; kept in " in ran.out
    assert ran.out.endswith("  check     login ok, 2 messages\n")
    (file,) = home.kept()
    assert file.stat().st_mode & 0o777 == 0o600
    assert home.issuer.registered[0]["token_endpoint_auth_method"] == "none"


def test_a_client_is_registered_once(home: Home) -> None:
    """The second sign-in uses the id of the first. rfc7591-s2/registration"""
    for _ in range(2):
        assert home.login(home.account).code == 0
    assert len(home.issuer.registered) == 1


def test_an_account_of_the_file(home: Home) -> None:
    """The file of accounts names issuer and client; nothing is registered."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    ran = home.login("shop")
    assert ran.code == 0
    assert "  client    your own: mine\n" in ran.out
    assert home.issuer.registered == []
    assert [file.name for file in home.kept()] == ["shop.json"]


def test_tokens_that_are_not_for_pop(home: Home) -> None:
    """Tokens for IMAP alone are kept, and no login over POP is tried."""
    url = home.issuer.url
    home.accounts(f'oauth = {{ issuer = "{url}", client_id = "mine", protocols = ["imap"] }}')
    ran = home.login("shop")
    assert ran.code == 0
    assert ran.out.endswith("  check     not tried: the tokens are not for POP\n")
    assert len(home.kept()) == 1


def test_paste(home: Home) -> None:
    """The address at which a browser elsewhere ends is pasted; a wrong one is an error."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    ran = home.pop3("login", "shop", "--paste", stdin=b"http://127.0.0.1/?code=x&state=y\n")
    assert ran.code == 5
    assert "FAIL oauth-forged" in ran.err
    ran = home.pop3("login", "shop", "--paste", stdin=b"4/0AX4XfWh\n")
    assert (ran.code, "paste the whole address: it begins with http://127" in ran.err) == (6, True)
    assert home.kept() == []


def test_paste_and_another_flow(home: Home) -> None:
    """Two ways to sign in are an error: one of them would not be used."""
    ran = home.pop3("login", "ann@gmail.com", "--paste", "--flow", "device")
    assert (ran.code, "--paste and --flow exclude each other" in ran.err) == (2, True), ran


def test_paste_without_input(home: Home) -> None:
    """If the input ends before an address is pasted, this is not an interruption."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    ran = home.pop3("login", "shop", "--paste")
    assert (ran.code, "the input has ended. Nothing was kept." in ran.err) == (2, True), ran


def test_client_credentials(home: Home) -> None:
    """A client with a secret signs in by itself; the secret comes from a command."""
    home.issuer.client_secrets["robot"] = "s3cret-of-robot"
    secret = home.folder / "secret"
    secret.write_text("s3cret-of-robot\n")
    home.accounts(
        f'oauth = {{ issuer = "{home.issuer.url}", client_id = "robot", '
        f'flow = "client-credentials", client_secret_command = "cat {secret}" }}'
    )
    assert "  flows     client-credentials\n" in home.pop3("login", "shop", "--show").out
    ran = home.pop3("login", "shop")
    assert ran.code == 0
    assert "s3cret-of-robot" not in home.kept()[0].read_text()


def test_a_device_code_that_is_declined(home: Home) -> None:
    """Without a browser the device flow is first; a refusal has its verdict and its exit code."""
    home.issuer.interval = 1
    home.issuer.scripted.append(Refused("access_denied"))
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    ran = home.pop3("login", "shop")
    assert "  and type  G7KQ-M2XW     (15 min)\n" in ran.out
    assert ran.code == 7
    assert "FAIL oauth-declined" in ran.err
    assert home.kept() == []


@pytest.mark.parametrize(("error", "code"), [("invalid_client", 10), ("invalid_grant", 7)])
def test_a_registration_that_the_issuer_forgot(home: Home, error: str, code: int) -> None:
    """A client that the issuer no longer knows is registered again by the next command."""
    assert home.login(home.account).code == 0
    home.issuer.scripted.append(Refused(error, 401))
    ran = home.login(home.account)
    assert ran.code == code
    assert "Run the command again" in ran.err
    assert home.login(home.account).code == 0
    assert len(home.issuer.registered) == 2


def test_a_page_in_place_of_an_answer(home: Home) -> None:
    """The issuer may say on a page that it does not know the client; the next sign-in has one."""
    home.issuer.places["/authorize"] = 400
    assert home.login(home.account, "--max-time", "0.5").code == 4
    home.issuer.places.clear()
    assert home.login(home.account).code == 0
    assert len(home.issuer.registered) == 2


@pytest.mark.parametrize(
    ("status", "verdict"), [(401, "oauth-no-client"), (403, "oauth-no-client"), (503, "oauth-busy")]
)
def test_an_issuer_that_registers_not_everybody(home: Home, status: int, verdict: str) -> None:
    """Many issuers register only for their administrator, and a client id can be had there."""
    home.issuer.places["/register"] = status
    ran = home.login(home.account)
    home.issuer.places.clear()
    assert f"FAIL {verdict}" in ran.err
    assert ('client_id = "ID"' in ran.err) == (verdict == "oauth-no-client")


def test_what_was_not_granted(home: Home) -> None:
    """A sign-in without a refresh token, or without the scope for mail, says so."""
    home.issuer.token_changes = {"refresh_token": None, "scope": "openid"}
    try:
        ran = home.login(home.account)
    finally:
        home.issuer.token_changes = {}
    assert "  note      the issuer gave no refresh token" in ran.out
    assert "did not grant urn:ietf:params:oauth:scope:mail" in ran.out


def test_an_administrator_must_consent(home: Home) -> None:
    """The link for the administrator of a tenant has the client's id."""
    home.accounts('oauth = { provider = "microsoft", client_id = "mine", flow = "device" }')
    file = home.folder / "config" / "restante" / "providers.toml"
    url = home.issuer.url
    file.write_text(f'[microsoft]\ndevice = "{url}/device"\ntoken = "{url}/token"\n')
    home.issuer.scripted.append(aadsts(65001))
    home.issuer.interval = 1
    ran = home.pop3("login", "shop")
    assert ran.code == 10
    assert "FAIL oauth-consent" in ran.err
    assert "/organizations/adminconsent?client_id=mine" in ran.err


@pytest.mark.parametrize(("words", "sign"), [((), b"and type"), (("--port", "PORT"), b"Ctrl-C")])
def test_ctrl_c(home: Home, words: tuple[str, ...], sign: bytes) -> None:
    """Ctrl-C ends the wait for the user, and nothing is kept."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    options = [word.replace("PORT", str(free_port())) for word in words]
    with subprocess.Popen(
        [POP3, "login", "shop", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **home.environment(), "PYTHONUNBUFFERED": "1"},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        while sign not in (line := process.stdout.readline()):
            assert line
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stderr.read() == b"Interrupted; nothing was kept.\n"
    assert home.kept() == []


def test_a_token_of_another_user(home: Home) -> None:
    """The login is checked at once: a user that signs in as another one learns it."""
    home.issuer.user = "bob"
    try:
        ran = home.login(home.account)
    finally:
        home.issuer.user = "ann"
    assert "signed in as bob" in ran.out
    assert "FAIL token-user" in ran.out
    assert ran.code == 7


def test_a_folder_that_others_can_open(home: Home) -> None:
    """Tokens that cannot be kept are an error before the user signs in."""
    folder = home.folder / "state" / "restante" / "tokens"
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    ran = home.login("shop")
    assert ran.code == 2
    assert "chmod 700" in ran.err
    assert home.issuer.count("/authorize") == 0


@pytest.mark.parametrize("flow", ["loopback", "device", "paste"])
def test_a_time_limit(home: Home, flow: str) -> None:
    """The time limit is one for the whole command, and ends the wait for the user, too."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    waiting, held = os.pipe()
    with os.fdopen(waiting, "rb") as stdin, subprocess.Popen(
        [POP3, "login", "shop", "--flow", flow, "--max-time", "0.5"],
        env={**os.environ, **home.environment()},
        stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        _, err = process.communicate(timeout=PATIENCE)
    os.close(held)
    assert (process.returncode, "FAIL out-of-time" in err) == (4, True), err
    assert home.kept() == []


@pytest.mark.parametrize(
    ("octets", "more", "words"),
    [
        (b"{", "", "it is damaged"),
        (b'{"version": 9, "name": "shop", "place": "file"}', "", "version 9"),
        (b"", ', key_command = "false"', "key_command failed"),
    ],
)
def test_tokens_that_could_not_be_kept(home: Home, octets: bytes, more: str, words: str) -> None:
    """A place that could not keep the new tokens is an error before the user signs in."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine"{more} }}')
    folder = home.folder / "state" / "restante" / "tokens"
    folder.mkdir(parents=True, mode=0o700)
    if octets:
        (folder / "shop.json").write_bytes(octets)
        (folder / "shop.json").chmod(0o600)
    ran = home.login("shop")
    assert (ran.code, words in ran.err) == (2, True), ran
    assert home.issuer.count("/authorize") == 0


@pytest.mark.parametrize("command", ["check", "login", "token", "logout"])
def test_a_state_folder_that_cannot_be_read(home: Home, command: str) -> None:
    """A folder that cannot be read is an error that names it."""
    home.accounts()
    ran = home.pop3(command, "shop", XDG_STATE_HOME="/" + "x" * 300)
    assert (ran.code, "xxx/restante/tokens: File name too long" in ran.err) == (2, True), ran


def test_a_verbose_login(home: Home) -> None:
    """--verbose shows the dialogue with the server, and no token; Home.pop3 searches for them."""
    ran = home.login(home.account, "--verbose")
    assert "> AUTH OAUTHBEARER" in ran.err


def test_show(home: Home) -> None:
    """--show prints what a sign-in would use, and sends no user anywhere."""
    ran = home.login(home.account, "--show")
    assert ran.code == 0
    assert f"  token     {home.issuer.url}/token\n" in ran.out
    assert home.issuer.count("/authorize") == 0
    assert home.issuer.registered == []


def test_without_a_client(home: Home) -> None:
    """Where no client can be had, the steps of a registration come, and the app password."""
    home.accounts('oauth = { provider = "google" }')
    ran = home.login("shop")
    assert ran.code == 10
    assert "FAIL oauth-no-client" in ran.err
    assert "https://myaccount.google.com/apppasswords" in ran.err
    assert "        6. " in ran.err
    assert f"{home.folder}/config/restante/providers.toml:\n            [google]\n" in ran.err


@pytest.mark.parametrize(
    ("oauth", "words"),
    [
        ('oauth = { provider = "gogle" }', 'oauth: unknown provider "gogle"; known are google'),
        ('oauth = { clientid = "x" }', "oauth: clientid is not a setting; did you mean client_id?"),
        ("oauth = { tenant = 1 }", "oauth: Expected `str`, got `int` - at `$.tenant`"),
        ('oauth = "google"', "oauth: expected a table"),
    ],
)
def test_mistakes_in_the_file(home: Home, oauth: str, words: str) -> None:
    """A mistake in the file of accounts is an error that names its line."""
    home.accounts(oauth)
    ran = home.login("shop")
    assert ran.code == 2
    assert f"accounts.toml: line 3: [shop]: {words}" in ran.err


def test_port(home: Home) -> None:
    """--show has the port of the browser's answer. A flow without a browser rejects one."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    assert (
        "  redirect  http://127.0.0.1:8400/\n" in home.login("shop", "--show", "--port", "8400").out
    )
    for words in (("--paste",), ("--flow", "device")):
        ran = home.login("shop", "--port", "8400", *words)
        assert (ran.code, "--port is for the flow loopback" in ran.err) == (2, True)


def test_a_secret_that_is_not_set(home: Home) -> None:
    """A flow that requires the secret of the client says which setting is missing."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    ran = home.login("shop", "--flow", "client-credentials")
    assert ran.code == 10
    assert "  you   Set client_secret_command, beside client_id, to a command" in ran.err


def test_an_issuer_in_trouble(home: Home) -> None:
    """An issuer that answers nothing is an error, and no traceback."""
    home.accounts(f'oauth = {{ issuer = "{home.issuer.url}", client_id = "mine" }}')
    home.issuer.broken = 503
    ran = home.login("shop")
    assert ran.code == 8
    assert ran.err.startswith("FAIL oauth-busy")


def test_the_other_commands(home: Home) -> None:
    """After a sign-in, a check asks for no password."""
    assert home.login(home.account).code == 0
    ran = home.pop3("check", home.account)
    assert (ran.code, ran.err) == (0, "")
    assert "OAUTHBEARER as ann" in ran.out


def test_the_file_has_what_a_refresh_needs(home: Home) -> None:
    """The tokens are kept with the endpoint, the client's id and the refresh token."""
    assert home.login(home.account).code == 0
    kept = json.dumps(json.loads(home.kept()[0].read_text()))
    assert f"{home.issuer.url}/token" in kept
    assert any(token in kept for token in home.issuer.refresh_tokens)
