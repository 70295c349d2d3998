"""The faults that are switched on, for all sessions or for those of one user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from restante.developer.mailboxes import mailbox_name
from restante.misbehave.conversation import add, continue_from, in_parts, next_step
from restante.misbehave.fault import GOOD
from restante.protocol.errors import LineTooLong, Refusal
from restante.protocol.server.needs import Authenticate, StartScram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.developer.feed import EventFeed
    from restante.misbehave.conversation import Conversation
    from restante.misbehave.fault import Fault
    from restante.protocol.server import needs
    from restante.protocol.server.session import Session

EVERY_USER = ""


class FaultSwitch:
    """The faults of a server. Any thread may switch them.

    A change holds for sessions that begin later, and for those that have not given a name yet.
    Those that are on from the beginning may be faults of the listener, too.

    Attributes:
        certificate: the kind of certificate, a name in `restante.misbehave.certificates`.
        swapped: TLS from the first octet where clients expect clear text, and the other way round.
        need_tls: whether one of the first faults needs TLS.
    """

    def __init__(self, feed: EventFeed, first: Sequence[Fault] = ()) -> None:
        self._feed = feed
        self._by_user: dict[str, tuple[Fault, ...]] = {EVERY_USER: tuple(first)}
        kinds = [one.surroundings.certificate for one in first]
        self.certificate = next((kind for kind in kinds if kind != GOOD), GOOD)
        self.swapped = any(one.surroundings.swapped for one in first)
        self.need_tls = any(one.security in ("starttls", "implicit") for one in first)

    @property
    def on(self) -> list[str]:
        """The faults that are on for all users, each as it was written."""
        return self.of_user(EVERY_USER)

    def of_user(self, user: str) -> list[str]:
        """Return the faults that are on for one user."""
        return [fault.name for fault in self._by_user.get(mailbox_name(user), ())]

    def set(self, texts: Sequence[str], user: str = EVERY_USER) -> None:
        """Switch on these faults and no others, for one user or for all.

        A text is the name of a fault, a rule, or a sum such as "uidl-none+retr-cut". Raises
        ValueError: a fault is unknown, or is a matter of the listener, as those of TLS are.
        """
        from restante.misbehave import find

        self.use([find(text) for text in texts], user)

    def use(self, faults: Sequence[Fault], user: str = EVERY_USER) -> None:
        """Do the same with faults that were found. Raises ValueError."""
        for fault in faults:
            kind, swapped = fault.surroundings.certificate, fault.surroundings.swapped
            if kind not in (GOOD, self.certificate) or swapped > self.swapped:
                raise ValueError(f"{fault.name} must be on before the server starts")
        with self._feed.lock:
            self._by_user[mailbox_name(user)] = tuple(faults)
            self._feed.publish("faults", on=self.on)

    def alter(
        self, conversation: needs.Conversation, session: Session, note: Callable[[str], object]
    ) -> Conversation:
        """Return a conversation with the faults of all, and from a name on with those of the user.

        `note` is called with the faults that hold.
        """
        faults = self._by_user.get(EVERY_USER, ())
        _apply_settings(session, faults)
        if faults:
            note(_names(faults))
        altered = add(*(fault.conversation for fault in faults))(in_parts(conversation))
        return self._alter_by_user(altered, session, note)

    def show_messages(self, user: str, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return what a maildrop holds for a session, by the faults of its user and of all."""
        for name in (EVERY_USER, mailbox_name(user)):
            for fault in self._by_user.get(name, ()):
                messages = fault.surroundings.messages(messages)
        return messages

    def _alter_by_user(
        self, conversation: Conversation, session: Session, note: Callable[[str], object]
    ) -> Conversation:
        answer: object = None
        while True:
            try:
                step = next_step(conversation, answer)
            except StopIteration as ended:
                return ended.value  # type: ignore[no-any-return]  # of a StopIteration
            faults = self._by_user.get(mailbox_name(_user_of(session, step)), ())
            if faults and _user_of(session, step):
                note(_names((*self._by_user.get(EVERY_USER, ()), *faults)))
                alteration = add(*(fault.conversation for fault in faults))
                return (yield from alteration(continue_from(conversation, step)))
            try:
                answer = yield step
            except (Refusal, LineTooLong) as error:
                answer = error


def _user_of(session: Session, step: Any) -> str:
    """Return the name that a client has given until now, or ""."""
    if isinstance(step, Authenticate | StartScram):
        return step.user
    return session.user


def _names(faults: Sequence[Fault]) -> str:
    return " + ".join(fault.name for fault in faults)


def _apply_settings(session: Session, faults: Sequence[Fault]) -> None:
    """Give a session the settings and the mechanisms that faults need."""
    for fault in faults:
        surroundings = fault.surroundings
        if surroundings.settings != type(surroundings.settings)():
            session.settings = surroundings.settings
        if surroundings.offer != type(surroundings.offer)():
            session.offer = surroundings.offer
