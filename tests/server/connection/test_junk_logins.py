"""Logins to the junk maildrop of an account, by each mechanism, at the real server."""

from __future__ import annotations

import base64
import hmac
import json
import poplib
import ssl
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
from restante.protocol.secret import Secret
from support.live import Client, wait_until
from support.process import Served, serving_tls

KEY = ECKey.generate_key("P-256", {"kid": "one"})
CONFIG = """\
[mail]
junk = ".Junk"
[login]
apop = true
cram_md5 = true
scram = "always"
[tokens]
jwks = "{jwks}"
"""
WRONG = rb"-ERR \[AUTH\]"


def put(folder: Path, name: str) -> None:
    for part in ("tmp", "new", "cur"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    (folder / "new" / name).write_bytes(b"Subject: a\n\n")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("junk")
    password = Secret(b"secret")
    keys = {"SCRAM-SHA-256": scram.create_keys("SCRAM-SHA-256", password)}
    stored = password_hashing.hash_password(password)
    other = password_hashing.hash_password(Secret(b"other"))
    lines = [replace_credentials("ann:", stored, keys), "old:::::::secret=tanstaaf"]
    lines += [f"bob:{stored}", f"bob+junk:{other}", f"cy:{stored}", f"locked:!{stored}"]
    (folder / "users").write_text("\n".join(lines) + "\n")
    for user in ("ann", "old", "bob"):
        put(folder / "mail" / user, "1.inbox")
        put(folder / "mail" / user / ".Junk", f"2.junk-of-{user}")
    put(folder / "mail" / "bob+junk", "3.own")
    jwks = folder / "jwks.json"
    jwks.write_text(json.dumps(KeySet([KEY]).as_dict(private=False)))
    with serving_tls(folder, CONFIG.format(jwks=jwks)) as running:
        yield running
        assert running.stop() == 0
        assert "level=error" not in running.log.read_text()


def uids(served: Served, user: str, password: str = "secret") -> list[str]:
    """Log in by a password, and return the unique-ids."""
    pop = poplib.POP3("127.0.0.1", served.port)
    try:
        pop.user(user)
        pop.pass_(password)
        return [line.split()[1].decode() for line in pop.uidl()[1]]
    finally:
        pop.quit()


def test_password(served: Served) -> None:
    """The password of the account opens its junk maildrop, also from the login cache."""
    for user in ("ann+junk", "Ann+Junk", "ann+junk"):
        assert uids(served, user) == ["2.junk-of-ann"]
        assert uids(served, "ann") == ["1.inbox"]


def test_scram(served: Served) -> None:
    """SCRAM proves the password of the account."""
    account = f"pop3s://ann+junk@localhost:{served.tls_port}"
    context = ssl.create_default_context(cafile=served.mail.parent / "certificate.pem")
    with connect(account, "secret", mechanisms=("SCRAM-SHA-256",), context=context) as drop:
        assert [message.uid for message in drop] == ["2.junk-of-ann"]


def test_digests(served: Served) -> None:
    """APOP and CRAM-MD5 prove the secret of the account."""
    pop = poplib.POP3("127.0.0.1", served.port)
    pop.apop("old+junk", "tanstaaf")
    assert pop.uidl()[1] == [b"1 2.junk-of-old"]
    pop.quit()
    with served.connect() as client:
        client.read_line()
        challenge = base64.b64decode(client.say("AUTH CRAM-MD5").removeprefix(b"+ "))
        digest = hmac.new(b"tanstaaf", challenge, "md5").hexdigest()
        answer = client.say(base64.b64encode(f"old+junk {digest}".encode()).decode())
        assert answer.startswith(b"+OK")
        client.say("QUIT")


@pytest.mark.parametrize(
    ("owner", "user", "accepted"),
    [("ann", "ann+junk", True), ("bob", "ann+junk", False), ("bob", "bob+junk", False)],
)
def test_token(served: Served, owner: str, user: str, *, accepted: bool) -> None:
    """A token opens the junk maildrop of its account, and no account with such a name."""
    claims = {"email": owner, "exp": int(time.time()) + 600}
    bearer = jwt.encode({"alg": "ES256", "kid": "one"}, claims, KEY)
    message = f"user={user}\x01auth=Bearer {bearer}\x01\x01"
    context = ssl.create_default_context(cafile=served.mail.parent / "certificate.pem")
    with Client(served.tls_port) as client:
        client.start_tls(context, "localhost")
        client.read_line()
        answer = client.say(f"AUTH XOAUTH2 {base64.b64encode(message.encode()).decode()}")
        if answer.startswith(b"+ "):
            answer = client.say("")
        assert answer.startswith(b"+OK" if accepted else b"-ERR [AUTH]")
        client.say("QUIT")


def test_account_with_the_suffix(served: Served) -> None:
    """An account that is really called bob+junk has precedence, with its own password."""
    assert uids(served, "bob+junk", "other") == ["3.own"]
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        uids(served, "bob+junk")


def test_missing_folder(served: Served) -> None:
    """A junk folder that does not exist is an empty maildrop, and is not made."""
    assert uids(served, "cy+junk") == []
    assert not (served.mail / "cy").exists()


@pytest.mark.parametrize("user", ["zoe+junk", "+junk", "locked+junk", "ann+junk+junk", "ann+junks"])
def test_rejected(served: Served, user: str) -> None:
    """The suffix opens nothing for an unknown or locked account."""
    with pytest.raises(poplib.error_proto, match=r"\[AUTH\]"):
        uids(served, user)


def test_own_lock(served: Served) -> None:
    """A session of the account and one of its junk maildrop run at the same time."""
    pop = poplib.POP3("127.0.0.1", served.port)
    pop.user("ann")
    pop.pass_("secret")
    assert uids(served, "ann+junk") == ["2.junk-of-ann"]
    pop.quit()


def test_log(served: Served) -> None:
    """The log names the account, and says that the maildrop is the junk."""
    uids(served, "ann+junk")
    wait_until(lambda: "maildrop=junk" in served.log.read_text())
    lines = [line for line in served.log.read_text().splitlines() if "maildrop=junk" in line]
    assert {line.partition("user=")[2].split()[0] for line in lines} <= {"ann", "old", "cy"}
