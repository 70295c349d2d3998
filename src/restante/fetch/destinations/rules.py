"""Rules, which choose the destination of each message: `[[NAME.fetch.rule]]`.

They are tried in order. The first rule that matches and has `to` decides; where none does, the
message goes to `to` of the account. A rule with `filter` gives the message to a command, such as a
spam filter, whose output replaces the message for the rules after it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from restante.fetch.destinations.filters import run_filter
from restante.fetch.destinations.urls import check_nesting, place_of
from restante.fetch.interfaces import Settled
from restante.fetch.spool import Spool
from restante.mail.fields import split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.fetch.interfaces import Content, Destination, Draft, SourceMessage
    from restante.fetch.spool import SpooledDraft

_DROPPED = "dropped"  # the token of a message that a filter drops
_BY_RULE = "rule "  # begins the token of a message whose destination a rule chose


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition on the header of a message. Case does not count.

    Attributes:
        header: the name of a field; "" for any message.
        has: a text within the decoded value of one such field.
        equals: the whole decoded value of one such field.
    """

    header: str = ""
    has: str = ""
    equals: str = ""

    def matches(self, header: bytes) -> bool:
        """Return whether a header fulfils the condition."""
        if not self.header:
            return True
        values = [field.text.strip().casefold() for field in split(header).all(self.header)]
        if self.equals:
            values = [value for value in values if value == self.equals.strip().casefold()]
        return any(self.has.casefold() in value for value in values)


@dataclass(frozen=True, slots=True)
class Rule:
    """A condition, and a destination or a command for messages that match.

    Attributes:
        allow_drop: whether the exit code 99 of the command drops the message.
    """

    condition: Condition
    to: Destination | None = None
    filter: Sequence[str] = ()
    allow_drop: bool = False


class RoutedDraft:
    """A message in the spool until its header is known, then a draft of its destination."""

    def __init__(self, rules: RulesDestination, spooled: SpooledDraft) -> None:
        self._rules = rules
        self._spooled = spooled
        self.destination: Destination | None = None  # None for a message that is dropped, too
        self.draft: Draft | None = None

    def write(self, octets: bytes) -> None:
        """Add octets. Raises DestinationUnavailableError."""
        self._spooled.write(octets)

    def finish(self, content: Content) -> None:
        """Choose the destination, and write the message there. Raises DestinationError."""
        self._spooled.finish(content)
        self.destination = self._rules.route(self)
        if self.destination is None:
            return
        self.draft = self.destination.start(self._spooled.message)
        for octets in self._spooled.chunks():
            self.draft.write(octets)
        assert self._spooled.content
        self.draft.finish(self._spooled.content)
        self._spooled.discard()

    def apply(self, command: Sequence[str], *, allow_drop: bool) -> bool:
        """Let a command replace the message, and return whether it keeps it."""
        replaced = run_filter(command, self._spooled, self._rules.spool, allow_drop=allow_drop)
        if replaced is not self._spooled:
            self._spooled.discard()
        if replaced is None:
            return False
        self._spooled = replaced
        return True

    @property
    def header(self) -> bytes:
        """The header, as the filters so far have left it."""
        return self._spooled.content.header if self._spooled.content else b""

    def discard(self) -> None:
        """Remove it."""
        self._spooled.discard()
        if self.draft:
            self.draft.discard()


class RulesDestination:
    """Several destinations, of which each message goes to one."""

    def __init__(self, rules: Sequence[Rule], default: Destination, state: str) -> None:
        """Prepare them; one that is spelt in several ways is used once.

        Raises ValueError: one is in the folders of a Maildir among them.
        """
        self.url = default.url
        self.spool = Spool(f"{state}/spool")
        self._rules = rules
        self._default = default
        self._destinations = {_name(default): default}
        self._by_name = dict(self._destinations)  # with all spellings
        by_place = {place_of(default.url): default}
        for rule in rules:
            if rule.to:
                place = place_of(rule.to.url)
                if place not in by_place:
                    self._destinations[_name(rule.to)] = by_place[place] = rule.to
                self._by_name.setdefault(_name(rule.to), by_place[place])
        check_nesting(by_place)
        self.batch = min(each.batch for each in self._destinations.values())

    def open(self) -> None:
        """Open all destinations."""
        self.spool.open()
        for destination in self._destinations.values():
            destination.open()

    def start(self, message: SourceMessage) -> Draft:
        """Return a draft whose destination is not known yet."""
        return RoutedDraft(self, self.spool.start(message))

    def route(self, draft: RoutedDraft) -> Destination | None:
        """Return the destination of a message, None if a filter drops it."""
        for rule in self._rules:
            if not rule.condition.matches(draft.header):
                continue
            if rule.filter and not draft.apply(rule.filter, allow_drop=rule.allow_drop):
                return None
            if rule.to:
                return self._by_name[_name(rule.to)]
        return self._default

    def prepare(self, drafts: Sequence[Draft]) -> list[str]:
        """Make drafts durable at their destinations; a token names the destination of a rule.

        Tokens of the default are its own, so that rules may come and go between two runs.
        """
        tokens = [_DROPPED] * len(drafts)
        routed = [cast(RoutedDraft, draft) for draft in drafts]
        for name, destination in self._destinations.items():
            places = [i for i, draft in enumerate(routed) if draft.destination is destination]
            inner = [draft for i in places if (draft := routed[i].draft)]
            if inner:
                beginning = "" if destination is self._default else f"{_BY_RULE}{name} "
                for place, token in zip(places, destination.prepare(inner), strict=True):
                    tokens[place] = beginning + token
        return tokens

    def deliver(self, draft: Draft) -> None:
        """Deliver a message to its destination."""
        routed = cast(RoutedDraft, draft)
        if routed.destination and routed.draft:
            routed.destination.deliver(routed.draft)

    def sync(self) -> None:
        """Make durable what was delivered, everywhere."""
        for destination in self._destinations.values():
            destination.sync()

    def settle(self, token: str) -> Settled:
        """Ask the destination of a token; UNKNOWN where no rule names it any more."""
        if token == _DROPPED:
            return Settled.HERE
        if not token.startswith(_BY_RULE):
            return self._default.settle(token)
        name, _, inner = token.removeprefix(_BY_RULE).partition(" ")
        destination = self._by_name.get(name)
        return destination.settle(inner) if destination else Settled.UNKNOWN

    def close(self) -> None:
        """Close all destinations."""
        for destination in self._destinations.values():
            destination.close()
        self.spool.close()


def _name(destination: Destination) -> str:
    """Return a short name of a destination for tokens, the same in each run."""
    return hashlib.sha256(destination.url.encode()).hexdigest()[:16]
