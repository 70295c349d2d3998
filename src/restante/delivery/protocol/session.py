"""The state of a session of delivery, and its bounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

BASIC_COMMAND = 512  # octets of a command line: RFC 5321 section 4.5.3.1.4
EXTENDED_COMMAND = 2048  # the same after EHLO or LHLO, whose extensions make lines longer
MAX_RECIPIENTS = 1000  # of one message; RFC 5321 section 4.5.3.1.8 requires at least 100
MAX_UNKNOWN = 5  # verbs
MAX_BAD_COMMANDS = 100  # since the last message
MAX_COMMANDS = 50_000  # since the last message


class Dialect(Enum):
    """The protocol of the client. The value is the verb that opens the session, for error texts."""

    LMTP = "LHLO"
    SMTP = "HELO"


class CommandError(Exception):
    """A command is unknown, badly written or out of order; the text is the reply."""


@dataclass(slots=True)
class Transaction:
    """A mail transaction: RFC 5321 section 3.3."""

    sender: str | None = None  # None before MAIL; empty for the null sender
    recipients: list[tuple[str, str]] = field(default_factory=list)  # address, owner


@dataclass(slots=True, kw_only=True)
class DeliverySession:
    """All that one connection knows. Handlers change it; a driver sets `ended` to stop it."""

    dialect: Dialect
    host: str  # this machine's name
    message_size: int  # octets
    session_id: str = ""  # for the log
    unknown_hint: str = ""  # follows the reply about an unknown recipient
    client: str = ""  # the name that the client gave itself
    extended: bool = False  # EHLO or LHLO was the last greeting
    transaction: Transaction = field(default_factory=Transaction)
    unknown: int = 0  # verbs so far
    bad_commands: int = 0  # since the last message
    commands: int = 0  # since the last message
    ended: bool = False
    quit: bool = False  # it ended because the client said so

    @property
    def command_limit(self) -> int:
        """How many octets a command line may have, without its line end."""
        return EXTENDED_COMMAND if self.extended else BASIC_COMMAND
