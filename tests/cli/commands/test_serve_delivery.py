"""`pop3 serve` accepts mail: what comes in by LMTP and SMTP goes out by POP3."""

from __future__ import annotations

import contextlib
import os
import signal
import smtplib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from delivery.door import Peer
from support.live import PATIENCE, Client, wait_until
from support.process import POP3, Served, free_port, serving, wait_for_port
from support.programs import need

ODD = [
    b"",
    b"\r\n",
    b".\r\n",
    b"..\r\n.\r\n...\r\n",
    b"Subject: a\r\n\r\nhello\r\n",
    b"Subject: a\r\n\r\na lone\rCR\r\r\nand two\r\r\r\n",
    b"Subject: a\r\n\r\nNUL\0 and latin \xe9\xff\r\n",
    b"Subject: a\r\n\r\n" + b"x" * 300_000 + b"\r\n",
    b"Subject: a\r\n\r\nFrom ann\r\n>From bob\r\n",
    "Subject: grün\r\n\r\ngrün\r\n".encode(),
    b"no header\r\n",
    b"\r\n".join([b"0123456789" * 7] * 20_000) + b"\r\n",
]


def lmtp(folder: Path) -> Peer:
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(str(folder / "lmtp"))
    return Peer(connected)


def send(peer: Peer, recipient: bytes, message: bytes) -> bytes:
    peer.say(b"MAIL FROM:<bob@example.org>")
    peer.say(b"RCPT TO:<%b>" % recipient)
    assert peer.say(b"DATA").startswith(b"354 ")
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    return peer.say((b"." if stuffed.startswith(b".") else b"") + stuffed + b".")


def retrieve(client: Client, number: int) -> bytes:
    assert client.say(f"RETR {number}").startswith(b"+OK")
    lines = client.read_lines()
    return b"".join(line[1:] if line.startswith(b".") else line for line in lines)


def test_what_comes_in_goes_out_octet_for_octet(tmp_path: Path) -> None:
    """A message from LMTP is retrieved by POP3 octet for octet."""
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp") as served:
        served.add("ann@example.com", "secret")
        with lmtp(tmp_path) as peer:
            peer.reply()
            peer.say(b"LHLO me")
            for message in ODD:
                assert send(peer, b"ann@example.com", message) == b"250 2.0.0 delivered\r\n"
        top = b"Return-Path: <bob@example.org>\r\nDelivered-To: ann@example.com\r\n"
        with served.connect() as client:
            client.log_in("ann@example.com", "secret")
            client.say("LIST")
            sizes = [int(line.split()[1]) for line in client.read_lines()]
            got = [retrieve(client, number) for number in range(1, len(ODD) + 1)]
        assert got == [top + message for message in ODD]
        assert sizes == [len(message) for message in got]
        assert served.stop() == 0
        assert not (tmp_path / "lmtp").exists()
        log = served.log.read_text()
    assert "level=error" not in log
    assert f"event=listening address=unix:{tmp_path}/lmtp way=lmtp" in log


def test_a_port_of_this_machine_will_do(tmp_path: Path) -> None:
    """LMTP listens on a port of this machine as well as on a Unix socket."""
    port = free_port()
    with serving(tmp_path, "--lmtp", f"127.0.0.1:{port}") as served:
        served.add("ann", "secret")
        with smtplib.LMTP("127.0.0.1", port, timeout=PATIENCE) as client:
            client.sendmail("", ["ann@example.com"], b"Subject: a\r\n\r\n")
        assert len(list((served.mail / "ann/new").iterdir())) == 1


def test_an_account_that_was_added_just_now_gets_mail(tmp_path: Path) -> None:
    """A new account is a recipient at once."""
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp") as served, lmtp(tmp_path) as peer:
        peer.begin()
        assert peer.say(b"RCPT TO:<ann>").startswith(b"451 4.3.0 ")
        served.add("carl", "secret")
        assert peer.say(b"RCPT TO:<ann>") == b"550 5.1.1 no such user here\r\n"
        served.add("ann", "secret")
        assert peer.say(b"RCPT TO:<ann>") == b"250 2.1.5 OK\r\n"


def test_unreadable_accounts_keep_mail_queued(tmp_path: Path) -> None:
    """If accounts cannot be read now, mail stays in the sender's queue."""
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp") as served, lmtp(tmp_path) as peer:
        peer.begin()
        served.add("ann", "secret")
        for break_it in (
            lambda: served.users.write_text(""),
            served.users.unlink,
            served.users.mkdir,
        ):
            break_it()
            assert peer.say(b"RCPT TO:<ann>").startswith(b"451 4.3.0 ")
            assert peer.say(b"RCPT TO:<nobody>").startswith(b"451 4.3.0 ")
        wait_until(lambda: served.log.read_text().count("level=error event=accounts") == 3)


def test_killed_server_socket_replaced(tmp_path: Path) -> None:
    """The socket of a killed server does not stop the next start."""
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp") as served:
        served.process.kill()
        served.process.wait(PATIENCE)
    assert (tmp_path / "lmtp").exists()
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp"), lmtp(tmp_path) as peer:
        assert peer.reply().startswith(b"220 ")


def test_full_disk_defers_one_recipient(tmp_path: Path) -> None:
    """A full disk is reported only for the recipient that it affects."""
    if os.getuid() != 0:
        pytest.skip("a small file system requires root")
    with serving(tmp_path, "--lmtp", tmp_path / "lmtp") as served:
        for name in ("ann", "bob"):
            served.add(name, "secret")
        with small_disk(served.mail / "bob"), lmtp(tmp_path) as peer:
            peer.begin(b"ann", b"bob")
            peer.say(b"DATA")
            assert peer.say(b"x" * 100_000 + b"\r\n.") == b"250 2.0.0 delivered\r\n"
            assert peer.reply() == b"452 4.3.1 the disk is full, try again later\r\n"
            assert [path for path in (served.mail / "bob").rglob("*") if path.is_file()] == []
            assert send(peer, b"bob", b"small\r\n") == b"250 2.0.0 delivered\r\n"


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    command: list[str | Path] = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder]
    if subprocess.run(command, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_endless_message_bounds_memory(tmp_path: Path) -> None:
    """A peer that sends a message without end does not fill the memory."""
    config = tmp_path / "restante.toml"
    config.write_text("[delivery]\nmessage_size = 1_000_000\n")
    flags = (tmp_path, "--lmtp", tmp_path / "lmtp", "--config", config)
    with serving(*flags, measured=True) as served:
        served.add("ann", "secret")
        with lmtp(tmp_path) as peer:
            peer.begin(b"ann")
            peer.say(b"DATA")
            before = served.memory()
            served.forget_peak()
            for piece in (b"x" * 1_000_000, b"xyz\r\n" * 200_000):
                for _ in range(8):
                    peer.send(piece)
            assert peer.say(b"\r\n.") == b"552 5.3.4 the message is too big\r\n"
            assert served.memory("VmHWM") < before + 5_000_000


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[tuple[Served, int]]:
    """The demo, on ports of its own."""
    port, smtp = free_port(), free_port()
    command: list[str | Path] = [POP3, "serve", "--demo", tmp_path / "demo"]
    command += ["--listen", f"127.0.0.1:{port}", "--tls-listen", f"127.0.0.1:{free_port()}"]
    command += ["--smtp", f"127.0.0.1:{smtp}"]
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
    try:
        wait_for_port(port, process)
        folder = tmp_path / "demo"
        yield Served(process, port, folder / "mail", folder / "users", log), smtp
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def test_the_demo_ends_when_its_terminal_is_closed(demo: tuple[Served, int]) -> None:
    """SIGHUP ends the demo with exit code 0."""
    served, _ = demo
    served.process.send_signal(signal.SIGHUP)
    assert served.process.wait(PATIENCE) == 0


def test_a_developer_sends_to_the_demo_and_reads(demo: tuple[Served, int]) -> None:
    """A message sent to the demo by SMTP can be read by POP3."""
    served, port = demo
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        message = b"Subject: a\r\n\r\n.hello\r\n"
        client.sendmail("app@example.org", ["info@example.com"], message)
    with served.connect() as client:
        client.log_in("info@example.com", "restante")
        got = retrieve(client, 6).split(b"\r\n")
    assert got[:2] == [b"Return-Path: <app@example.org>", b"Delivered-To: info@example.com"]
    assert got[2].startswith(b"Received: from ")
    assert got[3].endswith(b" with ESMTP;")  # RFC 3848
    assert got[-4:] == [b"Subject: a", b"", b".hello", b""]
    wait_until(lambda: f"by SMTP to 127.0.0.1:{port}" in served.log.read_text())


def test_curl_sends_to_the_demo(demo: tuple[Served, int], tmp_path: Path) -> None:
    """curl delivers a message to the demo."""
    curl = need("curl")
    served, port = demo
    (tmp_path / "letter").write_bytes(b"Subject: a\r\n\r\nhello\r\n")
    command: list[str | Path] = [curl, "-sS", f"smtp://127.0.0.1:{port}"]
    command += ["--mail-from", "app@example.org", "--mail-rcpt", "info@example.com"]
    subprocess.run([*command, "--upload-file", tmp_path / "letter"], check=True, timeout=60)
    (file,) = (served.mail / "info@example.com/new").glob("*Q*S=*")
    assert file.read_bytes().endswith(b"Subject: a\n\nhello\n")


def test_the_demo_says_how_to_add_who_is_missing(demo: tuple[Served, int]) -> None:
    """The demo rejects an unknown recipient and names the command that adds it."""
    served, port = demo
    with smtplib.SMTP("127.0.0.1", port, timeout=PATIENCE) as client:
        client.ehlo()
        client.mail("app@example.org")
        code, text = client.rcpt("ann@example.com")
    assert code == 550
    assert b"pop3 user add NAME --users " + str(served.users).encode() in text


def test_a_port_that_is_taken_is_told_with_a_way_out(tmp_path: Path) -> None:
    """A taken SMTP port is an error that names the option for another one."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command: list[str | Path] = [POP3, "serve", "--demo", tmp_path / "demo"]
        command += ["--listen", f"127.0.0.1:{free_port()}", "--smtp", f"127.0.0.1:{port}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"Error: cannot listen for mail at 127.0.0.1:{port}: " in done.stderr
    assert "choose another one; the option is --smtp HOST:PORT" in done.stderr


def test_pam_cannot_be_asked_who_gets_mail(tmp_path: Path) -> None:
    """PAM cannot list recipients, so this configuration is an error."""
    config = tmp_path / "restante.toml"
    config.write_text(
        '[mail]\nfolder = "."\n[accounts]\npam = "x"\n'
        '[delivery]\nlmtp = "/nowhere/lmtp"\nrecipients = "accounts"\n'
    )
    command: list[str | Path] = [POP3, "serve", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "delivery.recipients: PAM cannot list accounts" in done.stderr
