"""Requests to the Gmail API: import a message, find one, and find or create a label.

The shapes are those of developers.google.com/workspace/gmail/api, read on 27 November 2026.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from restante.client.tls import verifying_context
from restante.fetch.destinations.message_digest import ContentDigest
from restante.fetch.interfaces import (
    DeliveryInDoubtError,
    DestinationError,
    MessageRefusedError,
    NotDeliveredError,
)
from restante.net.http import AnswerTooLargeError, HttpClient, HttpError
from restante.oauth.issuer_requests import proxy_for
from restante.protocol.client.hidden_secrets import HiddenSecrets
from restante.protocol.text import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from restante.fetch.destinations.gmail.address import GmailAddress
    from restante.fetch.destinations.gmail.stored_tokens import DestinationTokens
    from restante.net.http import HttpAnswer

HOST = "gmail.googleapis.com"
API = f"https://{HOST}"
SCOPE = "https://mail.google.com/"  # gmail.insert cannot search for a message
ANSWER_SECONDS = 60.0  # for a request, all its tries, beside its pauses and what octets need
SLOWEST = 10_000  # octets a second
PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # seconds before a request is repeated: 63 in all
LARGEST_ANSWER = 1024 * 1024  # octets
MAX_FOUND = 10  # messages with one Message-ID that are compared

_RAW = re.compile(rb'"raw" *: *"')
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/_-]")  # padding, too: Google may write it as \u003d
_BEFORE_RAW = 64 * 1024  # octets of an answer in which the field `raw` begins
_BUSY = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "backendError"})


class _TooLargeError(NotDeliveredError):
    """An answer has more octets than are compared."""


@dataclass(frozen=True, slots=True)
class _Request:
    """A request. `octets` are those of an upload, 0 for another request. `sink` gets the answer."""

    method: str
    path: str
    content: bytes | Callable[[], Iterator[bytes]] | None = None
    headers: Sequence[tuple[str, str]] = (("Content-Type", "application/json"),)
    octets: int = 0
    largest: int = LARGEST_ANSWER
    sink: Callable[[bytes], None] | None = None

    def failure(self, text: str) -> DestinationError:
        """Return the error for a request without an answer: an upload may have arrived."""
        if self.octets:
            return DeliveryInDoubtError(text)
        return NotDeliveredError(text, general=True)


class GmailApi:
    """The mailbox of one user. Its methods raise DestinationError.

    Args:
        address: the mailbox.
        tokens: access tokens of its user.
        base: the URL of the API.
        pause: waits for a number of seconds.
    """

    def __init__(
        self,
        address: GmailAddress,
        tokens: DestinationTokens,
        base: str = API,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._address, self._tokens, self._pause = address, tokens, pause
        self._token = ""
        self._user = f"/gmail/v1/users/{quote(address.user, safe='@')}"
        self._base = base

    def label_id(self, name: str) -> str:
        """Return the id of a label, which is created if it is missing."""
        path = f"{self._user}/labels"
        for label in self._ask(_Request("GET", path)).get("labels", ()):
            if str(label.get("name", "")).casefold() == name.casefold():
                return str(label["id"])
        return self._id_of(_Request("POST", path, json.dumps({"name": name}).encode()))

    def find(self, message_id: str) -> list[str]:
        """Return the ids of the messages with a Message-ID, in spam and trash, too."""
        query = {"q": f"rfc822msgid:{message_id}", "includeSpamTrash": "true"}
        query["maxResults"] = str(MAX_FOUND)
        answer = self._ask(_Request("GET", f"{self._user}/messages?{urlencode(query)}"))
        return [str(row["id"]) for row in answer.get("messages", ())]

    def digest(self, id_: str, octets: int) -> str | None:
        """Return the digest of a message, None if it has more octets than expected."""
        path = f"{self._user}/messages/{quote(id_)}?format=raw"
        digest = ContentDigest()
        largest = octets * 4 // 3 + LARGEST_ANSWER  # in base64, with the fields that Gmail adds
        try:
            self._ask(_Request("GET", path, largest=largest, sink=RawField(digest.feed).feed))
        except _TooLargeError:
            return None
        return digest.hexdigest()

    def import_message(
        self, octets: int, chunks: Callable[[], Iterator[bytes]], labels: Sequence[str]
    ) -> str:
        """Import a message, and return its id. `chunks` returns the octets from the beginning.

        Raises MessageRefusedError for HTTP 400 and 413, and DeliveryInDoubtError: no answer came.
        """
        boundary = secrets.token_hex(16)
        head = _multipart_head(boundary, labels)
        tail = b"\r\n--%s--\r\n" % boundary.encode()

        def parts() -> Iterator[bytes]:
            yield head
            yield from chunks()
            yield tail

        query = {
            "uploadType": "multipart",
            "internalDateSource": "dateHeader" if self._address.header_date else "receivedTime",
            "neverMarkSpam": str(self._address.never_mark_spam).lower(),
        }
        size = len(head) + octets + len(tail)
        headers = [
            ("Content-Type", f"multipart/related; boundary={boundary}"),
            ("Content-Length", str(size)),
        ]
        path = f"/upload{self._user}/messages/import?{urlencode(query)}"
        return self._id_of(_Request("POST", path, parts, headers, size))

    def _id_of(self, request: _Request) -> str:
        """Return the id of what a request made."""
        id_ = self._ask(request).get("id")
        if not id_:
            raise request.failure(f"{self._address}: the answer has no id")
        return str(id_)

    def _ask(self, request: _Request) -> dict[str, Any]:
        """Return the object of an answer; repeat the request while Gmail is busy, for a minute."""
        self._token = self._token or self._tokens.token()
        octets = request.octets + request.largest
        ends = time.monotonic() + ANSWER_SECONDS + sum(PAUSES) + octets / SLOWEST
        pauses, renewed = iter(PAUSES), False
        while True:
            answer = self._send(request, ends)
            if answer.status == 200:
                return {} if request.sink else self._object(answer, request)
            if answer.status == 401 and not renewed:
                renewed = True
                self._token = self._tokens.renew(self._token) or self._token
                continue
            seconds = next(pauses, None)
            if not _is_busy(answer) or seconds is None or time.monotonic() + seconds > ends:
                raise self._refusal(answer, request)
            self._pause(seconds)

    def _send(self, request: _Request, ends: float) -> HttpAnswer:
        client = HttpClient(
            context=verifying_context(),
            ends=ends,
            largest=request.largest,
            may_lead_to=lambda _: False,
            proxy=proxy_for(self._base),
        )
        headers = [*request.headers, ("Authorization", f"Bearer {self._token}")]
        body = request.content() if callable(request.content) else request.content
        try:
            return client.send(
                request.method, self._base + request.path, headers, body, request.sink
            )
        except AnswerTooLargeError as error:
            raise _TooLargeError(f"{self._address}: {error}") from None
        except HttpError as error:
            raise request.failure(f"{self._address}: {error}") from None

    def _object(self, answer: HttpAnswer, request: _Request) -> dict[str, Any]:
        body = _parse(answer)
        if body is None:
            raise request.failure(f"{self._address}: the answer is not a JSON object")
        return body

    def _refusal(self, answer: HttpAnswer, request: _Request) -> DestinationError:
        reason = f"HTTP {answer.status} {_error(answer).get('message', '')}".strip()
        hidden = HiddenSecrets()
        hidden.add(self._token)
        text = f"{self._address}: {printable(hidden.redact(reason))[:300]}"
        if request.octets and answer.status in (400, 413):
            return MessageRefusedError(text)
        if answer.status >= 500:
            return request.failure(text)
        if answer.status == 401:
            text = f"{text}; run pop3 login {self._address.user}"
        return NotDeliveredError(text, general=answer.status == 401 or _is_busy(answer))


class RawField:
    """The field `raw` of an answer that comes in pieces: a message in base64, for a sink."""

    def __init__(self, sink: Callable[[bytes], None]) -> None:
        self._sink = sink
        self._begun = self._ended = False
        self._held = b""

    def feed(self, piece: bytes) -> None:
        """Add octets of the answer."""
        self._held += piece
        if not self._begun and (match := _RAW.search(self._held, 0, _BEFORE_RAW)):
            self._begun, self._held = True, self._held[match.end() :]
        if self._begun and not self._ended:
            end = _NOT_BASE64.search(self._held)
            self._ended = end is not None
            encoded = self._held[: end.start()] if end else self._held
            whole = len(encoded) if self._ended else len(encoded) // 4 * 4
            self._held = encoded[whole:]
            try:
                self._sink(base64.urlsafe_b64decode(encoded[:whole] + b"=="))
            except binascii.Error:
                raise HttpError("the answer has no message in base64") from None
        elif len(self._held) > _BEFORE_RAW or self._ended:
            self._held = self._held[:_BEFORE_RAW]


def _multipart_head(boundary: str, labels: Sequence[str]) -> bytes:
    facts = json.dumps({"labelIds": list(labels)})
    return (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{facts}\r\n"
        f"--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n"
    ).encode()


def _is_busy(answer: HttpAnswer) -> bool:
    """Return whether Gmail asks to repeat a request later."""
    if answer.status == 429 or answer.status >= 500:
        return True
    errors = _error(answer).get("errors")
    reasons = [row.get("reason") for row in errors or () if isinstance(row, dict)]
    return answer.status == 403 and not _BUSY.isdisjoint(map(str, reasons))


def _error(answer: HttpAnswer) -> dict[str, Any]:
    """Return the object `error` of an answer, an empty one where there is none."""
    error = (_parse(answer) or {}).get("error")
    return error if isinstance(error, dict) else {}


def _parse(answer: HttpAnswer) -> dict[str, Any] | None:
    try:
        value = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
