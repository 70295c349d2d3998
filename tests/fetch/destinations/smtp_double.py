"""An SMTP or LMTP server whose replies a test decides."""

from __future__ import annotations

import contextlib
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from support.live import PATIENCE

CLOSE = b""
"""As a reply: the server closes the connection instead."""
HANG = b"hang"
"""As a reply: the server says nothing until the test is over."""

DRIP = b"drip"
"""As a reply: the server sends an octet of a line each 10 ms, until the test is over."""

FLOOD = b"flood"
"""As a reply: the server sends lines until the client hangs up."""

Answer = bytes | Callable[[bytes], bytes]


@dataclass
class Received:
    """A message that the server accepted. It is in a file, since the tests measure memory."""

    mail: bytes
    recipients: list[bytes]
    file: Path

    @property
    def octets(self) -> bytes:
        return self.file.read_bytes()


@dataclass
class SmtpDouble:
    """A server that accepts all, and says in `answers`, by verb, what it says instead.

    The verbs are those of SMTP, GREETING, BODY for what it says instead of reading the message, and
    END for what follows the final dot. An answer may be a function of the line.
    """

    port: int
    lmtp: bool
    folder: Path
    features: list[bytes] = field(default_factory=lambda: [b"8BITMIME", b"SMTPUTF8", b"SIZE 0"])
    answers: dict[bytes, Answer] = field(default_factory=dict)
    lines: list[bytes] = field(default_factory=list)
    received: list[Received] = field(default_factory=list)
    sessions: int = 0
    ended: threading.Event = field(default_factory=threading.Event)  # a session, the last one
    tls: ssl.SSLContext | None = None
    at_once: bool = False  # TLS before the greeting
    auth: Callable[[list[bytes]], bytes] = lambda _: b"535 5.7.8 no"  # by the lines so far
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def verbs(self) -> list[bytes]:
        """The verbs of all commands that came."""
        return [line.split(b" ")[0].upper() for line in self.lines]


@contextlib.contextmanager
def smtp_double(*, lmtp: bool = False) -> Iterator[SmtpDouble]:
    """Run a server on loopback while the block runs."""
    with (
        tempfile.TemporaryDirectory() as folder,
        socket.create_server(("127.0.0.1", 0)) as listening,
    ):
        double = SmtpDouble(listening.getsockname()[1], lmtp, Path(folder))
        threads: list[threading.Thread] = []
        connections: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    connected = listening.accept()[0]
                except OSError:
                    return
                double.sessions += 1
                connections.append(connected)
                threads.append(thread := threading.Thread(target=_serve, args=(double, connected)))
                thread.start()

        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield double
        finally:
            double.over.set()
            for each in (listening, *connections):
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
            for thread in (accepting, *threads):
                thread.join(PATIENCE)


def _serve(double: SmtpDouble, connected: socket.socket) -> None:
    connected.settimeout(PATIENCE)
    with contextlib.suppress(OSError), contextlib.closing(_Session(double, connected)) as session:
        session.run()
    double.ended.set()


class _EndError(OSError):
    pass


class _Session:
    def __init__(self, double: SmtpDouble, connected: socket.socket) -> None:
        self._double = double
        self._socket = connected
        self._file = connected.makefile("rb")
        self._mail = b""
        self._recipients: list[bytes] = []

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def run(self) -> None:
        if self._double.at_once:
            self._start_tls()
        self._say(b"GREETING", b"", b"220 double")
        while line := self._file.readline():
            self._double.lines.append(line.rstrip(b"\r\n"))
            verb = line.split()[0].upper() if line.split() else b""
            self._handler(verb)(verb, line)

    def _handler(self, verb: bytes) -> Callable[[bytes, bytes], None]:
        return {
            b"EHLO": self._ehlo,
            b"LHLO": self._ehlo,
            b"AUTH": self._auth,
            b"STARTTLS": self._starttls,
            b"MAIL": self._mail_from,
            b"RCPT": self._rcpt,
            b"DATA": self._data,
            b"QUIT": self._quit,
        }.get(verb, self._other)

    def _say(self, verb: bytes, line: bytes, usual: bytes) -> bool:
        """Answer, and return whether that was friendly."""
        said = self._find_answer(verb, line, usual)
        self._send(said)
        return said[:1] == usual[:1]

    def _find_answer(self, verb: bytes, line: bytes, usual: bytes) -> bytes:
        answer = self._double.answers.get(verb, usual)
        return answer(line) if callable(answer) else answer

    def _send(self, said: bytes) -> None:
        if said == HANG:
            self._double.over.wait(PATIENCE)
        if said in (DRIP, FLOOD):
            self._pour(said)
        if said in (HANG, DRIP, FLOOD, CLOSE):
            raise _EndError
        self._socket.sendall(said + b"\r\n")

    def _pour(self, how: bytes) -> None:
        piece, pause = (b"2", 0.01) if how == DRIP else (b"250-more\r\n" * 1000, 0)
        while not self._double.over.wait(pause):
            self._socket.sendall(piece)

    def _other(self, verb: bytes, line: bytes) -> None:
        self._say(verb, line, b"250 ok")

    def _ehlo(self, verb: bytes, line: bytes) -> None:
        lines = [b"double", *self._double.features]
        *before, last = lines
        reply = b"".join(b"250-%b\r\n" % each for each in before) + b"250 " + last
        self._say(verb, line, reply)

    def _starttls(self, verb: bytes, line: bytes) -> None:
        if self._say(verb, line, b"220 go on"):
            self._start_tls()

    def _start_tls(self) -> None:
        assert self._double.tls
        self._file.close()
        self._socket = self._double.tls.wrap_socket(self._socket, server_side=True)
        self._file = self._socket.makefile("rb")

    def _auth(self, verb: bytes, line: bytes) -> None:
        lines = [line.rstrip(b"\r\n")]
        while (reply := self._double.auth(lines)).startswith(b"334"):
            self._socket.sendall(reply + b"\r\n")
            lines.append(self._file.readline().rstrip(b"\r\n"))
        self._say(b"AUTH", line, reply)

    def _mail_from(self, verb: bytes, line: bytes) -> None:
        if self._say(verb, line, b"250 ok"):
            self._mail, self._recipients = line.rstrip(b"\r\n"), []

    def _rcpt(self, verb: bytes, line: bytes) -> None:
        if self._say(verb, line, b"250 ok"):
            self._recipients.append(line.rstrip(b"\r\n")[8:].partition(b">")[0].lstrip(b"<"))

    def _data(self, verb: bytes, line: bytes) -> None:
        if not self._say(verb, line, b"354 go on"):
            return
        if b"BODY" in self._double.answers:  # instead of reading the message
            self._say(b"BODY", b"", b"")
        file = self._double.folder / f"{id(self)}-{len(self._double.lines)}"
        with file.open("wb") as output:
            while (row := self._file.readline()) != b".\r\n":
                if not row:
                    raise _EndError
                output.write(row.removeprefix(b"."))
        answered = self._recipients if self._double.lmtp else [b""]
        replies = [self._find_answer(b"END", each, b"250 ok") for each in answered]
        accepted = [
            each for each, said in zip(answered, replies, strict=True) if said.startswith(b"2")
        ]
        if accepted and not {HANG, DRIP, FLOOD, CLOSE} & {*replies}:
            whole = accepted if self._double.lmtp else self._recipients
            self._double.received.append(Received(self._mail, whole, file))  # before its reply
        for said in replies:
            self._send(said)

    def _quit(self, verb: bytes, line: bytes) -> None:
        self._say(verb, line, b"221 bye")
        raise _EndError
