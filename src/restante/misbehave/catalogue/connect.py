"""Faults of the connection and the greeting."""

from __future__ import annotations

from restante.misbehave.catalogue.row import row
from restante.misbehave.changes import after, each_part, foreign, instead, repeat, status
from restante.misbehave.fault import ALL, ALL_OR_NONE, ALL_WARNED, NOTHING
from restante.protocol.server.settings import ProtocolSettings

APOP = ProtocolSettings(apop=True)


def _use_lf(octets: bytes) -> bytes:
    return octets.replace(b"\r\n", b"\n")


CONNECT = (
    row("connect-closed", "hangs up before the greeting", NOTHING,
        "greeting: close", "greet-closed"),
    row("connect-reset", "resets the connection before the greeting", NOTHING,
        "greeting: reset", "tcp-reset greet-closed"),
    row("connect-silent", "accepts the connection, and says nothing", NOTHING,
        "greeting: silence", "greet-none"),
    row("greeting-err", "greets with -ERR", NOTHING,
        "greeting: -ERR [SYS/TEMP] busy, try again later", "greet-err"),
    row("greeting-err-closed", "greets with -ERR, and hangs up", NOTHING,
        ("greeting: close at 100%", "greeting: -ERR too many connections"), "greet-err"),
    row("greeting-cut", "hangs up within the greeting", NOTHING,
        "greeting: close at 6", "greet-closed"),
    row("greeting-no-end", "sends a greeting without a line end, and waits", NOTHING,
        ("greeting: silence at 10",), "no-end"),
    row("greeting-smtp", "is an SMTP server", NOTHING,
        foreign(b"220 mail.example.com ESMTP ready", b"500 unknown command"), "wrong-protocol"),
    row("greeting-imap", "is an IMAP server", NOTHING,
        foreign(b"* OK IMAP4rev1 ready", b"* BAD unknown command"), "wrong-protocol",
        "ditesh/node-poplib#23"),
    row("greeting-http", "is a web server", NOTHING,
        foreign(b"HTTP/1.1 400 Bad Request", b"Content-Length: 0"), "wrong-protocol"),
    row("greeting-ssh", "is an SSH server", NOTHING,
        foreign(b"SSH-2.0-OpenSSH_9.6", b"Protocol mismatch."), "wrong-protocol"),
    row("greeting-words", "greets with words that are not POP3", NOTHING,
        foreign(b"Welcome!", b"What?"), "bad-reply wrong-protocol"),
    row("greeting-bare", "greets with +OK alone", ALL,
        "greeting: +OK"),
    row("greeting-lf", "ends all its lines with LF alone", ALL,
        each_part(_use_lf), "lf-ends bare-lf", "MailKit"),
    row("greeting-drip", "greets octet by octet", ALL,
        "greeting: chunks 1"),
    row("greeting-late", "greets after 150 ms", ALL,
        "greeting: wait 150ms"),
    row("greeting-endless", "greets with 4 MB without a line end", NOTHING,
        ("greeting: close at 100%", instead("GREETING", lambda _: repeat(b"+OK ", 1_000_000))),
        "bad-reply", "CPython test_too_long_lines"),
    row("greeting-twice", "greets with two lines", ALL_OR_NONE,
        after("GREETING", b"+OK second greeting\r\n"), "desync"),
    row("greeting-empty-line", "sends an empty line before the greeting", ALL_OR_NONE,
        status("GREETING", lambda reply: b"\r\n" + reply.status.rstrip()), "odd-reply"),
    row("greeting-telnet", "negotiates telnet options before the greeting", ALL_OR_NONE,
        status("GREETING", lambda reply: b"\xff\xfb\x01\xff\xfd\x03" + reply.status.rstrip()),
        "odd-reply"),
    row("greeting-bom", "sends a byte order mark before the greeting", ALL_OR_NONE,
        status("GREETING", lambda reply: b"\xef\xbb\xbf" + reply.status.rstrip()), "odd-reply"),
    row("greeting-8bit", "greets in Latin-1", ALL,
        status("GREETING", "+OK Grüß Gott".encode("latin-1"))),
    row("apop-anywhere", "puts the APOP timestamp before the words of the greeting", ALL_WARNED,
        status("GREETING", lambda reply: b"+OK " + reply.status.split()[-1] + b" is the time"),
        seen="MailKit#529", settings=APOP),
    row("apop-8bit", "has octets beyond ASCII in the APOP timestamp", ALL_OR_NONE,
        status("GREETING", b"+OK ready <17.\xe4\xff@example.com>")),
    row("apop-empty", "has an empty APOP timestamp", ALL_OR_NONE,
        status("GREETING", b"+OK ready <>")),
    row("apop-closed", "offers APOP, and hangs up when a client uses it", ALL_OR_NONE,
        "APOP: close", seen="MailKit#539", settings=APOP),
    row("apop-refused", "offers APOP, and accepts only the password", ALL_OR_NONE,
        "APOP: -ERR unknown command", settings=APOP),
)  # fmt: skip
