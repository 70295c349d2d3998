"""The form of a fault, and what a good client does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Literal, TypeAlias

from restante.misbehave.conversation import Alteration, add, leave_alone
from restante.protocol.server.settings import AuthOffer, ProtocolSettings

Messages: TypeAlias = Sequence[bytes]
Exit: TypeAlias = Literal["zero", "not zero", "any"]
Security: TypeAlias = Literal["any", "starttls", "implicit"]

GOOD = "good"  # the certificate of a server without a fault in TLS


@dataclass(frozen=True, slots=True)
class GoodClient:
    """The behaviour of a good client, which fetches all messages and deletes each of them.

    Attributes:
        sentence: the same in words. `str` of the object is it too.
        keeps: the numbers of the messages that it stores whole. None means all of them.
        may_keep: whether it may store others whole, too. It never stores one in part as whole,
            and never removes one that it has not stored whole.
        exit: its exit code: "zero", "not zero" or "any".
        sends_password: whether the client may send its password, or its token.
    """

    sentence: str
    keeps: frozenset[int] | None = frozenset()
    may_keep: bool = False
    exit: Exit = "any"
    sends_password: bool = True

    def __str__(self) -> str:
        return self.sentence


ALL = GoodClient("fetches all messages, and exits with 0", None, exit="zero")
ALL_WARNED = GoodClient("fetches all messages; a warning is right, too", None)
ALL_OR_NONE = GoodClient(
    "fetches what it can, or gives up with an error; keeps no part as a whole", may_keep=True
)
NOTHING = GoodClient(
    "reports a clear error; keeps nothing as whole, and removes nothing", exit="not zero"
)
NO_PASSWORD = GoodClient(
    "sends no password, and reports a clear error", exit="not zero", sends_password=False
)
NO_MAIL = GoodClient("finds no mail, and exits with 0", None, exit="zero")
FIRST = GoodClient(
    "keeps message 1, and reports an error", frozenset({1}), may_keep=True, exit="not zero"
)
SECOND = GoodClient(
    "keeps message 2, and reports an error for message 1", frozenset({2}), exit="not zero"
)
UNSURE = GoodClient(
    "keeps all messages, and reports that the removal is not sure", None, exit="not zero"
)


def keep_messages(messages: Messages) -> Messages:
    """Return the messages unchanged."""
    return messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """The surroundings of a session that differ: settings, certificates and the mail.

    Attributes:
        certificate: the kind of certificate, a name in `restante.misbehave.certificates`.
        swapped: TLS from the first octet where clients expect clear text, and the other way round.
        settings: those of the protocol.
        offer: the mechanisms and the like.
        messages: returns the mail in the maildrop for the usual mail.
    """

    certificate: str = GOOD
    swapped: bool = False
    settings: ProtocolSettings = field(default_factory=ProtocolSettings)
    offer: AuthOffer = field(default_factory=AuthOffer)
    messages: Callable[[Messages], Messages] = keep_messages


USUAL = Surroundings()


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A server with one thing wrong.

    Attributes:
        name: STAGE-WHAT.
        sentence: what the server does, as the end of "The server ...".
        good_client: what a good client does.
        verdict: the ids that `pop3 check` may name, the best one first; empty for no problem.
        seen: where it was met, "" for nowhere.
        conversation: its function, from conversation to conversation, for each session anew.
        security: what the client must be set to; "any" if the fault shows in each case.
        surroundings: what differs around the session.
        deep: whether `pop3 check` finds it only with --deep.
        silent: whether the server waits, so that a client needs a time limit.
    """

    name: str
    sentence: str
    good_client: GoodClient = ALL_OR_NONE
    verdict: tuple[str, ...] = ()
    seen: str = ""
    conversation: Alteration = leave_alone
    security: Security = "any"
    surroundings: Surroundings = USUAL
    deep: bool = False
    silent: bool = False

    @property
    def needs_tls(self) -> bool:
        """Whether it shows only if the client uses TLS."""
        return self.security in ("starttls", "implicit")


NONE = Fault(name="none", sentence="does nothing wrong", good_client=ALL)
"""A server without a fault, where user names choose one."""


def sum_of(parts: Sequence[Fault]) -> Fault:
    """Return a server with all of these faults. The last one is next to the server."""
    if len(parts) == 1:
        return parts[0]
    securities = [part.security for part in parts if part.security != "any"]
    return Fault(
        name=" + ".join(part.name for part in parts),
        sentence="; ".join(part.sentence for part in parts),
        conversation=add(*(part.conversation for part in parts)),
        security=securities[0] if securities else "any",
        surroundings=_add_surroundings([part.surroundings for part in parts]),
        deep=any(part.deep for part in parts),
        silent=any(part.silent for part in parts),
    )


def _add_surroundings(parts: Sequence[Surroundings]) -> Surroundings:
    """Return surroundings with everything that differs from the usual in one of these."""
    total = USUAL
    for part in parts:
        changed = {
            each.name: getattr(part, each.name)
            for each in fields(part)
            if getattr(part, each.name) != getattr(USUAL, each.name)
        }
        total = replace(total, **changed)
    return total
