"""A real Postfix, set up as docs/how-to/submission.md says, has Restante authenticate its users."""

from __future__ import annotations

import re
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import scramp
import trustme

from support.live import PATIENCE, wait_until
from support.mail_host import Site, mail_host, running
from support.postfix import Postfix
from support.process import free_port, wait_for_port
from support.programs import need, need_scram

PAGES = Path(__file__).parents[2] / "docs/how-to"
BLOCK = re.compile(r"```(?:toml|ini)\n(.*?)```", re.DOTALL)
POSTFIX = BLOCK.findall((PAGES / "postfix.md").read_text())
CONFIG, MAIN, MASTER = BLOCK.findall((PAGES / "submission.md").read_text())[:3]
HELPERS = "tlsmgr unix - - y 1000? 1 tlsmgr\nanvil unix - - y - 1 anvil\n"
QUICK = "smtpd_client_restrictions =\nsmtpd_error_sleep_time = 0\n"

ANN, BOB, PASSWORD = "ann@example.com", "bob@example.com", "secret"
WRONG = b"5.7.8 Error: authentication failed: Name or password is wrong."


@dataclass
class Host:
    """Postfix with its two ports for users, and the server that it asks."""

    site: Site
    mta: Postfix
    implicit: int  # the port with TLS from the first octet
    starttls: int
    authority: Path

    @property
    def log(self) -> str:
        return (self.site.folder / "log").read_text()

    def connect(self) -> smtplib.SMTP:
        """Return a connection with TLS."""
        client = smtplib.SMTP("127.0.0.1", self.starttls, timeout=PATIENCE)
        client.starttls(context=ssl.create_default_context(cafile=str(self.authority)))
        client.ehlo()
        return client

    def note(self, mechanism: str) -> str:
        """Return what Postfix writes of a user that logs in."""
        return f"sasl_method={mechanism}, sasl_username={ANN}"


@pytest.fixture(scope="module")
def host(pop3_for_nobody: Path) -> Iterator[Host]:
    with mail_host(pop3_for_nobody, POSTFIX[0] + CONFIG, ANN, BOB) as site:
        certificates = site.folder / "letsencrypt/live/mail.example.com"
        certificates.mkdir(parents=True)
        authority = trustme.CA()
        issued = authority.issue_cert("localhost", "127.0.0.1")
        issued.private_key_pem.write_to_path(certificates / "privkey.pem")
        issued.cert_chain_pems[0].write_to_path(certificates / "fullchain.pem")
        authority.cert_pem.write_to_path(site.folder / "ca.pem")
        ports = free_port(), free_port()
        master = re.sub("^submissions ", f"127.0.0.1:{ports[0]} ", MASTER, flags=re.MULTILINE)
        master = re.sub("^submission ", f"127.0.0.1:{ports[1]} ", master, flags=re.MULTILINE)
        main = (POSTFIX[1] + MAIN + QUICK).replace("/etc/letsencrypt", f"{site.folder}/letsencrypt")
        with running(site, main, HELPERS + master) as mta:
            for port in ports:
                wait_for_port(port, mta.process)
            yield Host(site, mta, *ports, site.folder / "ca.pem")


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_curl(host: Host, tmp_path: Path, mechanism: str) -> None:
    """A user of curl sends a message to another account of the host, which gets it."""
    curl = need("curl")
    letter = tmp_path / "letter"
    letter.write_text(f"Subject: by {mechanism}\n\nhello\n")
    command = [
        *(curl, "--silent", "--show-error", "--cacert", str(host.authority)),
        *("--upload-file", str(letter)),
        *("--user", f"{ANN}:{PASSWORD}", "--login-options", f"AUTH={mechanism}"),
        *("--mail-from", ANN, "--mail-rcpt", BOB, f"smtps://localhost:{host.implicit}"),
    ]
    subprocess.run(command, check=True, timeout=PATIENCE)
    host.mta.wait_for(host.note(mechanism))
    wait_until(lambda: f"event=delivered via=lmtp user={BOB}" in host.log)
    line = rf"event=login address=127\.0\.0\.1 user={ANN} method=password tls=yes service=smtp"
    wait_until(lambda: re.search(line, host.log))


@pytest.mark.parametrize("mechanism", ["plain", "login", "scram-sha-256"])
def test_msmtp(host: Host, mechanism: str) -> None:
    """msmtp logs in by passwords and by SCRAM."""
    msmtp = need_scram("msmtp") if "scram" in mechanism else need("msmtp")
    command = [
        *(msmtp, "--host=127.0.0.1", f"--port={host.starttls}", "--tls=on", "--from", ANN),
        *(f"--tls-trust-file={host.authority}", f"--auth={mechanism}", f"--user={ANN}"),
        *(f"--passwordeval=echo {PASSWORD}", BOB),
    ]
    done = subprocess.run(
        command, input=b"Subject: a\n\n", check=False, capture_output=True, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stderr + host.mta.log.encode()
    host.mta.wait_for(host.note(mechanism.upper()))


def test_swaks(host: Host) -> None:
    """swaks reads the mechanisms, and that a user may not send as another."""
    need("perl", "-MNet::SSLeay", "-e1")
    command = [
        *(need("swaks"), "--server", f"127.0.0.1:{host.starttls}", "--tls", "--auth", "PLAIN"),
        *("--auth-user", ANN, "--auth-password", PASSWORD, "--from", BOB, "--to", ANN),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert "250-AUTH SCRAM-SHA-256 PLAIN LOGIN\n" in done.stdout
    assert "235 2.7.0 Authentication successful" in done.stdout
    assert f"553 5.7.1 <{BOB}>: Sender address rejected: not owned by user {ANN}" in done.stdout


def test_wrong_password(host: Host) -> None:
    """A wrong password gets 535 and the same words as in POP3, by each mechanism."""
    with host.connect() as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        client.login(ANN, "wrong")
    assert (refused.value.smtp_code, refused.value.smtp_error) == (535, WRONG)
    wait_until(lambda: f"event=login_failed address=127.0.0.1 user={ANN}" in host.log)


def test_wrong_scram_proof(host: Host) -> None:
    """So does a wrong proof."""
    client = scramp.ScramClient(["SCRAM-SHA-256"], ANN, "wrong")

    def answer(challenge: bytes | None = None) -> str:
        if challenge is None:
            return str(client.get_client_first())
        client.set_server_first(challenge.decode())
        return str(client.get_client_final())

    with host.connect() as connection, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        connection.auth("SCRAM-SHA-256", answer)
    assert refused.value.smtp_error == WRONG


def test_cancelled(host: Host) -> None:
    """A user that cancels can begin anew on the same connection."""
    with host.connect() as client:
        assert client.docmd("AUTH", "LOGIN")[0] == 334
        assert client.docmd("*")[0] == 501
        assert client.login(ANN, PASSWORD)[0] == 235


def test_unreadable_accounts(host: Host) -> None:
    """While the accounts cannot be read, users get 454 and may retry, and then log in again."""
    users = host.site.folder / "users"
    users.rename(users.with_name("away"))
    try:
        with host.connect() as client, pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(ANN, "not remembered")
        assert refused.value.smtp_code == 454
    finally:
        users.with_name("away").rename(users)
    with host.connect() as client:
        assert client.login(ANN, PASSWORD)[0] == 235
