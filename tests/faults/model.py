"""A model of a maildrop, by all replies to its clients and programs."""

from __future__ import annotations

from collections.abc import Sequence

from faults.promise import Answer
from protocol import reference


class Model:
    """One maildrop. Only a QUIT or a delivery whose answer never came leaves anything open."""

    def __init__(self) -> None:
        self.there: set[bytes] = set()  # messages that must be there
        self.maybe: set[bytes] = set()  # that may be, each for itself
        self.shown: list[bytes] = []  # to the session that is under way, by number
        self.marked: set[int] = set()  # numbers
        self._uids: dict[bytes, bytes] = {}
        self._by_lines: dict[tuple[bytes, ...], bytes] = {}

    def next_message(self, body: bytes, top: bytes = b"") -> bytes:
        """Return a message that there never was, with lines on top that its delivery adds."""
        message = b"%bSubject: %d\n\n%b" % (top, len(self._by_lines), body)
        self._by_lines[tuple(reference.wire_lines(message))] = message
        return message

    def brought(self, message: bytes, answer: Answer) -> None:
        """A message was brought, which was granted, or refused, or not answered."""
        if answer is Answer.DONE:
            self.there.add(message)
        elif answer is Answer.OPEN:
            self.maybe.add(message)

    def known(self, lines: Sequence[bytes]) -> bytes:
        """Return the message that was sent as these lines."""
        assert tuple(lines) in self._by_lines, f"nobody sent this: {lines[:3]}"
        return self._by_lines[tuple(lines)]

    def log_in(self, shown: list[bytes], uids: list[bytes]) -> None:
        """A session begins with these messages: from now on it is known what is there."""
        assert len(set(shown)) == len(shown), "a message is there twice"
        assert self.there <= set(shown), f"lost: {[m[:20] for m in self.there - set(shown)]}"
        assert set(shown) <= self.there | self.maybe, "a removed message is back"
        for message, uid in zip(shown, uids, strict=True):
            assert self._uids.setdefault(message, uid) == uid, "a unique-id changed"
        assert len(set(self._uids.values())) == len(self._uids), "a unique-id was used twice"
        self.there, self.maybe = set(shown), set()
        self.shown, self.marked = shown, set()

    def renamed(self, message: bytes) -> None:
        """Another program changed the names of a message: its unique-id may be another."""
        self._uids.pop(message, None)

    def has(self, number: int) -> bool:
        """Tell whether the session may name this number."""
        return number <= len(self.shown) and number not in self.marked

    def quit(self, *, answered: bool) -> None:
        """A session said QUIT, which was granted, or not answered."""
        removed = {self.shown[number - 1] for number in self.marked}
        self.there -= removed
        if not answered:
            self.maybe |= removed
        self.marked = set()
