"""Gmail as a destination, against a local double of its API. It never ran against the real one."""

from __future__ import annotations

import base64
import contextlib
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from fetch.destinations.contract import *  # noqa: F403
from fetch.destinations.contract import LETTER, OTHER, deliver, opened, prepare, settle, source
from restante.fetch.destinations.gmail import api
from restante.fetch.destinations.gmail.address import parse_gmail_url
from restante.fetch.destinations.gmail.api import PAUSES, SCOPE, GmailApi, RawField
from restante.fetch.destinations.gmail.destination import LARGEST, GmailDestination
from restante.fetch.destinations.gmail.stored_tokens import DestinationTokens
from restante.fetch.destinations.message_digest import ContentDigest
from restante.fetch.destinations.urls import DestinationSettings, open_destination
from restante.fetch.imported_messages import ImportedMessages
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationUnavailableError,
    MessageRefusedError,
    NotDeliveredError,
    Settled,
)
from restante.fetch.journal import Journal
from restante.fetch.spool import Spool
from restante.mail.fields import MAX_OCTETS
from restante.net.http import HttpError
from restante.protocol.errors import LocalError
from support.gmail_api import Gmail, gmail_api

ADDED = re.compile(rb"\AMessage-ID: <[0-9a-f.]+@fetch\.restante\.invalid>\r\n")
NAMED = b"Message-ID: <1@example.com>\r\n"


class Tokens:
    """A token source whose first token may be old."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)

    def token(self) -> str:
        return self._tokens[0]

    def renew(self, refused: str) -> str | None:
        assert refused == self._tokens.pop(0)
        return self._tokens[0] if self._tokens else None


class GmailPlace:
    """A mailbox of its own."""

    exact = True

    def __init__(self, gmail: Gmail, state: Path) -> None:
        self.gmail, self.state = gmail, state
        self.pauses: list[float] = []
        self.journal = Journal(state / "fetch.db")

    def destination(self, query: str = "", *tokens: str) -> GmailDestination:
        url = f"gmail:ann@gmail.com{query}"
        address = parse_gmail_url(url)
        found = Tokens(*(tokens or (self.gmail.token,)))

        def open_api() -> GmailApi:
            destination_tokens = DestinationTokens(address.user, found, SCOPE)
            return GmailApi(address, destination_tokens, self.gmail.url, self.pauses.append)

        spool, imported = Spool(str(self.state / "spool")), ImportedMessages(self.journal)
        return GmailDestination(url, address, spool, imported, open_api)

    def messages(self) -> list[bytes]:
        return [ADDED.sub(b"", octets) for octets in self.gmail.octets()]

    def remove_all(self) -> None:
        self.gmail.messages.clear()

    def carries(self, message: bytes) -> bool:
        return True


@pytest.fixture
def place(tmp_path: Path) -> Iterator[GmailPlace]:
    (tmp_path / "gmail").mkdir()
    with gmail_api(tmp_path / "gmail") as gmail:
        place = GmailPlace(gmail, tmp_path)
        with place.journal:
            yield place


def test_labels(place: GmailPlace) -> None:
    """A message is unread in the inbox with the label, which is created once."""
    for _ in range(2):
        destination = place.destination("?label=Old%20mail")
        destination.open()
        deliver(destination, LETTER)
        destination.close()
    [message] = place.gmail.messages.values()
    assert message.labels == {"INBOX", "UNREAD", place.gmail.labels["Old mail"]}
    assert [r for r in place.gmail.requests if r.startswith("POST") and "labels" in r] == [
        "POST /gmail/v1/users/ann@gmail.com/labels"
    ]


@pytest.mark.parametrize(
    ("query", "date", "never"),
    [("", "receivedTime", "false"), ("?date=header&never_mark_spam=true", "dateHeader", "true")],
)
def test_import_settings(place: GmailPlace, query: str, date: str, never: str) -> None:
    """The date and the spam filter are as the URL says."""
    destination = place.destination(query)
    destination.open()
    deliver(destination, LETTER)
    destination.close()
    [message] = place.gmail.messages.values()
    assert (message.query["internalDateSource"], message.query["neverMarkSpam"]) == (date, never)


def test_own_message_id_stays(place: GmailPlace) -> None:
    """A message that has a Message-ID is imported octet for octet."""
    destination = opened(place)
    deliver(destination, NAMED + LETTER)
    destination.close()
    assert place.gmail.octets() == [NAMED + LETTER]


def test_same_message_is_merged(place: GmailPlace) -> None:
    """A message that Gmail has already, such as from its own fetcher, counts as delivered."""
    destination = opened(place)
    deliver(destination, NAMED + LETTER, b"Received: by another\r\n" + NAMED + LETTER)
    destination.close()
    assert place.gmail.octets() == [NAMED + LETTER]


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("message_id", [b"<1@example.com>", b"<1 @example.com>", b'"1{2}"'])
def test_different_message_is_refused(place: GmailPlace, message_id: bytes, *, blind: bool) -> None:
    """A different message with the same Message-ID is not lost: it is refused."""
    field = b"Message-ID: %s\r\n" % message_id
    place.gmail.blind = blind
    destination = opened(place)
    deliver(destination, field + LETTER)
    with pytest.raises(MessageRefusedError, match="another message with the Message-ID"):
        deliver(destination, field + OTHER)
    destination.close()
    assert place.gmail.octets() == [field + LETTER]


@pytest.mark.parametrize("first", ["delivered", "in doubt"])
def test_same_message_id_in_another_run(place: GmailPlace, first: str) -> None:
    """A run knows the Message-IDs of earlier ones, whether or not they lived to get an answer."""
    place.gmail.blind = True
    place.gmail.after_import = "" if first == "delivered" else "cut"
    destination = opened(place)
    [draft], _ = prepare(destination, NAMED + LETTER)
    with contextlib.suppress(DeliveryInDoubtError):
        destination.deliver(draft)
    destination.close()
    place.gmail.after_import = ""
    destination = opened(place)
    with pytest.raises(MessageRefusedError, match="another message with the Message-ID"):
        deliver(destination, NAMED + OTHER)
    deliver(destination, NAMED + LETTER)
    destination.close()
    assert place.gmail.octets() == [NAMED + LETTER]


def test_message_id_of_a_removed_message(place: GmailPlace) -> None:
    """A message whose Message-ID another one had, which is not there any more, is imported."""
    destination = opened(place)
    deliver(destination, NAMED + LETTER)
    place.remove_all()
    deliver(destination, NAMED + OTHER)
    destination.close()
    assert place.gmail.octets() == [NAMED + OTHER]


@pytest.mark.parametrize("blind", [False, True])
def test_large_messages_are_compared(place: GmailPlace, *, blind: bool) -> None:
    """A large message that is there is compared with another one, which is refused, in pieces."""
    place.gmail.blind = blind
    large = NAMED + b"\r\n" + b"0123456789" * 800_000
    other = large + b"more\r\n"
    destination = opened(place)
    deliver(destination, large)
    tracemalloc.start()
    try:
        deliver(destination, large)
        with pytest.raises(MessageRefusedError, match="another message with the Message-ID"):
            deliver(destination, other)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    destination.close()
    assert place.gmail.octets() == [large]
    assert peak < 1.3 * len(large)  # the test itself copies one


@pytest.mark.parametrize("size", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize("message", [b"", b"a", b"ab", b"abc", bytes(range(256))])
def test_raw_field(message: bytes, size: int) -> None:
    """The field `raw` is found and decoded, in any pieces, with or without padding."""
    encoded = base64.urlsafe_b64encode(message)
    for text in (encoded, encoded.rstrip(b"="), encoded.replace(b"=", rb"\u003d")):
        answer = b'{"snippet": "\\"raw\\": \\"", "raw": "%b", "id": "\\"raw\\": \\"aaaa"}' % text
        found = bytearray()
        field = RawField(found.extend)
        for start in range(0, len(answer), size):
            field.feed(answer[start : start + size])
        assert found == message


def test_raw_field_that_is_cut() -> None:
    """An answer whose message is cut is an error."""
    with pytest.raises(HttpError, match="no message in base64"):
        RawField(bytearray().extend).feed(b'{"raw": "a"}')


def test_search_that_lags(place: GmailPlace) -> None:
    """A message that the search does not find yet is imported again, and stays one."""
    place.gmail.blind = True
    destination = opened(place)
    [token] = deliver(destination, LETTER)
    destination.close()
    assert settle(place, token) is Settled.NOT_HERE
    destination = opened(place)
    deliver(destination, LETTER)
    destination.close()
    assert place.messages() == [LETTER]


@pytest.mark.parametrize("after", ["cut", "garbage"])
def test_import_without_answer(place: GmailPlace, after: str) -> None:
    """A message whose import had no answer is in doubt, and is found later."""
    place.gmail.after_import = after
    destination = opened(place)
    [draft], [token] = prepare(destination, LETTER)
    with pytest.raises(DeliveryInDoubtError):
        destination.deliver(draft)
    destination.close()
    assert settle(place, token) is Settled.HERE


@pytest.mark.parametrize(
    ("status", "reason"),
    [(429, "rateLimitExceeded"), (403, "userRateLimitExceeded"), (503, "backendError")],
)
def test_busy(place: GmailPlace, status: int, reason: str) -> None:
    """Gmail is asked again while it is busy, with growing pauses."""
    destination = opened(place)
    place.gmail.failures.extend([(status, reason)] * 2)
    deliver(destination, LETTER)
    destination.close()
    assert place.pauses == [1, 2]
    assert place.messages() == [LETTER]


def test_busy_without_end(place: GmailPlace) -> None:
    """After a minute of pauses the run ends, and says why."""
    destination = opened(place)
    place.gmail.failures.extend([(429, "rateLimitExceeded")] * 20)
    with pytest.raises(NotDeliveredError, match=r"HTTP 429 It is rateLimitExceeded\."):
        deliver(destination, LETTER)
    destination.close()
    assert place.pauses == list(PAUSES)


def test_one_time_for_all_tries(place: GmailPlace, monkeypatch: pytest.MonkeyPatch) -> None:
    """All tries of a request share one time, however many there may be."""
    tries = 2000
    monkeypatch.setattr(api, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(api, "SLOWEST", 1 << 40)
    monkeypatch.setattr(api, "PAUSES", (0.0,) * tries)
    place.gmail.failures.extend([(503, "backendError")] * tries)
    destination = place.destination("?label=old")
    with pytest.raises(NotDeliveredError, match=r"HTTP 503|in time"):
        destination.open()
    destination.close()
    assert place.gmail.failures


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, MessageRefusedError), (413, MessageRefusedError), (403, NotDeliveredError)],
)
def test_refusals(place: GmailPlace, status: int, kind: type[Exception]) -> None:
    """Gmail's refusal of a message parks it; one of the user ends the run."""
    destination = opened(place)
    [draft], _ = prepare(destination, b'Message-ID: "1{2}"\r\n' + LETTER)
    place.gmail.failures.append((status, "forbidden"))
    with pytest.raises(kind, match=f"HTTP {status}"):
        destination.deliver(draft)
    destination.close()
    assert place.pauses == []


def test_old_token(place: GmailPlace) -> None:
    """A token that Gmail rejects is renewed once."""
    destination = place.destination("", "old", place.gmail.token)
    destination.open()
    deliver(destination, LETTER)
    destination.close()
    assert place.messages() == [LETTER]


def test_rejected_token(place: GmailPlace) -> None:
    """The error of a sign-in that ended says what to run, and has no token."""
    destination = place.destination("?label=old", "ya29.secret")
    with pytest.raises(
        DestinationUnavailableError, match=r"run pop3 login ann@gmail\.com"
    ) as caught:
        destination.open()
    destination.close()
    assert "secret" not in str(caught.value)


def test_no_sign_in() -> None:
    """Without a sign-in the error says what to run."""
    with pytest.raises(NotDeliveredError, match=r"run pop3 login ann@gmail\.com"):
        DestinationTokens("ann@gmail.com", None, SCOPE).token()


def test_ended_sign_in() -> None:
    """The error of a sign-in that has ended says which user cannot be authenticated."""

    class Ended(Tokens):
        def token(self) -> str:
            raise LocalError("ended", "the sign-in has ended; run pop3 login ann@gmail.com")

    with pytest.raises(NotDeliveredError, match=r"ann@gmail\.com cannot be .* run pop3 login"):
        DestinationTokens("ann@gmail.com", Ended(), SCOPE).token()


def test_too_large(place: GmailPlace) -> None:
    """A message above Gmail's limit is refused before it is retrieved."""
    destination = opened(place)
    with pytest.raises(MessageRefusedError, match="at most 150 MiB"):
        destination.start(source(size=LARGEST + 1))
    destination.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("gmail:", "gmail:ann@gmail.com"),
        ("gmail:ann", "gmail:ann@gmail.com"),
        ("gmail:ann@gmail.com?labels=a", "'labels' is not a setting of this destination"),
        ("gmail:ann@gmail.com?date=now", "date is 'now'; use header or received"),
        ("gmail:ann@gmail.com?label=a&label=b", "label is there twice"),
        ("gmail:ann@gmail.com?api=http://example.com", "use http://127.0.0.1:PORT"),
        ("gmail:ann@gmail.com?api=https://127.0.0.1:1", "use http://127.0.0.1:PORT"),
        ("gmail:ann@gmail.com?api=http://127.0.0.1:1/a", "use http://127.0.0.1:PORT"),
    ],
)
def test_invalid_url(url: str, reason: str, tmp_path: Path) -> None:
    """An invalid URL is rejected with what to write."""
    with pytest.raises(ValueError, match=reason):
        open_destination(url, DestinationSettings(tmp_path))


def test_content_digest() -> None:
    """Trace fields and pieces do not change the digest; the author's fields and the body do."""

    def digest(*pieces: bytes) -> str:
        made = ContentDigest()
        for piece in pieces:
            made.feed(piece)
        return made.hexdigest()

    one = b"Date: a\r\nSubject: b\r\n c\r\n\r\nbody\r\n\r\nend\r\n" + b"x" * 2 * MAX_OCTETS
    same = b"Received: d\r\n" + one
    assert digest(one) == digest(same[:7], same[7:300], same[300:])
    for old, new in ((b": a", b": A"), (b"b\r\n c", b"d"), (b"end", b"End")):
        assert digest(one) != digest(one.replace(old, new, 1))
