"""Delivery to real servers: Restante and Dovecot by LMTP, Restante and Postfix by SMTP."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.door import Door, listening
from fetch.destinations.contract import ODD, deliver
from restante.fetch.destinations.smtp.address import parse_smtp_url
from restante.fetch.destinations.smtp.destination import SmtpDestination
from restante.fetch.destinations.smtp.login import Login
from restante.fetch.interfaces import DestinationUnavailableError, MessageRefusedError
from restante.protocol.secret import Secret
from support.authority import GOOD, key_of, root_file
from support.dovecot import OWNER, STORED_OWNERS, STORED_PASSWORDS, dovecot
from support.live import wait_until
from support.other_user import public_folder
from support.postfix import Postfix, postfix
from support.process import free_port, wait_for_port
from support.programs import need

HEADER = (
    b"Return-Path: <bob@example.org>\r\n"
    b"Message-ID: <%d@example.org>\r\n"
    b"Date: Fri, 27 Nov 2026 10:00:00 +0000\r\n"
    b"From: bob@example.org\r\n"
)
BODY = "Grüße\r\n.\r\n..b\r\n".encode()
LETTERS = [HEADER % number + b"\r\n" + BODY for number in range(3)]


def _destination(url: str, state: Path, password: str = "") -> SmtpDestination:
    login = Login(Secret(password.encode())) if password else None
    return SmtpDestination(url, parse_smtp_url(url), str(state), login)


def _deliver(destination: SmtpDestination, *letters: bytes) -> None:
    destination.open()
    try:
        deliver(destination, *letters)
    finally:
        destination.close()


@pytest.fixture
def restante(tmp_path: Path) -> Iterator[Door]:
    with listening(tmp_path) as door:
        yield door


def _body(message: bytes) -> bytes:
    """Return what is after the fields that a delivery adds, with CR LF ends."""
    wire = re.sub(rb"(?<!\r)\n", b"\r\n", message)
    return wire.partition(b"X-Restante-Fetch: ")[2].partition(b"\r\n")[2]


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
def test_into_restante(restante: Door, tmp_path: Path, protocol: str) -> None:
    """Restante stores what was sent, octet for octet, in one session."""
    url = f"lmtp:{restante.file}" if protocol == "lmtp" else f"smtp://127.0.0.1:{restante.port}"
    odd = [message for message in ODD if message.endswith(b"\r\n")]
    _deliver(_destination(f"{url}?rcpt=ann@example.com", tmp_path), *LETTERS, *odd)
    stored = [_body(message) for owner, message in restante.store.came]
    without = [re.sub(rb"^Return-Path.*\r\n", b"", message) for message in (*LETTERS, *odd)]
    assert stored == without
    assert {owner for owner, _ in restante.store.came} == {"ann@example.com"}


def test_restante_rejects(restante: Door, tmp_path: Path) -> None:
    """An unknown recipient rejects the message, and the text names it."""
    destination = _destination(f"lmtp:{restante.file}?rcpt=eve@example.com", tmp_path)
    with pytest.raises(MessageRefusedError, match=r"eve@.*550"):
        _deliver(destination, *LETTERS)
    assert restante.store.came == []


def test_nobody_listens(tmp_path: Path) -> None:
    """A socket that is not there is unavailable, and the text says why."""
    destination = _destination(f"lmtp:{tmp_path}/lmtp?rcpt=ann", tmp_path)
    with pytest.raises(DestinationUnavailableError, match=f"{tmp_path}/lmtp: No such file"):
        _deliver(destination, *LETTERS)


LMTP = """
protocols = pop3 lmtp
postmaster_address = postmaster@example.com
hostname = mx.example.com
quota_full_tempfail = yes
service lmtp {{
  chroot =
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""


def test_into_dovecot(tmp_path: Path) -> None:
    """Dovecot stores what was sent by LMTP, octet for octet, for each recipient."""
    need("/usr/lib/dovecot/lmtp")
    port = free_port()
    with public_folder() as folder, dovecot(folder, "secret", LMTP.format(port=port)) as server:
        boxes = [server.maildir(user) for user in ("ann", "bob")]
        url = f"lmtp:127.0.0.1:{port}?rcpt=ann&rcpt=bob"
        _deliver(_destination(url, tmp_path), *LETTERS)
        for box in boxes:
            stored = sorted(_body(file.read_bytes()) for file in (box / "new").iterdir())
            assert stored == sorted(LETTERS)


def test_dovecot_rejects_a_recipient(tmp_path: Path) -> None:
    """A recipient that Dovecot does not know is named, and the others get nothing twice."""
    need("/usr/lib/dovecot/lmtp")
    port = free_port()
    accounts = STORED_PASSWORDS + STORED_OWNERS
    with public_folder() as folder:
        (folder / "users").write_text(f"ann:{{PLAIN}}x:{OWNER[0]}:{OWNER[1]}::{folder}/home/ann\n")
        with dovecot(folder, "secret", LMTP.format(port=port), accounts) as server:
            box = server.maildir("ann")
            url = f"lmtp:127.0.0.1:{port}?rcpt=ann&rcpt=bob"
            with pytest.raises(MessageRefusedError, match="recipient bob: 550"):
                _deliver(_destination(url, tmp_path), *LETTERS)
            assert not list((box / "new").iterdir())


MASTER = "127.0.0.1:{port} inet n - n - - smtpd\n"
MAIN = """
virtual_mailbox_domains = example.com
virtual_mailbox_maps = inline:{ { ann@example.com = ann } }
virtual_transport = lmtp:unix:restante/lmtp
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_data_restrictions =
message_size_limit = 100000
"""


@contextlib.contextmanager
def _listening_for_postfix(folder: Path) -> Iterator[Door]:
    """Listen where a Postfix in this folder sees it, which has its queue as root."""
    place = folder / "queue" / "restante"
    place.mkdir(parents=True)
    for part in (place.parent, place):
        part.chmod(0o755)
    with listening(place) as door:
        door.file.chmod(0o777)
        yield door


def test_into_postfix(tmp_path: Path) -> None:
    """Postfix accepts messages by SMTP, and passes them on to Restante."""
    need("postfix")
    if os.getuid() != 0:
        pytest.skip("Postfix requires root")
    port = free_port()
    with public_folder() as folder, _listening_for_postfix(folder) as door:
        with postfix(folder, MAIN, MASTER.format(port=port)) as running:
            wait_for_port(port, running.process)
            destination = _destination(f"smtp://127.0.0.1:{port}?rcpt=ann@example.com", tmp_path)
            _deliver(destination, *LETTERS)
            with pytest.raises(MessageRefusedError, match="accepts at most 100000"):
                _deliver(destination, LETTERS[0] + b"x" * 100_000 + b"\r\n")
            eve = _destination(f"smtp://127.0.0.1:{port}?rcpt=eve@example.com", tmp_path)
            with pytest.raises(MessageRefusedError, match=r"eve@example\.com: 550"):
                _deliver(eve, LETTERS[0])
            wait_until(lambda: len(door.store.came) == len(LETTERS))
    assert all(message.startswith(b"Return-Path: <bob@") for _, message in door.store.came)
    stored = sorted(_body(message) for _, message in door.store.came)
    without = sorted(re.sub(rb"^Return-Path.*\r\n", b"", message) for message in LETTERS)
    assert stored == without


TLS_MASTER = "tlsmgr unix - - n 1000? 1 tlsmgr\n"
MECHANISMS = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256")
SASL = """
auth_mechanisms = {mechanisms}
service auth {{
  inet_listener sasl {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
SUBMISSION = """
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:127.0.0.1:{sasl}
smtpd_tls_security_level = may
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = {chain}
smtpd_sender_restrictions = permit_sasl_authenticated, reject
"""


def test_login_at_postfix(tmp_path: Path) -> None:
    """Postfix accepts mail after STARTTLS and a login that Dovecot verifies, and rejects others."""
    need("postfix")
    need("dovecot")
    if os.getuid() != 0:
        pytest.skip("Postfix requires root")
    root = root_file(tmp_path)
    sasl, ports = free_port(), {mechanism: free_port() for mechanism in MECHANISMS}
    filtered = " -o smtpd_sasl_mechanism_filter={}\n"
    master = TLS_MASTER + "".join(
        MASTER.format(port=port) + filtered.format(mechanism) for mechanism, port in ports.items()
    )
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(public_folder())
        door = stack.enter_context(_listening_for_postfix(folder))
        offered = SASL.format(mechanisms=" ".join(MECHANISMS), port=sasl)
        stack.enter_context(dovecot(stack.enter_context(public_folder()), "secret", offered))
        (chain := folder / "chain.pem").write_bytes(key_of(GOOD) + GOOD.pem)
        settings = MAIN + SUBMISSION.format(sasl=sasl, chain=chain)
        running = stack.enter_context(postfix(folder, settings, master))
        for mechanism, port in ports.items():
            wait_for_port(port, running.process)
            url = f"smtp://ann@localhost:{port}?rcpt=ann@example.com&tls=yes&cafile={root}"
            with pytest.raises(DestinationUnavailableError, match="535"):
                _deliver(_destination(url, tmp_path, "wrong"), LETTERS[0])
            assert door.store.came == []
            _deliver(_destination(url, tmp_path, "secret"), LETTERS[0])
            wait_until(lambda: len(door.store.came) == 1)
            door.store.came.clear()
            _wait_for_line(running, f"sasl_method={mechanism}, sasl_username=ann")


def _wait_for_line(running: Postfix, text: str) -> None:
    """Wait for a line of the log, which Postfix writes a moment after its reply."""
    wait_until(lambda: text in running.log)
