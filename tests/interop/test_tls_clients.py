"""Other projects' programs log in over both kinds of TLS, by every mechanism they know."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pexpect
import pytest

from interop.fetchers import run
from support.live import PATIENCE
from support.process import Served, serving_tls
from support.programs import need, need_scram

PASSWORD = "open sesame"
LETTER = b"Subject: a\n\n.one\ntwo\n"
AS_FETCHED = b"Subject: a\n\n.one\ntwo\n"


@dataclass(frozen=True)
class Secured:
    """A server with TLS, and what a client must trust."""

    served: Served
    tls_port: int
    certificate: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    folder = tmp_path_factory.mktemp("tls")
    with serving_tls(folder, "") as served:
        served.add("ann@example.com", PASSWORD, LETTER)
        yield Secured(served, served.tls_port, folder / "certificate.pem")
        assert served.stop() == 0
        log = served.log.read_text()
        assert "level=error" not in log
        assert PASSWORD not in log


def private(file: Path, text: str) -> Path:
    file.touch(mode=0o600)
    file.write_text(text)
    return file


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "*"])
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "STLS"])
def test_curl_logs_in(secured: Secured, tmp_path: Path, mechanism: str, *, implicit: bool) -> None:
    """curl logs in over TLS by each of its mechanisms."""
    curl = need("curl")
    netrc = private(
        tmp_path / "netrc", f'machine localhost login ann@example.com password "{PASSWORD}"\n'
    )
    port = secured.tls_port if implicit else secured.served.port
    url = f"pop3{'s' if implicit else ''}://localhost:{port}/1"
    command = [curl, "--silent", "--show-error", "--noproxy", "*", "--ipv4", "--ssl-reqd"]
    command += ["--cacert", str(secured.certificate), "--netrc-file", str(netrc)]
    said = run([*command, "--login-options", f"AUTH={mechanism}", url], tmp_path)
    assert said.replace(b"\r\n", b"\n") == AS_FETCHED


@pytest.mark.parametrize("mechanism", ["scram-sha-256", "plain", "login", "user"])
@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "STLS"])
def test_mpop_logs_in(secured: Secured, tmp_path: Path, mechanism: str, *, implicit: bool) -> None:
    """mpop logs in over TLS by each of its mechanisms."""
    mpop = need_scram("mpop") if "scram" in mechanism else need("mpop")
    port = secured.tls_port if implicit else secured.served.port
    file = private(
        tmp_path / "mpoprc",
        f"""\
account default
host 127.0.0.1
port {port}
timeout {PATIENCE}
tls on
tls_starttls {"off" if implicit else "on"}
tls_trust_file {secured.certificate}
auth {mechanism}
user ann@example.com
password "{PASSWORD}"
keep on
received_header off
uidls_file {tmp_path}/uidls
delivery mda cat >{tmp_path}/got
""",
    )
    run([mpop, "--quiet", f"--file={file}"], tmp_path)
    assert (tmp_path / "got").read_bytes() == AS_FETCHED


@pytest.mark.parametrize("implicit", [True, False], ids=["implicit", "STLS"])
def test_fetchmail_logs_in(secured: Secured, tmp_path: Path, *, implicit: bool) -> None:
    """fetchmail logs in over TLS."""
    fetchmail = need("fetchmail")
    port = secured.tls_port if implicit else secured.served.port
    way = "ssl" if implicit else 'sslproto "auto"'
    file = private(
        tmp_path / "fetchmailrc",
        f"""\
set invisible
set idfile "{tmp_path}/ids"
set pidfile "{tmp_path}/pid"
poll 127.0.0.1 service {port} protocol pop3 timeout {PATIENCE}
  user "ann@example.com" password "{PASSWORD}" {way} sslcertck sslcertfile {secured.certificate}
  sslcommonname localhost
  no rewrite keep mda "cat >{tmp_path}/got"
""",
    )
    run([fetchmail, "--silent", "-f", str(file)], tmp_path)
    assert (tmp_path / "got").read_bytes() == AS_FETCHED


def test_openssl_starts_tls_and_speaks_by_hand(secured: Secured, tmp_path: Path) -> None:
    """A session can be typed into `openssl s_client` after STLS."""
    command = [need("openssl"), "s_client", "-quiet", "-crlf", "-verify_return_error"]
    command += ["-CAfile", str(secured.certificate), "-starttls", "pop3"]
    command += ["-connect", f"127.0.0.1:{secured.served.port}"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(f"USER ann@example.com\nPASS {PASSWORD}\nSTAT\nQUIT\n".encode())
        process.stdin.flush()
        said = process.stdout.read()
    assert said.endswith(b"+OK\r\n+OK Logged in.\r\n+OK 1 25\r\n+OK Logging out.\r\n")


def test_mutt_fetches_and_deletes(secured: Secured, tmp_path: Path) -> None:
    """mutt fetches a message over TLS and deletes it."""
    program = need("mutt")
    letter = b"From: Ann <ann@example.com>\n" + LETTER
    maildir = secured.served.add("bob@example.com", PASSWORD, letter)
    box = tmp_path / "box"
    box.touch()
    file = private(
        tmp_path / "muttrc",
        f"""\
set ssl_ca_certificates_file="{secured.certificate}"
set pop_host="pops://bob%40example.com@localhost:{secured.tls_port}"
set pop_pass="{PASSWORD}"
set pop_delete=yes
set spoolfile="{box}"
set folder="{tmp_path}"
set quit=yes delete=yes confirmcreate=no record=""
push "<fetch-mail><quit>"
""",
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TERM": "vt100",
        "LC_ALL": "C",
    }
    mutt = pexpect.spawn(
        program, ["-n", "-F", str(file), "-f", str(box)], env=environment, timeout=PATIENCE
    )
    mutt.expect(pexpect.EOF)
    mutt.close()
    assert b"\n\n.one\ntwo\n" in box.read_bytes(), mutt.before
    assert list((maildir / "new").iterdir()) == []
