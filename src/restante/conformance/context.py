"""The context of checks: sessions, the samples of this run, and what the server announced."""

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
from restante.conformance.check import Deviation, LoginRejectedError, NotTestable
from restante.conformance.raw_connection import (
    RawConnection,
    ServerUnderTest,
    dial,
    is_challenge,
    quote,
)
from restante.protocol.client.hidden_secrets import HiddenSecrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from restante.conformance.delivery import Deliver
    from restante.conformance.sample_messages import SampleMessage

ARRIVAL = 20.0  # seconds for delivered mail to show
RELEASE = 5.0  # seconds for the lock of a session that broke off
LOGIN = 30.0  # seconds for the reply to a login: servers delay it after a rejected one
PAUSE = 0.3  # seconds between two tries
REJECTIONS = 3  # in the shared session: solid-pop3d ends a session of five


@dataclass(slots=True)
class ConformanceContext:
    """The server under test, and what this run put into its mailbox."""

    server: ServerUnderTest
    deliver: Deliver | None = None
    status_lines: list[tuple[str, bytes]] = field(default_factory=list)
    run_id: str = field(default_factory=sample_messages.new_run_id)
    delivered: dict[str, SampleMessage] = field(default_factory=dict)
    rejected: dict[str, str] = field(default_factory=dict)  # why, by the name of the sample
    greeting: bytes = b""
    _has_logged_in: bool = False  # and no rejection lasted longer than a lock
    _shared_session: RawConnection | None = None
    _capabilities: dict[str, list[str]] = field(default_factory=dict)  # by the state of the session

    @contextlib.contextmanager
    def open_connection(self, *, secure: bool = True) -> Iterator[RawConnection]:
        """Connect and read the greeting. With `secure`, use STLS if the server requires it."""
        with self._connect(secure=secure) as connection:
            yield connection

    def _connect(self, *, secure: bool = True) -> RawConnection:
        connection = dial(self.server, self.status_lines)
        try:
            self.greeting = connection.read_status()
            if secure and self.server.tls == "starttls":
                connection.expect_ok("STLS")
                connection.start_tls(self.server)
        except BaseException:
            connection.close()
            raise
        return connection

    @contextlib.contextmanager
    def open_session(self) -> Iterator[RawConnection]:
        """Log in on a connection of its own; the shared session is closed before."""
        self.close_shared_session()
        with self._begin_session() as connection:
            yield connection

    def _begin_session(self) -> RawConnection:
        """Connect and log in, again while the maildrop is locked by a session that broke off."""
        until = time.monotonic() + RELEASE
        while True:
            connection = self._connect()
            try:
                self.log_in(connection)
            except LoginRejectedError as rejected:
                connection.close()
                late = time.monotonic() > until
                if late or not self._may_be_locked(str(rejected)):
                    self._has_logged_in &= not late
                    raise
                time.sleep(PAUSE)
            except BaseException:
                connection.close()
                raise
            else:
                self._has_logged_in = True
                return connection

    def _may_be_locked(self, rejection: str) -> bool:
        """Return whether a rejected login may be due to a lock.

        Without a response code, it may if an earlier login succeeded.
        """
        return "[IN-USE]" in rejection.upper() or (
            self._has_logged_in and "-ERR [" not in rejection
        )

    def log_in(self, connection: RawConnection, seconds: float = LOGIN) -> None:
        """Log in. Raises Deviation: the right password is rejected.

        Raises NotTestable: no --user, or the server allows no login now.
        """
        if not self.server.user:
            raise NotTestable("no --user")
        answer = self.send_login(connection, seconds)
        said = quote(self._redact(answer))
        if b"[LOGIN-DELAY]" in answer.upper():
            raise NotTestable(f"the server requires a pause between logins: {said}")
        if answer.startswith(b"-ERR"):
            raise LoginRejectedError(f"the login was rejected: {said}")
        if not answer.startswith(b"+OK"):
            raise Deviation(f"the reply to the login begins neither +OK nor -ERR: {said}")

    def _redact(self, reply: bytes) -> bytes:
        """Return a reply without the password or token, which a server may repeat."""
        secrets = HiddenSecrets()
        secrets.add(self.server.password)
        return secrets.redact(reply.decode("latin-1")).encode("latin-1")

    def send_login(self, connection: RawConnection, seconds: float = LOGIN) -> bytes:
        """Send the password or the token, and return the last status line, whatever it is."""
        if self.server.token:
            return self._send_token(connection, seconds)
        answer = connection.exchange(f"USER {self.server.user}")
        if answer.startswith(b"+OK"):
            answer = connection.exchange(f"PASS {self.server.password}", seconds)
        return answer

    def _send_token(self, connection: RawConnection, seconds: float) -> bytes:
        """Send an access token, on a line of its own: some servers accept it only there.

        Raises NotTestable: the server does not announce a mechanism for tokens.
        """
        server = self.server
        offered = " ".join(connection.fetch_lines("CAPA")).upper().split()
        mechanism = next((name for name in TOKENS if name in offered), None)
        if mechanism is None:
            raise NotTestable(f"SASL announces neither {' nor '.join(TOKENS)}")
        credentials = Credentials(server.user, server.password, server.server_name, server.port)
        responses = CLIENT_MECHANISMS[mechanism](credentials)
        answer = connection.exchange(f"AUTH {mechanism}", seconds)
        for response in responses:  # after a refusal, an empty one ends the exchange
            if not is_challenge(answer):
                break
            connection.send(base64.b64encode(response or b"") + b"\r\n", f"AUTH {mechanism}")
            answer = connection.read_status(seconds)
        return answer

    @property
    def capabilities_in_clear(self) -> list[str]:
        """The lines of CAPA before STLS, none if CAPA fails."""
        return self._ask_once("in clear", lambda: self.open_connection(secure=False))

    @property
    def capabilities_before(self) -> list[str]:
        """The lines of CAPA before the login, with TLS if required; none if CAPA fails."""
        return self._ask_once("before", self.open_connection)

    @property
    def capabilities_after(self) -> list[str]:
        """The lines of CAPA after the login, none if CAPA or the login fails."""
        return self._ask_once("after", self.open_session)

    def requires_starttls(self) -> bool:
        """Return whether the checks use no TLS, and the server requires STLS for their login."""
        if self.server.tls != "none":
            return False
        tags = {line.partition(" ")[0].upper() for line in self.capabilities_in_clear}
        return "STLS" in tags and ("SASL" if self.server.token else "USER") not in tags

    def _ask_once(
        self, state: str, connect: Callable[[], contextlib.AbstractContextManager[RawConnection]]
    ) -> list[str]:
        if state not in self._capabilities:
            self._capabilities[state] = []
            with contextlib.suppress(Deviation, NotTestable), connect() as connection:
                self._capabilities[state] = connection.fetch_lines("CAPA")
        return self._capabilities[state]

    @property
    def session(self) -> RawConnection:
        """The session that is shared by the checks that change nothing.

        It is another one after some rejected commands, or one that was its last.
        """
        shared = self._shared_session
        rejections = shared.rejections if shared is not None else 0
        if shared and rejections and (rejections >= REJECTIONS or shared.is_ending()):
            self.close_shared_session()
        if self._shared_session is None:
            self._shared_session = self._begin_session()
        return self._shared_session

    def close_shared_session(self, *, broken: bool = False) -> None:
        """End the shared session, so that the maildrop is not locked; by QUIT unless it broke."""
        connection, self._shared_session = self._shared_session, None
        if connection is not None:
            if not broken:
                with contextlib.suppress(Deviation):
                    connection.exchange("QUIT")
            connection.close()

    def count_messages(self, connection: RawConnection) -> int:
        """Return the number of messages in a session, by STAT. Raises Deviation."""
        answer = connection.expect_ok("STAT")
        match = re.match(rb"\+OK (\d{1,9}) ", answer)
        if match is None:
            raise Deviation(f"STAT: {quote(answer)}")
        return int(match[1])

    def count_in_new_session(self) -> int:
        """Return the number of messages in a session of its own. Raises Deviation."""
        with self.open_session() as connection:
            count = self.count_messages(connection)
            connection.exchange("QUIT")
        return count

    def list_unique_ids(self) -> list[str]:
        """Return the lines of UIDL in the shared session.

        Raises NotTestable: the server does not have this command, which is optional.
        """
        answer = self.session.exchange("UIDL")
        if answer.startswith(b"+OK"):
            return self.session.read_lines()
        if "UIDL" not in self.capabilities_before + self.capabilities_after:
            raise NotTestable("the server does not support UIDL")
        raise Deviation(f"UIDL: {quote(answer)}")

    def require_top(self, answer: bytes) -> None:
        """Check the first line of a reply to TOP.

        Raises NotTestable: the server does not have this command, which is optional. Raises
        Deviation.
        """
        if answer.startswith(b"+OK"):
            return
        if "TOP" not in self.capabilities_before + self.capabilities_after:
            raise NotTestable("the server does not support TOP")
        raise Deviation(f"TOP: {quote(answer)}")

    def need_messages(self, count: int = 1) -> RawConnection:
        """Return the shared session. Raises NotTestable: there are fewer messages."""
        there = self.count_messages(self.session)
        if there < count:
            word = "message" if count == 1 else "messages"
            raise NotTestable(f"requires {count} {word}; the mailbox has {there}")
        return self.session

    def wait_for(self, count: int) -> int:
        """Wait until this many messages are listed, and return how many are after ARRIVAL."""
        until = time.monotonic() + ARRIVAL
        while (there := self.count_in_new_session()) < count and time.monotonic() < until:
            time.sleep(PAUSE)
        return there

    def deliver_again(self, name: str) -> SampleMessage:
        """Deliver one more copy of a sample, and return it when the copy is listed.

        Raises NotTestable, Deviation, DeliveryError.
        """
        sample = self.sample(name)
        assert self.deliver is not None
        before = self.count_in_new_session()
        self.deliver.put(sample.stored)
        if self.wait_for(before + 1) <= before:
            raise Deviation(f"a new message is not listed {ARRIVAL:g} s after its delivery")
        return sample

    def sample(self, name: str) -> SampleMessage:
        """Return a sample that was delivered. Raises NotTestable: it was not."""
        if name in self.rejected:
            raise NotTestable(f"not delivered: {self.rejected[name]}")
        if name not in self.delivered:
            raise NotTestable("requires --maildir, --lmtp or --deliver")
        return self.delivered[name]

    def find_sample(self, sample: SampleMessage, connection: RawConnection) -> int:
        """Return the number of a sample. Raises Deviation: it is not there."""
        return self.find_copies(sample, connection)[0]

    def find_copies(self, sample: SampleMessage, connection: RawConnection) -> list[int]:
        """Return the numbers of all copies of a sample. Raises Deviation: there is none."""
        found = self.find_samples(connection).get(sample.mark)
        if not found:
            raise Deviation(f"the message {sample.name} was delivered, but is not in the mailbox")
        return found

    def find_samples(self, connection: RawConnection) -> dict[str, list[int]]:
        """Return the numbers of this run's samples, by their marks."""
        found: dict[str, list[int]] = {}
        for number in range(1, self.count_messages(connection) + 1):
            commands = (f"TOP {number} 0", f"RETR {number}")  # TOP is optional
            if not any(connection.exchange(one).startswith(b"+OK") for one in commands):
                continue
            for text in connection.read_body().decode("latin-1").replace("\r", "").split("\n"):
                if text.startswith(sample_messages.MARK) and text.endswith(self.run_id):
                    found.setdefault(text, []).append(number)
        return found
