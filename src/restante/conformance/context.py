"""The context of checks: sessions, the samples of this run, and the server's own words."""

from __future__ import annotations

import base64
import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.client.credentials import Credentials
from restante.client.mechanisms import CLIENT_MECHANISMS, TOKENS
from restante.conformance import sample_messages
from restante.conformance.check import Deviation, NotTestable
from restante.conformance.raw_connection import RawConnection, ServerUnderTest, dial, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from restante.conformance.delivery import Deliver
    from restante.conformance.sample_messages import SampleMessage

ARRIVAL = 20.0  # seconds for delivered mail to show


@dataclass(slots=True)
class ConformanceContext:
    """The server under test, and what this run put into its mailbox."""

    server: ServerUnderTest
    deliver: Deliver | None = None
    status_lines: list[tuple[str, bytes]] = field(default_factory=list)
    run: str = field(default_factory=sample_messages.new_run)
    delivered: dict[str, SampleMessage] = field(default_factory=dict)
    greeting: bytes = b""
    before: list[str] = field(default_factory=list)  # CAPA before login, in the state it allows
    in_clear: list[str] = field(default_factory=list)  # the same without TLS
    after: list[str] = field(default_factory=list)
    _open: RawConnection | None = None  # the session that checks share

    @contextlib.contextmanager
    def open_connection(self, *, secure: bool = True) -> Iterator[RawConnection]:
        """Connect and read the greeting. With `secure`, use STLS if the server requires it."""
        with dial(self.server, self.status_lines) as connection:
            self.greeting = connection.status()
            if secure and self.server.tls == "starttls":
                connection.ok("STLS")
                connection.start_tls(self.server)
            yield connection
            connection.sock.close()

    @contextlib.contextmanager
    def open_session(self) -> Iterator[RawConnection]:
        """Give a session of its own; the shared one is ended before."""
        self.free()
        with self.open_connection() as connection:
            self.log_in(connection)
            yield connection

    def log_in(self, connection: RawConnection, seconds: float = 15.0) -> None:
        """Log in. Raises Deviation: the right password is rejected; NotTestable: no --user."""
        if not self.server.user:
            raise NotTestable("no --user")
        answer = self.send_login(connection, seconds)
        if not answer.startswith(b"+OK"):
            raise Deviation(f"the login was rejected: {quote(answer)}")

    def send_login(self, connection: RawConnection, seconds: float = 15.0) -> bytes:
        """Send the password or the token, and return the last status line, whatever it is."""
        if self.server.token:
            return self._send_token(connection, seconds)
        answer = connection.say(f"USER {self.server.user}")
        if answer.startswith(b"+OK"):
            answer = connection.say(f"PASS {self.server.password}", seconds)
        return answer

    def _send_token(self, connection: RawConnection, seconds: float) -> bytes:
        """Send an access token, on a line of its own: some servers accept it only there.

        Raises NotTestable: the server does not announce a mechanism for tokens.
        """
        server = self.server
        offered = " ".join(connection.lines("CAPA")).upper().split()
        mechanism = next((name for name in TOKENS if name in offered), None)
        if mechanism is None:
            raise NotTestable(f"SASL announces neither {' nor '.join(TOKENS)}")
        credentials = Credentials(server.user, server.password, server.server_name, server.port)
        responses = CLIENT_MECHANISMS[mechanism](credentials)
        answer = connection.say(f"AUTH {mechanism}", seconds)
        for response in responses:  # after a refusal, an empty one ends the exchange
            if not answer.startswith(b"+ "):
                break
            connection.send(base64.b64encode(response or b"") + b"\r\n", f"AUTH {mechanism}")
            answer = connection.status(seconds)
        return answer

    @property
    def session(self) -> RawConnection:
        """The session that checks share which change nothing."""
        if self._open is None:
            connection = dial(self.server, self.status_lines)
            try:
                self.greeting = connection.status()
                if self.server.tls == "starttls":
                    connection.ok("STLS")
                    connection.start_tls(self.server)
                self.log_in(connection)
            except BaseException:
                connection.close()
                raise
            self._open = connection
        return self._open

    def free(self, *, broken: bool = False) -> None:
        """End the shared session, so that the mailbox is free."""
        connection, self._open = self._open, None
        if connection is not None:
            if not broken:
                with contextlib.suppress(Deviation):
                    connection.say("QUIT")
            connection.close()

    def count(self, connection: RawConnection) -> int:
        """Return how many messages a session has."""
        answer = connection.ok("STAT")
        found = re.match(rb"\+OK (\d{1,9}) ", answer)
        if found is None:
            raise Deviation(f"STAT: {quote(answer)}")
        return int(found[1])

    def need_messages(self, count: int = 1) -> RawConnection:
        """Return the shared session. Raises NotTestable: there are fewer messages."""
        there = self.count(self.session)
        if there < count:
            word = "message" if count == 1 else "messages"
            raise NotTestable(f"requires {count} {word}; the mailbox has {there}")
        return self.session

    def put(self, name: str, *, wait: bool = True) -> SampleMessage:
        """Deliver a sample, and wait until it is listed.

        The shared session is ended, for new mail shows only in a new one. Raises NotTestable:
        no option for delivery.
        """
        if self.deliver is None:
            raise NotTestable("requires --maildir, --lmtp or --deliver")
        made = sample_messages.build_sample(self.run, name)
        self.free()
        before = 0
        if wait:
            with self.open_session() as connection:
                before = self.count(connection)
        self.deliver.put(made.stored)
        self.delivered[name] = made
        if wait:
            self.wait_for(before + 1)
        return made

    def wait_for(self, count: int) -> None:
        """Wait until this many messages are listed. Raises Deviation: they are not, in time."""
        until = time.monotonic() + ARRIVAL
        while True:
            with self.open_session() as connection:
                there = self.count(connection)
                connection.say("QUIT")
            if there >= count:
                return
            if time.monotonic() > until:
                text = f"{there} of {count} messages are listed {ARRIVAL:g} s after delivery"
                raise Deviation(text)
            time.sleep(0.3)

    def sample(self, name: str) -> SampleMessage:
        """Return a sample that was delivered. Raises NotTestable: it was not."""
        if name not in self.delivered:
            raise NotTestable("requires --maildir, --lmtp or --deliver")
        return self.delivered[name]

    def find(self, sample: SampleMessage, connection: RawConnection) -> int:
        """Return the number of a sample. Raises Deviation: it is not there."""
        found = self.find_all(connection).get(sample.mark)
        if not found:
            raise Deviation(f"the message {sample.name} was delivered, but is not in the mailbox")
        return found[0]

    def find_all(self, connection: RawConnection) -> dict[str, list[int]]:
        """Return the numbers of this run's samples, by their marks."""
        found: dict[str, list[int]] = {}
        for number in range(1, self.count(connection) + 1):
            if not connection.say(f"TOP {number} 0").startswith(b"+OK"):
                continue
            for text in connection.raw_body().decode("latin-1").replace("\r", "").split("\n"):
                if text.startswith(sample_messages.MARK) and text.endswith(self.run):
                    found.setdefault(text, []).append(number)
        return found
