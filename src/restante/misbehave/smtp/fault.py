"""The form of a fault of SMTP, and what a good program does that sends mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from restante.misbehave.conversation import add

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.misbehave.conversation import Alteration

SENDS = "sends the message once"
RETRIES = "keeps the message, and tries again later"
REPORTS = "reports the error, and does not send the message again"
EITHER = "sends the message, or reports a clear error"
TWICE = "keeps the message, and sends it again: it cannot know that it was stored"
NO_PASSWORD = "sends no password without TLS, and reports a clear error"  # noqa: S105  # a sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpFault:
    """A server of SMTP with one thing wrong.

    Attributes:
        name: "smtp-" and what happens.
        sentence: what the server does, as the end of "The server ...".
        good_client: what a good program does.
        conversation: its function, from conversation to conversation, for each session anew.
        seen: where it was met, "" for nowhere.
    """

    name: str
    sentence: str
    good_client: str = EITHER
    conversation: Alteration
    seen: str = ""


def sum_of(parts: Sequence[SmtpFault]) -> SmtpFault:
    """Return a server with all of these faults. The last one is next to the server."""
    if len(parts) == 1:
        return parts[0]
    return SmtpFault(
        name=" + ".join(part.name for part in parts),
        sentence="; ".join(part.sentence for part in parts),
        conversation=add(*(part.conversation for part in parts)),
    )
