"""Developer mode as the page sees it, made by hand, without a server."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Mapping, Sequence
from email.message import EmailMessage

from restante.web.source import (
    EventReader,
    PageEvent,
    ServerAddresses,
    ShownLine,
    ShownMessage,
    ShownSession,
    TooManyReadersError,
)

NOON = 1795780800.0  # 27 November 2026, 12:00 UTC
MOST = 4  # subscribers


class HandMadeSource:
    """Messages and conversations that a test puts in, and events that it sends."""

    def __init__(self) -> None:
        self.addresses = ServerAddresses("127.0.0.1:1110", "127.0.0.1:1995", "127.0.0.1:1025")
        self.mails: list[ShownMessage] = []
        self.talks: list[ShownSession] = []
        self.holders: dict[str, int] = {}
        self.on: list[str] = []
        self.coming: list[bytes] = []  # each comes when a reader waits for it
        self.happened: list[PageEvent] = []
        self.readers: list[HandMadeReader] = []

    @property
    def last_event(self) -> int:
        return len(self.happened)

    def add(
        self,
        message: bytes | EmailMessage,
        mailbox: str = "ann@example.com",
        received: float = NOON,
        **more: object,
    ) -> ShownMessage:
        mail = ShownMessage(
            f"memory-{len(self.mails) + 1}",
            mailbox,
            bytes(message),
            received,
            **more,  # type: ignore[arg-type]
        )
        self.mails.append(mail)
        self.happen("delivered", id=mail.id, mailbox=mailbox, session=None)
        return mail

    def happen(self, kind: str, **data: object) -> None:
        self.happened.append(PageEvent(len(self.happened) + 1, kind, data))
        for reader in self.readers:
            reader.woken.set()

    def mail(self, *, removed: bool = False) -> Sequence[ShownMessage]:
        return [one for one in reversed(self.mails) if (one.removed is not None) == removed]

    def find_mail(self, identifier: str) -> ShownMessage | None:
        return next((one for one in self.mails if one.id == identifier), None)

    def mailboxes(self) -> Sequence[tuple[str, int | None]]:
        names = dict.fromkeys(one.mailbox for one in self.mails)
        return [(name, self.holders.get(name)) for name in names]

    async def remove(self, identifiers: Sequence[str]) -> int:
        count = 0
        for place, mail in enumerate(self.mails):
            if mail.id in identifiers and mail.removed is None:
                self.mails[place] = dataclasses.replace(mail, removed=NOON + 60)
                self.happen("removed", id=mail.id, mailbox=mail.mailbox, session=None)
                count += 1
        return count

    def conversations(self) -> Sequence[ShownSession]:
        return [dataclasses.replace(one, lines=()) for one in reversed(self.talks)]

    def conversation(self, number: int) -> ShownSession | None:
        return next((one for one in self.talks if one.number == number), None)

    def faults(self) -> Sequence[str]:
        return self.on

    def known_faults(self) -> Mapping[str, str]:
        return {
            "retr-cut": "hangs up within a message",
            "login-silent": "never answers PASS",
            "slow-latency": "takes 150 ms for each reply",
        }

    def set_faults(self, texts: Sequence[str]) -> None:
        for text in texts:
            if ":" not in text and not set(text.split("+")) <= set(self.known_faults()):
                raise ValueError(f"no fault is named {text!r}; did you mean retr-cut?")
        self.on = list(texts)
        self.happen("faults", on=list(texts))

    def subscribe(self, after: int | None = None) -> EventReader:
        if len(self.readers) >= MOST:
            raise TooManyReadersError
        reader = HandMadeReader(self, len(self.happened) if after is None else after)
        self.readers.append(reader)
        return reader


class HandMadeReader:
    """A reader of what happened."""

    def __init__(self, source: HandMadeSource, place: int) -> None:
        self.source = source
        self.place = place
        self.woken = asyncio.Event()

    async def next(self, seconds: float) -> PageEvent | None:
        if self.place >= len(self.source.happened) and self.source.coming:
            self.source.add(self.source.coming.pop(0))
        if self.place >= len(self.source.happened):
            self.woken.clear()
            try:
                await asyncio.wait_for(self.woken.wait(), seconds)
            except TimeoutError:
                return None
        self.place += 1
        return self.source.happened[self.place - 1]

    def close(self) -> None:
        if self in self.source.readers:
            self.source.readers.remove(self)


def lines(*texts: str, start: float = NOON) -> list[ShownLine]:
    """Return lines of a conversation from "C text" and "S text"."""
    return [
        ShownLine(number, start + number * 0.0123, text[0], text[2:])
        for number, text in enumerate(texts, 1)
    ]
