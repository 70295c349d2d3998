"""What checks work with: sessions, the letters of this run, and the server's own words."""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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

    place: ServerUnderTest
    deliver: Deliver | None = None
    heard: list[tuple[str, bytes]] = field(default_factory=list)
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
        with dial(self.place, self.heard) as line:
            self.greeting = line.status()
            if secure and self.place.tls == "starttls":
                line.ok("STLS")
                line.start_tls(self.place)
            yield line
            line.sock.close()

    @contextlib.contextmanager
    def open_session(self) -> Iterator[RawConnection]:
        """Give a session of its own; the shared one is ended before."""
        self.free()
        with self.open_connection() as line:
            self.log_in(line)
            yield line

    def log_in(self, line: RawConnection, seconds: float = 15.0) -> None:
        """Log in. Raises Deviation: the right password is rejected; NotTestable: no --user."""
        if not self.place.user:
            raise NotTestable("no --user")
        answer = line.say(f"USER {self.place.user}")
        if answer.startswith(b"+OK"):
            answer = line.say(f"PASS {self.place.password}", seconds)
        if not answer.startswith(b"+OK"):
            raise Deviation(f"the login was rejected: {quote(answer)}")

    @property
    def session(self) -> RawConnection:
        """The session that checks share which change nothing."""
        if self._open is None:
            line = dial(self.place, self.heard)
            try:
                self.greeting = line.status()
                if self.place.tls == "starttls":
                    line.ok("STLS")
                    line.start_tls(self.place)
                self.log_in(line)
            except BaseException:
                line.close()
                raise
            self._open = line
        return self._open

    def free(self, *, broken: bool = False) -> None:
        """End the shared session, so that the mailbox is free."""
        line, self._open = self._open, None
        if line is not None:
            if not broken:
                with contextlib.suppress(Deviation):
                    line.say("QUIT")
            line.close()

    def count(self, line: RawConnection) -> int:
        """Return how many messages a session has."""
        answer = line.ok("STAT")
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
        """Deliver one of the letters, and wait until it shows.

        The shared session is ended, for new mail shows only in a new one. Raises NotTestable:
        no option for delivery.
        """
        if self.deliver is None:
            raise NotTestable("requires --maildir, --lmtp or --deliver")
        made = sample_messages.letter(self.run, name)
        self.free()
        before = 0
        if wait:
            with self.open_session() as line:
                before = self.count(line)
        self.deliver.put(made.stored)
        self.delivered[name] = made
        if wait:
            self.wait_for(before + 1)
        return made

    def wait_for(self, count: int) -> None:
        """Wait until this many messages are listed. Raises Deviation: they are not, in time."""
        until = time.monotonic() + ARRIVAL
        while True:
            with self.open_session() as line:
                there = self.count(line)
                line.say("QUIT")
            if there >= count:
                return
            if time.monotonic() > until:
                text = f"{there} of {count} messages are listed {ARRIVAL:g} s after delivery"
                raise Deviation(text)
            time.sleep(0.3)

    def letter(self, name: str) -> SampleMessage:
        """Return a letter that was delivered. Raises NotTestable: it was not."""
        if name not in self.delivered:
            raise NotTestable("requires --maildir, --lmtp or --deliver")
        return self.delivered[name]

    def find(self, letter: SampleMessage, line: RawConnection) -> int:
        """Return the number of a letter. Raises Deviation: it is not there."""
        found = self.find_all(line).get(letter.mark)
        if not found:
            raise Deviation(f"the message {letter.name} was delivered, but is not in the mailbox")
        return found[0]

    def find_all(self, line: RawConnection) -> dict[str, list[int]]:
        """Return the numbers of this run's letters, by their marks."""
        found: dict[str, list[int]] = {}
        for number in range(1, self.count(line) + 1):
            if not line.say(f"TOP {number} 0").startswith(b"+OK"):
                continue
            for text in line.raw_body().decode("latin-1").replace("\r", "").split("\n"):
                if text.startswith(sample_messages.MARK) and text.endswith(self.run):
                    found.setdefault(text, []).append(number)
        return found
