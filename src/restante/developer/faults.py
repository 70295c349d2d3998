"""The faults of POP3 and SMTP that are switched on, for all sessions or for those of one user."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

from restante.developer.mailboxes import mailbox_name
from restante.misbehave.conversation import add, alter, continue_from, in_parts, next_step, pass_on
from restante.misbehave.fault import GOOD, Fault
from restante.misbehave.smtp.fault import SmtpFault
from restante.protocol.server.needs import Authenticate, StartScram

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from restante.delivery.protocol import needs as smtp_needs
    from restante.developer.feed import EventFeed
    from restante.developer.smtp_verbs import DeveloperSmtpSession
    from restante.misbehave.conversation import Conversation
    from restante.protocol.server import needs
    from restante.protocol.server.session import Session

EVERY_USER = ""
OF_SMTP = "(smtp)"  # in place of a user, for the count of sessions; no mailbox has a blank or "("
MAX_USERS = 1000  # with faults of their own

AnyFault: TypeAlias = "Fault | SmtpFault"


def find_fault(text: str) -> AnyFault:
    """Return a fault of POP3 or of SMTP: a name, a sum of names, or a rule. Raises ValueError."""
    from restante.misbehave.finding import find
    from restante.misbehave.smtp.finding import PREFIX, find_smtp, is_smtp

    kinds = {name.strip().lower().startswith(PREFIX) for name in text.split("+")}
    if len(kinds) > 1 and ":" not in text:
        raise ValueError(f"{text!r} has faults of POP3 and of SMTP; switch on each by itself")
    return find_smtp(text) if is_smtp(text) else find(text)


class FaultSwitch:
    """The faults of a server. Any thread may switch them.

    A change holds for sessions that begin later, and for those of POP3 that have not given a name
    yet. Those that are on from the beginning may be faults of the listener, too.

    Attributes:
        certificate: the kind of certificate, a name in `restante.misbehave.certificates`.
        swapped: TLS from the first octet where clients expect clear text, and the other way round.
        need_tls: whether one of the first faults needs TLS.
    """

    def __init__(self, feed: EventFeed, first: Sequence[AnyFault] = ()) -> None:
        self._feed = feed
        self._by_user: dict[str, tuple[AnyFault, ...]] = {EVERY_USER: tuple(first)}
        self._sessions: Counter[str] = Counter()  # since the faults of a user were switched
        pop3_faults = [one for one in first if isinstance(one, Fault)]
        kinds = [one.surroundings.certificate for one in pop3_faults]
        self.certificate = next((kind for kind in kinds if kind != GOOD), GOOD)
        self.swapped = any(one.surroundings.swapped for one in pop3_faults)
        self.need_tls = any(one.needs_tls for one in pop3_faults)

    @property
    def on(self) -> list[str]:
        """The faults that are on for all users, each as it was written."""
        return self._fault_names(EVERY_USER)

    @property
    def by_user(self) -> dict[str, list[str]]:
        """The faults that are on for one user alone, by the user."""
        with self._feed.lock:
            return {user: self._fault_names(user) for user in sorted(self._by_user) if user}

    def _fault_names(self, user: str) -> list[str]:
        """Return the faults that are on for one user."""
        return [fault.name for fault in self._by_user.get(mailbox_name(user), ())]

    def set(self, texts: Sequence[str], user: str = EVERY_USER) -> None:
        """Switch on these faults and no others, for one user or for all.

        A text is the name of a fault, a rule, or a sum such as "uidl-none+retr-cut". Raises
        ValueError: a fault is unknown, or is a matter of the listener, as those of TLS are.
        """
        self.use([find_fault(text) for text in texts], user)

    def use(self, faults: Sequence[AnyFault], user: str = EVERY_USER) -> None:
        """Switch on faults that were found already, and no others. Raises ValueError."""
        name = mailbox_name(user)
        for fault in faults:
            self._check(fault, name)
        with self._feed.lock:
            if faults or not name:
                self._by_user[name] = tuple(faults)
            else:
                self._by_user.pop(name, None)
            if len(self._by_user) > 1 + MAX_USERS:
                del self._by_user[name]
                raise ValueError(f"at most {MAX_USERS} mailboxes have faults of their own")
            for count in (name, *((OF_SMTP,) if not name else ())):
                self._sessions.pop(count, None)
            self._feed.publish("faults", on=self.on)

    def _check(self, fault: AnyFault, user: str) -> None:
        """Raise ValueError: a fault cannot be switched on now, or not for one user."""
        if isinstance(fault, SmtpFault):
            if user:
                raise ValueError(
                    f"{fault.name} is a fault of SMTP, which is for all; a rule such as "
                    f"'RCPT {user}: 550 5.1.1 no' is for one recipient"
                )
            return
        kind, swapped = fault.surroundings.certificate, fault.surroundings.swapped
        if kind not in (GOOD, self.certificate) or swapped > self.swapped:
            raise ValueError(f"{fault.name} must be on before the server starts")

    def alter(
        self, conversation: needs.Conversation, session: Session, note: Callable[[str], object]
    ) -> Conversation:
        """Return a conversation with the faults of all, and from a name on with those of the user.

        `note` is called with the faults that hold.
        """
        faults = self._pop3_faults(EVERY_USER)
        _apply_settings(session, faults)
        if faults:
            note(_names(faults))
        parts = in_parts(conversation, self._count(EVERY_USER))
        altered = add(*(fault.conversation for fault in faults))(parts)
        return self._alter_by_user(altered, session, note)

    def alter_smtp(
        self,
        conversation: smtp_needs.Conversation,
        session: DeveloperSmtpSession,
        note: Callable[[str], object],
    ) -> smtp_needs.Conversation:
        """Return a conversation of SMTP with the faults that are on.

        `note` is called with them, when the conversation begins.
        """
        with self._feed.lock:
            faults = [one for one in self._by_user[EVERY_USER] if isinstance(one, SmtpFault)]
        if not faults:
            return conversation
        from restante.misbehave.smtp import conversation as smtp

        parts = smtp.in_parts(conversation, self._count(OF_SMTP))
        altered = add(*(fault.conversation for fault in faults))(parts)
        return _noting(smtp.as_octets(altered, session), note, _names(faults))

    def show_messages(self, user: str, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Return what a maildrop holds for a session, by the faults of its user and of all."""
        for name in (EVERY_USER, mailbox_name(user)):
            for fault in self._pop3_faults(name):
                messages = fault.surroundings.messages(messages)
        return messages

    def _pop3_faults(self, name: str) -> list[Fault]:
        return [one for one in self._by_user.get(name, ()) if isinstance(one, Fault)]

    def _count(self, name: str) -> int:
        """Return the number of a session with these faults, from 0."""
        with self._feed.lock:
            self._sessions[name] += 1
            return self._sessions[name] - 1

    def _alter_by_user(
        self, conversation: Conversation, session: Session, note: Callable[[str], object]
    ) -> Conversation:
        answer: object = None
        while True:
            try:
                step = next_step(conversation, answer)
            except StopIteration as ended:
                return ended.value  # type: ignore[no-any-return]  # of a StopIteration
            user = mailbox_name(_user_of(session, step))
            faults = self._pop3_faults(user) if user else []
            if faults:
                note(_names([*self._pop3_faults(EVERY_USER), *faults]))
                remaining = _number(continue_from(conversation, step), self._count(user))
                return (yield from add(*(fault.conversation for fault in faults))(remaining))
            answer = yield from pass_on(step)


def _number(conversation: Conversation, number: int) -> Conversation:
    """Return a conversation whose replies have another number of their session."""
    return alter(conversation, reply=lambda reply: replace(reply, session=number))


def _noting(
    conversation: smtp_needs.Conversation, note: Callable[[str], object], text: str
) -> smtp_needs.Conversation:
    """Return a conversation that is noted when it begins."""
    note(text)
    return (yield from conversation)


def _user_of(session: Session, step: Any) -> str:
    """Return the name that a client has given until now, or ""."""
    if isinstance(step, Authenticate | StartScram):
        return step.user
    return session.user


def _names(faults: Sequence[AnyFault]) -> str:
    return " + ".join(fault.name for fault in faults)


def _apply_settings(session: Session, faults: Sequence[Fault]) -> None:
    """Give a session the settings and the mechanisms that faults need."""
    for fault in faults:
        surroundings = fault.surroundings
        if surroundings.settings != type(surroundings.settings)():
            session.settings = surroundings.settings
        if surroundings.offer != type(surroundings.offer)():
            session.offer = surroundings.offer
