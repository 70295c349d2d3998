"""`pop3 login` with Dovecot, which asks the issuer about each token (RFC 7662)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import browser
from support.command import Ran, pop3
from support.dovecot import ONE_OWNER, Dovecot, dovecot
from support.issuer import Issuer, running_issuer
from support.other_user import public_folder
from support.programs import need

TESTS = Path(__file__).parents[1]
PASSDB = """\
passdb {{
  driver = oauth2
  mechanisms = oauthbearer xoauth2
  args = {folder}/oauth2.conf
}}
"""
OAUTH2 = """\
introspection_mode = post
introspection_url = {issuer}/introspect
username_attribute = email
active_attribute = active
active_value = true
openid_configuration_url = {issuer}/.well-known/openid-configuration
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with running_issuer() as made:
        yield made


@pytest.fixture
def server(issuer: Issuer) -> Iterator[Dovecot]:
    need("dovecot")
    more = "auth_mechanisms = oauthbearer xoauth2\n"
    with public_folder() as folder:
        (folder / "oauth2.conf").write_text(OAUTH2.format(issuer=issuer.url))
        with dovecot(folder, "", more, PASSDB + ONE_OWNER) as running:
            box = running.maildir("ann")
            (box / "new" / "1.test").write_bytes(b"Subject: one\n\none\n")
            yield running


def login(server: Dovecot, home: Path, *words: str) -> Ran:
    environment = {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        "BROWSER": browser.COMMAND,
    }
    account = f"pop3://ann@127.0.0.1:{server.port}"
    return pop3("login", account, *words, password=None, stdin=b"", **environment)


def test_dovecot_names_its_issuer(server: Dovecot, issuer: Issuer, tmp_path: Path) -> None:
    """Dovecot's reply to a rejected token leads to the issuer, and its tokens log in."""
    ran = login(server, tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert f"  provider  {issuer.url} (127.0.0.1:{server.port})" in ran.out
    assert ran.out.endswith("  check     login ok, 1 message\n")
    assert issuer.count("/introspect") == 2


def test_dovecot_rejects_the_token_of_another_user(
    server: Dovecot, issuer: Issuer, tmp_path: Path
) -> None:
    """A user that signs in as another one learns it at once."""
    issuer.user = "bob"
    ran = login(server, tmp_path)
    assert "signed in as bob" in ran.out
    assert ran.code == 7
