"""A fault that the user's name chooses: joe+retr-cut is joe, at a server with the fault retr-cut.

So one port serves every fault, through any proxy. What comes before the name is known, such as the
greeting, TLS and CAPA, is right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.misbehave.conversation import continue_from, next_step, pass_on
from restante.misbehave.finding import find
from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server.needs import Authenticate, StartScram

if TYPE_CHECKING:
    from restante.misbehave.conversation import Alteration, Conversation
    from restante.misbehave.fault import Messages
    from restante.protocol.server.session import EndReason

MARK = "+"


def fault_name(user: str, account: str) -> str:
    """Return the fault in a user's name, "" without one: what follows the account's name.

    The account's name may have the mark, too, as ann+pop@example.com has.
    """
    return user.removeprefix(account + MARK) if user.startswith(account + MARK) else ""


def choose_by_user(account: str) -> Alteration:
    """Return what makes a conversation go on with the fault in the name of the account's user.

    A name that is not of a fault is an error of the login, which names near spellings.
    """

    def apply(conversation: Conversation) -> Conversation:
        return _choose_by_user(conversation, account)

    return apply


def _choose_by_user(conversation: Conversation, account: str) -> Conversation:
    answer: object = None
    while True:
        try:
            step = next_step(conversation, answer)
        except StopIteration as ended:
            end: EndReason = ended.value
            return end
        if isinstance(step, Authenticate | StartScram) and fault_name(step.user, account):
            try:
                fault = find(fault_name(step.user, account))
            except ValueError as error:
                answer = Refusal("{problem}", ResponseCode.AUTH, problem=str(error))
                continue
            return (yield from fault.conversation(continue_from(conversation, step)))
        answer = yield from pass_on(step)


def messages_for(user: str, account: str, messages: Messages) -> Messages:
    """Return the mail of a user: that of the fault in the name."""
    try:
        return find(fault_name(user, account)).surroundings.messages(messages)
    except ValueError:
        return messages
