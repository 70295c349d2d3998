"""SCRAM at Dovecot, whose implementation shares nothing with ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from restante import blocking
from restante.protocol.errors import ServerRefusedError
from support.dovecot import Dovecot, dovecot
from support.other_user import public_folder
from support.programs import need

PASSWORD = "pencil-\u00e9"
MECHANISMS = ("SCRAM-SHA-256", "SCRAM-SHA-1")


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    need("dovecot")
    with (
        public_folder() as folder,
        dovecot(folder, PASSWORD, "auth_mechanisms = plain scram-sha-1 scram-sha-256\n") as running,
    ):
        running.maildir("ann")
        yield running


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_login(server: Dovecot, mechanism: str) -> None:
    """Both sides prove that they know the password."""
    url = f"pop3://ann@127.0.0.1:{server.port}"
    with blocking.connect(url, PASSWORD, mechanisms=(mechanism,)) as drop:
        assert drop.session.mechanism == mechanism


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_wrong_password(server: Dovecot, mechanism: str) -> None:
    """A wrong password is refused as such."""
    url = f"pop3://ann@127.0.0.1:{server.port}"
    with pytest.raises(ServerRefusedError) as caught:
        blocking.connect(url, "guess", mechanisms=(mechanism,))
    assert caught.value.code == "AUTH"
