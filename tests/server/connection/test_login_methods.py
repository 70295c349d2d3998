"""Every way to log in that a configuration can open, at the real server."""

from __future__ import annotations

import base64
import hmac
import json
import poplib
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from restante.auth.file.passwd_entry import replace_credentials
from restante.auth.passwords import hashing as password_hashing
from restante.auth.passwords import scram
from restante.client.blocking import connect
from restante.protocol.errors import ServerRefusedError
from restante.protocol.secret import Secret
from support.live import Client, wait_until
from support.process import Served, serving_tls, write_certificate

KEY = ECKey.generate_key("P-256", {"kid": "one"})
PASSWORD = Secret(b"secret")
NO_TOKEN = b"-ERR [AUTH] The token is not valid for this account.\r\n"

CONFIG = """\
[login]
apop = true
cram_md5 = true
[tokens]
jwks = "{jwks}"
audience = "pop3"
metadata_url = "{metadata}"
"""
METADATA = "https://issuer.example.com/.well-known/openid-configuration"


def token(user: str, **claims: object) -> str:
    said = {"email": user, "aud": "pop3", "exp": int(time.time()) + 600, **claims}
    return jwt.encode({"alg": "ES256", "kid": "one"}, said, KEY)


def accounts() -> str:
    keys = {"SCRAM-SHA-256": scram.create_keys("SCRAM-SHA-256", PASSWORD)}
    stored = password_hashing.hash_password(PASSWORD)
    strict = replace_credentials("strict:::::::tls=required", stored, keys)
    return f"{replace_credentials('ann:', stored, keys)}\n{strict}\nold:::::::secret=tanstaaf\n"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("logins")
    (folder / "jwks.json").write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
    (folder / "users").write_text(accounts())
    config = CONFIG.format(jwks=folder / "jwks.json", metadata=METADATA)
    with serving_tls(folder, config) as running:
        yield running
        assert running.stop() == 0
        log = running.log.read_text()
        assert "level=error" not in log
        for secret in ("tanstaaf", token("ann").split(".")[0]):
            assert secret not in log


def over_tls(served: Served) -> Client:
    client = Client(served.tls_port)
    context = ssl.create_default_context(cafile=served.mail.parent / "certificate.pem")
    client.start_tls(context, "localhost")
    client.read_line()
    return client


def test_capa_on_tls_before_login_shows_all_that_applies(served: Served) -> None:
    """CAPA over TLS shows every configured mechanism, and not STLS."""
    with over_tls(served) as client:
        client.say("CAPA")
        said = b"".join(client.read_lines())
    assert b"SASL OAUTHBEARER XOAUTH2 PLAIN LOGIN CRAM-MD5\r\n" in said
    for tag in (b"TOP", b"UIDL", b"USER", b"UTF8 USER", b"LANG", b"RESP-CODES", b"AUTH-RESP-CODE"):
        assert tag + b"\r\n" in said
    assert b"STLS" not in said


def test_poplib_logs_in_by_apop(served: Served) -> None:
    """policy/apop-off."""
    pop = poplib.POP3("127.0.0.1", served.port)
    assert pop.apop("old", "tanstaaf") == b"+OK Logged in."
    pop.quit()
    pop = poplib.POP3("127.0.0.1", served.port)
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\] Name or password is wrong"):
        pop.apop("old", "guessed")
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\] Name or password is wrong"):
        pop.apop("ann", "secret")
    pop.quit()


def test_each_timestamp_is_a_new_one(served: Served) -> None:
    """rfc1939-s7/apop, rfc2195-s2/cram-md5."""
    greetings = set()
    for _ in range(5):
        with served.connect() as client:
            greetings.add(client.read_line())
            greetings.add(client.say("AUTH CRAM-MD5"))
    assert len(greetings) == 10


@pytest.mark.parametrize("secret", [b"tanstaaf", b"guessed"])
def test_cram_md5_proves_the_shared_secret(served: Served, secret: bytes) -> None:
    """CRAM-MD5 accepts the shared secret and rejects another one."""
    with served.connect() as client:
        client.read_line()
        challenge = base64.b64decode(client.say("AUTH CRAM-MD5").removeprefix(b"+ "))
        digest = hmac.new(secret, challenge, "md5").hexdigest()
        said = client.say(base64.b64encode(f"old {digest}".encode()).decode())
        assert said.startswith(b"+OK" if secret == b"tanstaaf" else b"-ERR [AUTH]")


@pytest.mark.parametrize(
    ("user", "claims", "said"),
    [
        ("ann", {}, b"+OK Logged in.\r\n"),
        ("ann", {"email": "a\N{SOFT HYPHEN}nn"}, b"+OK Logged in.\r\n"),
        ("ann", {"email": "strict"}, NO_TOKEN),
        ("ann", {"aud": "imap"}, NO_TOKEN),
        ("ann", {"exp": 1}, NO_TOKEN),
        ("nobody", {}, NO_TOKEN),
    ],
)
def test_a_token_of_the_issuer_logs_in(
    served: Served, user: str, claims: dict[str, object], said: bytes
) -> None:
    """A valid token logs its account in, and every other token is rejected."""
    message = f"user={user}\x01auth=Bearer {token(user, **claims)}\x01\x01"
    with over_tls(served) as client:
        answer = client.say(f"AUTH XOAUTH2 {base64.b64encode(message.encode()).decode()}")
        if answer.startswith(b"+ "):
            assert b"status" in base64.b64decode(answer[2:])
            answer = client.say("")
        assert answer == said
        client.say("QUIT")


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_rejected_token_names_the_issuer(served: Served, mechanism: str) -> None:
    """The error of the client has what the server says of the issuer: RFC 7628 section 3.2.2.

    rfc7628-s3/issuer
    """
    context = ssl.create_default_context(cafile=served.mail.parent / "certificate.pem")
    account = f"pop3s://ann@localhost:{served.tls_port}"
    with pytest.raises(ServerRefusedError) as caught:
        connect(account, "invalid", token=True, mechanisms=(mechanism,), context=context)
    said = {"status": "invalid_token", "openid-configuration": METADATA}
    assert json.loads(caught.value.challenge) == said


def test_curl_logs_in_by_oauthbearer(served: Served, tmp_path: Path) -> None:
    """curl logs in by OAUTHBEARER."""
    from support.programs import need

    curl = need("curl")
    config = tmp_path / "curlrc"
    config.touch(mode=0o600)
    config.write_text(f'oauth2-bearer = "{token("ann")}"\nuser = "ann:"\n')
    command = [curl, "-sS", "--noproxy", "*", "--ipv4", "--config", str(config)]
    command += ["--cacert", str(served.mail.parent / "certificate.pem")]
    command += ["--login-options", "AUTH=OAUTHBEARER", f"pop3s://localhost:{served.tls_port}/"]
    subprocess.run(command, check=True, capture_output=True)


def plain(user: str) -> str:
    return base64.b64encode(f"\0{user}\0secret".encode()).decode()


def test_capitals_in_every_mechanism(served: Served) -> None:
    """A name in capitals is the same account for each mechanism: telephones capitalise, and mail to
    ANN@EXAMPLE.COM is ann's too.
    """
    pop = poplib.POP3("127.0.0.1", served.port)
    assert pop.apop("Old", "tanstaaf") == b"+OK Logged in."
    pop.quit()
    with over_tls(served) as client:
        client.say("USER Ann")
        assert client.say("PASS secret") == b"+OK Logged in.\r\n"
        client.say("QUIT")
    with over_tls(served) as client:
        assert client.say(f"AUTH PLAIN {plain('ANN')}") == b"+OK Logged in.\r\n"
        client.say("QUIT")
    with over_tls(served) as client:
        message = f"user=aNN\x01auth=Bearer {token('Ann')}\x01\x01"
        said = client.say(f"AUTH XOAUTH2 {base64.b64encode(message.encode()).decode()}")
        assert said == b"+OK Logged in.\r\n"
        client.say("QUIT")
    with served.connect() as client:
        client.read_line()
        challenge = base64.b64decode(client.say("AUTH CRAM-MD5").removeprefix(b"+ "))
        digest = hmac.new(b"tanstaaf", challenge, "md5").hexdigest()
        assert client.say(base64.b64encode(f"OLD {digest}".encode()).decode()).startswith(b"+OK")
        client.say("QUIT")
    wait_until(lambda: served.log.read_text().count("end=quit") >= 5)
    users = {line.split("user=")[1].split()[0] for line in sessions(served)}
    assert {"ann", "old"} <= users
    assert not users & {"Ann", "ANN", "aNN", "Old", "OLD"}
    assert not {folder.name for folder in served.mail.iterdir()} & {"Ann", "ANN", "aNN", "Old"}


def sessions(served: Served) -> list[str]:
    return [line for line in served.log.read_text().splitlines() if "event=session" in line]


def test_account_requires_tls(served: Served) -> None:
    """rfc2595-s2.3/reject-cleartext: an account that requires TLS is rejected without it, even on
    loopback.
    """
    with served.connect() as client:
        client.read_line()
        client.say("USER strict")
        said = b"-ERR [AUTH] No logins in clear text here: use STLS or port 995.\r\n"
        for _ in range(2):
            assert client.say("PASS secret") == said
            client.say("USER strict")
    refused = 'event=login_refused address=127.0.0.1 user=strict code=AUTH reason="no TLS" session='
    wait_until(lambda: served.log.read_text().count(refused) == 1)
    with over_tls(served) as client:
        client.say("USER strict")
        assert client.say("PASS secret") == b"+OK Logged in.\r\n"
        client.say("QUIT")


def test_sighup_reloads_certificates(served: Served) -> None:
    """Certificates are loaded again on SIGHUP."""
    import signal

    write_certificate(served.mail.parent)
    served.process.send_signal(signal.SIGHUP)
    wait_until(lambda: "event=reloaded" in served.log.read_text())
    with over_tls(served) as client:
        assert client.say("NOOP") == b"-ERR Log in first.\r\n"
