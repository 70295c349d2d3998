"""Clients and senders of a cluster, and the ledger of what the servers have confirmed.

The clients are Python's own poplib and smtplib. Each client has an address of its own, since
HAProxy chooses the node by the address.
"""

from __future__ import annotations

import contextlib
import hashlib
import poplib
import smtplib
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from cluster_demo.parts import PASSWORD, Cluster

PATIENCE = 15  # seconds for each reply
PAUSE = 0.2  # seconds before a client that was rejected tries again
MARK = b"X-Demo: "

poplib._MAXLINE = 1_000_000  # type: ignore[attr-defined]  # noqa: SLF001  # of a list of unique-ids


class Pop3(poplib.POP3):
    """A client with an address of its own."""

    def __init__(self, port: int, address: str) -> None:
        self._address = address
        super().__init__("127.0.0.1", port, timeout=PATIENCE)

    def _create_socket(self, timeout: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout, (self._address, 0))


@dataclass
class Letter:
    """A message, and what the servers have said about it."""

    user: str
    digest: bytes
    tries: int = 0  # a sender without a reply sends again, so there may be this many copies
    delivered: bool = False  # 250
    removed: bool = False  # +OK after QUIT
    doubtful: bool = False  # QUIT was sent, and no reply came, or an error


@dataclass
class Ledger:
    """The messages that were sent and confirmed. All threads share it."""

    letters: dict[str, Letter] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    waits: dict[str, float] = field(default_factory=dict)  # seconds, by user of a broken session
    doubts: list[list[str]] = field(default_factory=list)  # letters of each such QUIT
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def post(self, user: str, octets: int) -> tuple[str, bytes]:
        """Return a new letter of about this size, and its name."""
        with self.lock:
            name = f"{len(self.letters)}"
            body = MARK + name.encode() + b"\r\nSubject: letter\r\n\r\n"
            body += b"The quick brown fox jumps over the lazy dog.\r\n" * (octets // 46 + 1)
            self.letters[name] = Letter(user, hashlib.sha256(body).digest())
        return name, body

    def __iter__(self) -> Iterator[tuple[str, Letter]]:
        return iter(self.letters.items())


def identify(lines: Iterable[bytes]) -> tuple[str, bytes]:
    """Return the name and the digest of a letter that was retrieved."""
    text = b"".join(line + b"\r\n" for line in lines)
    body = text[text.index(MARK) :]
    return body[len(MARK) : body.index(b"\r\n")].decode(), hashlib.sha256(body).digest()


def is_reply(error: Exception) -> bool:
    """Return whether an error of poplib is a reply of the server, and no lost connection."""
    return isinstance(error, poplib.error_proto) and isinstance(error.args[0], bytes)


class Load:
    """Threads that read and send until they are stopped."""

    def __init__(self, cluster: Cluster, users: list[str], ledger: Ledger) -> None:
        self.cluster = cluster
        self.users = users
        self.ledger = ledger
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, readers: int, senders: int) -> None:
        """Start the threads; each reader has users of its own."""
        for number in range(readers):
            self._begin(self._read, number, self.users[number::readers])
        for number in range(senders):
            self._begin(self._send, number)

    def stop(self) -> None:
        """Let each thread end what it does."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def fill(self, letters: int) -> None:
        """Deliver letters to each user."""
        for number in range(letters):
            for user in self.users:
                self._deliver(user, 60_000 if number == 0 else 2_000, 0)

    def _begin(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _send(self, number: int) -> None:
        """Deliver one letter after the other, as an MTA beside a node does."""
        turn = number
        while not self._stop.is_set():
            user = self.users[turn % len(self.users)]
            self._deliver(user, 60_000 if turn % 10 == 0 else 2_000, number)
            turn += 7

    def _deliver(self, user: str, octets: int, first: int) -> None:
        """Deliver a letter by the sender's own node, or by another one if that is down."""
        name, body = self.ledger.post(user, octets)
        letter, nodes = self.ledger.letters[name], self.cluster.nodes
        while not (letter.delivered or self._stop.is_set()):
            node = nodes[(first + letter.tries) % len(nodes)]
            letter.tries += 1
            try:
                with smtplib.LMTP(str(node.lmtp)) as mta:
                    mta.sendmail("bob@example.org", [user], body)
            except (OSError, smtplib.SMTPException):
                self.ledger.count("sent again")
                time.sleep(PAUSE)
                continue
            letter.delivered = True
            self.ledger.count("delivered")

    def _read(self, number: int, users: list[str]) -> None:
        """Read the mail of some users in turn, and remove the older half of it."""
        address = f"127.0.1.{number + 1}"
        while not self._stop.is_set():
            for user in users:
                self._session(user, address)

    def _session(self, user: str, address: str) -> None:
        """Read and remove; if the session breaks, log in again until that works."""
        broken = 0.0
        while not self._stop.is_set():
            try:
                self._read_and_remove(user, address)
            except (OSError, poplib.error_proto) as error:
                self.ledger.count("rejected" if is_reply(error) else "broken off")
                broken = broken or time.monotonic()
                time.sleep(PAUSE)
                continue
            self.ledger.count("sessions")
            if broken:
                with self.ledger.lock:
                    waited = time.monotonic() - broken
                    self.ledger.waits[user] = max(waited, self.ledger.waits.get(user, 0))
            return

    def _read_and_remove(self, user: str, address: str) -> None:
        client = Pop3(self.cluster.port, address)
        with contextlib.closing(client):
            client.user(user)
            client.pass_(PASSWORD)
            count, _ = client.stat()
            names = []
            for number in range(1, count + 1):
                name, digest = identify(client.retr(number)[1])
                assert self.ledger.letters[name].digest == digest, "a letter has changed"
                if number <= count // 2:
                    client.dele(number)
                    names.append(name)
            self._quit(client, names)

    def _quit(self, client: Pop3, names: list[str]) -> None:
        """Confirm the removal, and note what the server has said about it."""
        letters = [self.ledger.letters[name] for name in names]
        try:
            client._shortcmd("QUIT")  # type: ignore[attr-defined]  # noqa: SLF001  # quit() hides the end
        except (OSError, poplib.error_proto) as error:
            if not (is_reply(error) and b"removed nothing" in error.args[0]):
                self._doubt(names)  # PostgreSQL may have removed them, and not have said so
            raise
        for letter in letters:
            letter.removed = True
            self.ledger.count("removed")

    def _doubt(self, names: list[str]) -> None:
        with self.ledger.lock:
            self.ledger.doubts.append(names)
        for name in names:
            self.ledger.letters[name].doubtful = True


def collect(cluster: Cluster, users: list[str]) -> dict[str, list[bytes]]:
    """Return the digests of all letters that are there, by name."""
    found: dict[str, list[bytes]] = defaultdict(list)
    for user in users:
        client = Pop3(cluster.port, "127.0.1.99")
        with contextlib.closing(client):
            client.user(user)
            client.pass_(PASSWORD)
            for number in range(1, client.stat()[0] + 1):
                name, digest = identify(client.retr(number)[1])
                found[name].append(digest)
            client.quit()
    return found


def judge(ledger: Ledger, found: dict[str, list[bytes]]) -> list[str]:
    """Return what is wrong: letters that are lost, changed, doubled or back."""
    wrong = []
    for name, letter in ledger:
        copies = found.get(name, [])
        if any(digest != letter.digest for digest in copies):
            wrong.append(f"letter {name} of {letter.user} has changed")
        if letter.delivered and not copies and not (letter.removed or letter.doubtful):
            wrong.append(f"letter {name} of {letter.user} is lost")
        if len(copies) + letter.removed > letter.tries:
            wrong.append(f"letter {name} of {letter.user} is there again, or twice")
    for names in ledger.doubts:
        left = [name for name in names if found.get(name)]
        single = all(ledger.letters[name].tries == 1 for name in names)
        if single and len(left) not in (0, len(names)):
            wrong.append(f"a QUIT without a reply removed only a part: letters {names}")
    return wrong
