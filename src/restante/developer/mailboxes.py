"""The mail of developer mode: a store in memory in which any address may have a mailbox.

Reading needs no lock of a maildrop: `mail` and `removed_mail` return copies at any time. The lock
of POP3 is for sessions alone. Removed messages are kept for a while, so that a test can see them.
"""

from __future__ import annotations

import asyncio
import dataclasses
import itertools
import time
import unicodedata
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from restante.developer.maildrop import SHOWN_ONLY, DeveloperMaildrop
from restante.developer.tags import clean_tags, tags_of
from restante.protocol.server.maildrop import MessageList
from restante.protocol.stuffing import size_on_wire
from restante.protocol.unique_id import is_valid_uid
from restante.storage.errors import BusyError, FullError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from restante.developer.feed import EventFeed
    from restante.developer.kept_mail import KeptMail

MAX_OCTETS = 512 * 1024 * 1024  # of all messages that are there
MAX_MESSAGES = 100_000  # that are there
MAX_REMOVED_OCTETS = 64 * 1024 * 1024  # of the removed ones that are remembered
MAX_REMOVED = 1_000  # that are remembered
MAX_MAILBOXES = 1_000  # beyond them, the oldest empty one is forgotten
MAX_FETCHES = 100  # sessions that retrieved one message, and are remembered


@dataclass(frozen=True, slots=True)
class DeveloperMail:
    """One message in one mailbox.

    Attributes:
        id: 1-based, over all mailboxes, in the order in which messages came.
        uid: its unique-id.
        mailbox: the address or user name that it was delivered to, in lower case.
        octets: the message as it is stored.
        size: octets of the message as LIST counts them.
        received: seconds since 1970.
        sender: the sender of the SMTP envelope, "" for none.
        delivered_by: the number of the SMTP session that brought it, or None.
        marked_by: the number of the live session that marked it for removal, or None.
        fetched_by: the numbers of the last sessions that retrieved it, in their order.
        removed: seconds since 1970, or None while it is there.
        removed_by: the number of the session that removed it, or None.
        shown: what that session got for it, where a fault changed it, else None.
        tags: see `restante.developer.tags`.
    """

    id: int
    uid: str
    mailbox: str
    octets: bytes = field(repr=False)
    size: int
    received: float
    sender: str = ""
    delivered_by: int | None = None
    marked_by: int | None = None
    fetched_by: tuple[int, ...] = ()
    removed: float | None = None
    removed_by: int | None = None
    shown: bytes | None = field(default=None, repr=False)
    tags: tuple[str, ...] = ()


class Mailboxes:
    """All mailboxes of a server. All methods but coroutines may be called from any thread.

    Attributes:
        most_octets: of all messages that are there.
        show_messages: returns what a session of a user gets for the messages of a mailbox.
    """

    def __init__(
        self,
        feed: EventFeed,
        *,
        most_octets: int = MAX_OCTETS,
        clock: Callable[[], float] = time.time,
        kept: KeptMail | None = None,
    ) -> None:
        self.show_messages: Callable[[str, Sequence[bytes]], Sequence[bytes]] = _show_all
        self._feed = feed
        self._clock = clock
        self.most_octets = most_octets
        self._kept = kept
        self._boxes: dict[str, DeveloperMailbox] = {}
        self._places: dict[int, tuple[DeveloperMailbox, str]] = {}  # by id: mailbox, unique-id
        self._removed: deque[DeveloperMail] = deque()
        self._numbers = itertools.count(1)
        self._octets = self._removed_octets = self._count = 0

    async def acquire(self, owner: str, patience: float) -> DeveloperMaildrop:
        """Lock and open a mailbox. Raises BusyError."""
        box = self._box(owner)
        try:
            async with asyncio.timeout(patience):
                await box.lock.acquire()
        except TimeoutError:
            raise BusyError(f"the maildrop of {owner} is in use") from None
        return DeveloperMaildrop(self, box)

    async def deliver(self, owner: str, message: bytes) -> str:
        """Store a message, and return its unique-id. Raises FullError."""
        return self.add(owner, message).uid

    async def has(self, owner: str) -> bool:
        """Return whether a mailbox exists."""
        return mailbox_name(owner) in self._boxes

    def add(
        self,
        mailbox: str,
        message: bytes,
        *,
        uid: str | None = None,
        sender: str = "",
        session: int | None = None,
    ) -> DeveloperMail:
        """Store the octets of a message for an address, and return what is stored.

        `uid` is a unique-id of 1 to 70 printable characters; None makes one. Raises ValueError: the
        mailbox has it already, or it is not valid. Raises FullError: there is too much mail.
        Raises OSError: the folder cannot keep it, and it is not stored.
        """
        with self._feed.lock:
            self._check_room(len(message))
            box, number = self._box(mailbox), next(self._numbers)
            uid = self._new_uid(number) if uid is None else uid
            if not is_valid_uid(uid) or uid in box.mail:
                raise ValueError(f"the unique-id {uid!r} is in use, or not valid")
            mail = DeveloperMail(
                number, uid, box.name, message, size_on_wire([message]), self._clock(), sender,
                delivered_by=session, tags=tags_of(box.name, message),
            )  # fmt: skip
            if self._kept:
                self._kept.keep(box.name, uid, message)
            self._put(box, mail)
            return mail

    def load(self) -> None:
        """Add what the folder keeps. Raises OSError, and FullError: there is too much mail."""
        if not self._kept:
            return
        for mailbox, uid, received, octets in self._kept.load(mailbox_name):
            with self._feed.lock:
                self._check_room(len(octets))
                mail = DeveloperMail(
                    next(self._numbers), uid, mailbox, octets, size_on_wire([octets]), received,
                    tags=tags_of(mailbox, octets),
                )  # fmt: skip
                self._put(self._box(mailbox), mail)

    def mail(self, mailbox: str | None = None) -> list[DeveloperMail]:
        """Return the messages of a mailbox, or of all, in the order in which they came."""
        with self._feed.lock:
            if mailbox is not None:
                box = self._boxes.get(mailbox_name(mailbox))
                return list(box.mail.values()) if box else []
            every = [mail for box in self._boxes.values() for mail in box.mail.values()]
            return sorted(every, key=lambda mail: mail.id)

    def removed_mail(self, mailbox: str | None = None) -> list[DeveloperMail]:
        """Return the removed messages of a mailbox, or of all, in the order of their removal."""
        with self._feed.lock:
            name = None if mailbox is None else mailbox_name(mailbox)
            return [mail for mail in self._removed if name in (None, mail.mailbox)]

    def find(self, number: int) -> DeveloperMail | None:
        """Return the message with this id, removed or not, or None."""
        with self._feed.lock:
            if place := self._places.get(number):
                return place[0].mail[place[1]]
            return next((mail for mail in self._removed if mail.id == number), None)

    def remove(self, numbers: Collection[int]) -> int:
        """Remove the messages with these ids, as no session does, and return how many there were.

        A session that has a message listed gets an error when it retrieves it. Raises OSError: the
        folder cannot remove one, which stays with those after it.
        """
        with self._feed.lock:
            messages = [mail for mail in self.mail() if mail.id in numbers]
            for mail in messages:
                self.discard(self._boxes[mail.mailbox], mail.uid)
            return len(messages)

    def tags(self) -> list[str]:
        """Return all tags, sorted."""
        return sorted({tag for mail in self.mail() for tag in mail.tags}, key=str.lower)

    def tag(self, numbers: Collection[int], tags: Iterable[str]) -> None:
        """Give the messages with these ids these tags and no others. Raises ValueError."""
        clean = clean_tags(tags)
        with self._feed.lock:
            for mail in self.mail():
                if mail.id in numbers:
                    self._tag(mail, clean)

    def rename_tag(self, tag: str, names: Iterable[str]) -> None:
        """Replace a tag, in any case of letters, on all messages by others, or by none.

        Raises ValueError.
        """
        clean = clean_tags(names)
        with self._feed.lock:
            for mail in self.mail():
                kept = [one for one in mail.tags if one.lower() != tag.lower()]
                if len(kept) < len(mail.tags):
                    self._tag(mail, clean_tags((*clean, *kept)))

    def names(self) -> list[str]:
        """Return the names of all mailboxes, sorted: user1@ before user10@."""
        with self._feed.lock:
            return sorted(self._boxes, key=lambda name: name.partition("@")[::2])

    def create(self, mailbox: str) -> None:
        """Create an empty mailbox."""
        self._box(mailbox)

    def holder(self, mailbox: str) -> int | None:
        """Return the number of the session that holds a mailbox, or None."""
        box = self._boxes.get(mailbox_name(mailbox))
        return box.holder if box else None

    def note_holder(self, mailbox: str, session: int | None) -> None:
        """Note which session holds a mailbox. Without one, its marks are gone."""
        with self._feed.lock:
            box = self._box(mailbox)
            if session is None:
                self.note_marked(mailbox, (), None)
            changed, box.holder = session or box.holder, session
            if changed is not None:
                self._feed.publish("session", number=changed)

    def note_fetched(self, mailbox: str, uid: str, session: int) -> None:
        """Note that a session retrieved a message."""
        with self._feed.lock:
            box = self._box(mailbox)
            mail = box.mail.get(uid)
            if mail is not None:
                if session not in mail.fetched_by:
                    sessions = (*mail.fetched_by, session)[-MAX_FETCHES:]
                    box.mail[uid] = dataclasses.replace(mail, fetched_by=sessions)
                self._feed.publish("fetched", id=mail.id, mailbox=box.name, session=session)

    def note_marked(self, mailbox: str, uids: Collection[str], session: int | None) -> None:
        """Note which messages are marked for removal, by the session that holds the mailbox."""
        with self._feed.lock:
            box = self._box(mailbox)
            for uid, mail in box.mail.items():
                marked = uid in uids
                if marked != (mail.marked_by is not None):
                    by = session if marked else None
                    box.mail[uid] = dataclasses.replace(mail, marked_by=by)
                    self._feed.publish(
                        "marked", id=mail.id, mailbox=box.name, session=session, marked=marked
                    )

    def discard(
        self,
        box: DeveloperMailbox,
        uid: str,
        session: int | None = None,
        shown: bytes | None = None,
    ) -> None:
        """Remove one message of a mailbox, if it is there, and remember it for a while.

        Raises OSError: the folder cannot remove it, and it stays.
        """
        with self._feed.lock:
            mail = box.mail.get(uid)
            if mail is None:
                return
            if self._kept:
                self._kept.forget(box.name, uid)
            del box.mail[uid], self._places[mail.id]
            if shown == mail.octets:
                shown = None
            gone = dataclasses.replace(mail, removed=self._clock(), removed_by=session, shown=shown)
            self._octets -= len(mail.octets)
            self._count -= 1
            self._removed.append(gone)
            self._removed_octets += len(gone.octets)
            while self._removed_octets > MAX_REMOVED_OCTETS or len(self._removed) > MAX_REMOVED:
                self._removed_octets -= len(self._removed.popleft().octets)
            self._feed.publish("removed", id=mail.id, mailbox=box.name, session=session)

    def show(self, box: DeveloperMailbox) -> tuple[MessageList, Sequence[bytes]]:
        """Return what a session gets, by the faults that are on: the list, and the messages."""
        mail = self.mail(box.name)
        messages = self.show_messages(box.name, [one.octets for one in mail])
        uids = [one.uid for one in mail[: len(messages)]]
        uids += [f"{SHOWN_ONLY}{place}" for place in range(len(uids), len(messages))]
        counted = {id(one.octets): one.size for one in mail}  # what no fault changed
        sizes = [counted.get(id(octets)) or size_on_wire([octets]) for octets in messages]
        return MessageList(tuple(sizes), tuple(uids)), messages

    def _new_uid(self, number: int) -> str:
        """Return a unique-id, with a time if it is kept: the numbers begin again at each start."""
        return f"{self._clock():.6f}-{number}" if self._kept else f"memory-{number}"

    def _tag(self, mail: DeveloperMail, tags: tuple[str, ...]) -> None:
        self._boxes[mail.mailbox].mail[mail.uid] = dataclasses.replace(mail, tags=tags)
        self._feed.publish("tagged", id=mail.id, mailbox=mail.mailbox, tags=tags)

    def _put(self, box: DeveloperMailbox, mail: DeveloperMail) -> None:
        box.mail[mail.uid] = mail
        self._places[mail.id] = box, mail.uid
        self._octets += len(mail.octets)
        self._count += 1
        self._feed.publish("delivered", id=mail.id, mailbox=box.name, session=mail.delivered_by)

    def _check_room(self, octets: int) -> None:
        if self._octets + octets > self.most_octets or self._count >= MAX_MESSAGES:
            raise FullError("developer mode holds as much mail as it may")

    def _box(self, owner: str) -> DeveloperMailbox:
        name = mailbox_name(owner)
        with self._feed.lock:
            if name not in self._boxes and len(self._boxes) >= MAX_MAILBOXES:
                self._forget_empty()
            return self._boxes.setdefault(name, DeveloperMailbox(name))

    def _forget_empty(self) -> None:
        """Forget the oldest mailbox without mail and without a session: any login makes one."""
        unused = (n for n, box in self._boxes.items() if not box.mail and not box.lock.locked())
        name = next(unused, None)
        if name is not None:
            del self._boxes[name]


def _show_all(_user: str, messages: Sequence[bytes]) -> Sequence[bytes]:
    return messages


def mailbox_name(address: str) -> str:
    """Return the name of the mailbox of an address or user: the same in lower case.

    A letter with a mark may be one character or two. Logins come in the form of SASLprep, NFKC, but
    addresses of SMTP as they were typed: RFC 4013 section 2.2, RFC 6530 section 10.1.
    """
    return (address if address.isascii() else unicodedata.normalize("NFKC", address)).lower()


@dataclass(slots=True, eq=False)
class DeveloperMailbox:
    """One mailbox: its name, its messages by unique-id, and the session that holds it."""

    name: str
    mail: dict[str, DeveloperMail] = field(default_factory=dict)
    holder: int | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
