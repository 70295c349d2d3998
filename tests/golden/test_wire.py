"""The octets of the server on sockets: POP3 by the transcripts, LMTP and SMTP."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from delivery.door import Peer, listening
from golden.recording import compare, masked, sections, shown
from restante.server.connection.transport import ListenerPolicy
from restante.server.tls import self_signed
from restante.server.tls.certificate_files import CertificateFiles
from restante.server.tls.certificates import Certificates
from support import transcript
from support.live import Client, serving

MESSAGES = (b"Subject: one\n\nhello\n.\n..a\n", b"Subject: two\r\n\r\nno end", b"", b"\n" * 3)


class Recorder:
    """A client that notes what it sends and gets."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lines: list[str] = []

    def send(self, octets: bytes) -> None:
        self.lines += [f"C: {shown(line)}" for line in octets.splitlines(keepends=True)]
        self.client.send(octets)

    def read_line(self) -> bytes:
        line = self.client.read_line()
        self.lines.append(f"S: {shown(line)}" if line else "closed")
        return line

    def end(self) -> str:
        """Send no more, and return all that was said."""
        self.client.socket.shutdown(1)
        while self.read_line():
            pass
        return "\n".join(self.lines) + "\n"


@pytest.mark.parametrize("name", transcript.names())
def test_pop3(name: str) -> None:
    """A transcript leaves some ends of lines open; here each octet of the server stands."""
    script = transcript.read(name)
    offer = script.make_offer()
    with serving(settings=script.make_settings(), offer=lambda: offer) as live:
        for user, (password, messages) in script.mailboxes.items():
            live.add(user, password, *messages)
        with live.connect() as client:
            recorder = Recorder(client)
            transcript.play(name, script, recorder.send, recorder.read_line)
            closed = recorder.lines[-1] == "closed"
            text = "\n".join(recorder.lines) + "\n" if closed else recorder.end()
    compare(f"wire/{name}.txt", text)


LETTER = "Subject: a\r\n\r\n..hello\r\n.\r\n"
ANN = "<ann@example.com>"
BEGIN = ["LHLO me", "MAIL FROM:<bob@example.org>", f"RCPT TO:{ANN}"]

LMTP = {
    "delivery": [*BEGIN, "RCPT TO:<bob@example.com>", "DATA", LETTER, "QUIT"],
    "a bounce": ["LHLO me", "MAIL FROM:<>", f"RCPT TO:{ANN}", "DATA", LETTER, "QUIT"],
    "no user": ["LHLO me", "MAIL FROM:<>", "RCPT TO:<no@example.com>", "DATA", "QUIT"],
    "some users": [*BEGIN, "RCPT TO:<no@example.com>", "DATA", LETTER, "QUIT"],
    "twice": [*BEGIN, "DATA", LETTER, *BEGIN[1:], "DATA", LETTER, "QUIT"],
    "order": ["MAIL FROM:<>", f"RCPT TO:{ANN}", "DATA", "LHLO me", f"RCPT TO:{ANN}", "DATA",
              "MAIL FROM:<>", "MAIL FROM:<>", "DATA", "LHLO me", "DATA", "QUIT"],
    "reset": [*BEGIN, "RSET", f"RCPT TO:{ANN}", "DATA", "QUIT"],
    "other commands": ["NOOP", "NOOP x", "HELP", "HELP MAIL", "HELP X", "VRFY ann@example.com",
                       "VRFY", "EXPN x", "RSET x", "QUIT x", "STARTTLS", "AUTH PLAIN", "BDAT 1",
                       "HELO me", "EHLO me", "LHLO", "LHLO me", "VRFY ann@example.com", "HELP",
                       "XYZ", "", " ", "lhlo me", "QUIT"],
    "parameters": ["LHLO me", "MAIL FROM:<a@b> SIZE=5 BODY=8BITMIME SMTPUTF8", "RSET",
                   "MAIL FROM:<a@b> SIZE=200000", "MAIL FROM:<a@b> SIZE=x",
                   "MAIL FROM:<a@b> BODY=BINARYMIME", "MAIL FROM:<a@b> SMTPUTF8=1",
                   "MAIL FROM:<a@b> AUTH=<>", "MAIL FROM:<a@b> X=1", "MAIL FROM:<a@b> BODY=7BIT",
                   f"RCPT TO:{ANN} NOTIFY=NEVER", f"RCPT TO:{ANN} X", "QUIT"],
    "addresses": ["LHLO me", "MAIL", "MAIL FROM", "MAIL FROM:", "MAIL TO:<a@b>",
                  "MAIL FROM:a@b", "RSET", "MAIL FROM: <a@b>", "RSET", "MAIL FROM:<a@b", "RSET",
                  "MAIL FROM:<a b@c>", "RSET", "MAIL FROM:<@x,@y:a@b>", "RSET", "MAIL FROM:<a>",
                  "RSET", 'MAIL FROM:<"a b"@c>', "RSET", "mail from:<a@b>", "RCPT", "RCPT TO",
                  "RCPT TO:", "RCPT TO:<>", "RCPT FROM:<a@b>", "RCPT TO:ann@example.com",
                  "RCPT TO:<ann@example.com", "rcpt to:<ANN@EXAMPLE.COM>",
                  "RCPT TO:<ann+lists@example.com>", "RCPT TO:<@x:ann@example.com>",
                  "RCPT TO:<../ann>", "RCPT TO:<ann>", "RCPT TO:<\u00e4@example.com>", "QUIT"],
    "long lines": ["LHLO " + "x" * 600, "NOOP " + "x" * 5000, "QUIT"],
    "too much mail": [*BEGIN, "DATA", "x" * 90_000 + "\r\n.\r\n", "QUIT"],
    "odd line ends": [*BEGIN, "DATA", "a\nb\rc\r\n.\n\n.\r\n.\r\n", "QUIT"],
}  # fmt: skip

SMTP = {
    "delivery": ["EHLO me", *BEGIN[1:], "DATA", LETTER, "QUIT"],
    "HELO": ["HELO me", *BEGIN[1:], "RCPT TO:<no@example.com>", "DATA", LETTER, "QUIT"],
    "LHLO": ["LHLO me", "MAIL FROM:<>", "EHLO", "HELO", "EHLO me", "HELP", "QUIT"],
    "two recipients": ["EHLO me", *BEGIN[1:], "RCPT TO:<bob@example.com>", "DATA", LETTER, "QUIT"],
}


@pytest.mark.parametrize("protocol", ["lmtp", "smtp"])
def test_delivery(protocol: str, tmp_path: Path) -> None:
    """The dialogues of LMTP and SMTP, and the stored messages, are those of the golden file."""
    with listening(tmp_path, message_size=80_000) as door:
        connect, talks = {"lmtp": (door.connect, LMTP), "smtp": (door.connect_smtp, SMTP)}[protocol]
        parts = []
        for title, said in talks.items():
            with connect() as peer:
                parts.append((title, _talk(peer, said)))
        kept = [
            (f"kept for {owner}", "\n".join(map(shown, message.splitlines(keepends=True))))
            for owner, message in door.store.came
        ]
    text = masked(sections(parts + kept), {socket.getfqdn(): "HOST", socket.gethostname(): "HOST"})
    compare(f"wire/{protocol}.txt", text)


def _talk(peer: Peer, said: list[str]) -> str:
    lines = [f"S: {shown(peer.reply())}"]
    for line in said:
        octets = (line if line.endswith("\r\n") else line + "\r\n").encode()
        short = octets if len(octets) < 100 else octets[:20] + b"...\r\n"
        lines += [f"C: {shown(part)}" for part in short.splitlines(keepends=True)]
        peer.send(octets)
        while reply := peer.file.readline():
            lines.append(f"S: {shown(reply)}")
            if reply[3:4] != b"-":
                break
    more = peer.rest()
    lines += [f"S: {shown(line)}" for line in more.splitlines(keepends=True)]
    return "\n".join([*lines, "closed"])


def test_stls(tmp_path: Path) -> None:
    """A whole maildrop over STLS, with all commands of the session in one packet."""
    made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",))
    files = CertificateFiles(tmp_path / "cert.pem", tmp_path / "key.pem")
    files.certificate.write_bytes(made.certificate)
    files.key.write_bytes(made.key)
    context = ssl.create_default_context(cafile=str(files.certificate))
    with serving(endpoint=ListenerPolicy(certificates=Certificates([files]))) as live:
        live.add("ann", "secret", *MESSAGES)
        with live.connect() as client:
            recorder = Recorder(client)
            recorder.read_line()
            recorder.send(b"CAPA\r\n")
            while recorder.read_line() != b".\r\n":
                pass
            recorder.send(b"STLS\r\n")
            recorder.read_line()
            client.start_tls(context, "localhost")
            recorder.send(PIPELINE)
            while recorder.read_line():
                pass
    compare("wire/stls.txt", "\n".join(recorder.lines) + "\n")


PIPELINE = (
    b"CAPA\r\nUSER ann\r\nPASS secret\r\nCAPA\r\nSTAT\r\nLIST\r\nUIDL\r\nRETR 1\r\nRETR 2\r\n"
    b"RETR 3\r\nTOP 4 2\r\nTOP 1 1\r\nDELE 1\r\nLIST\r\nUIDL 1\r\nRSET\r\nDELE 2\r\n"
    b"NOOP\r\nSTAT\r\nQUIT\r\n"
)
