"""The state of a session: its phase, its user, and its open maildrop.

RFC 1939 sections 3 to 6.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, StrEnum, auto

from restante.protocol.server.maildrop import MaildropView, MessageList
from restante.protocol.server.settings import (
    AuthOffer,
    ConnectionSecurity,
    Identity,
    ProtocolSettings,
)
from restante.protocol.translations.languages import DEFAULT, translate


class State(Enum):
    """The state of a session. It decides which commands are allowed. RFC 1939 section 3."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    UPDATE = auto()


AUTHORIZATION, TRANSACTION, UPDATE = State
"""The states as names of this module, which Python finds five times as fast as in the Enum."""


class EndReason(StrEnum):
    """Why a session ended, in the words of the log. The driver sets most of these reasons."""

    QUIT = "quit"
    UPDATE_FAILED = "update failed"
    DISCONNECTED = "disconnected"
    TIMEOUT = "timeout"
    UNANSWERED = "no answer of the mail store"
    STALLED = "peer reads nothing"
    BAD_COMMANDS = "too many bad commands"
    REFUSED_LOGINS = "too many refused logins"
    ENDLESS_LINE = "line without end"
    HTTP = "http request"
    BODY_FAILED = "message could not be read to its end"
    FULL = "too many connections"
    FULL_ADDRESS = "too many connections from the address"
    SHUTDOWN = "shutdown"
    KICKED = "ended by an administrator"
    TAKEN_OVER = "a new login of the user"
    ACCOUNT = "the account was removed, locked or changed"
    MAILDROP_LOST = "another node may have the maildrop"
    NO_PROXY = "no proxy header"
    TLS_FAILED = "no TLS"
    TLS_BROKEN = "broken TLS"
    BROKEN = "internal error"


_SETTINGS, _OFFER, _CHANNEL = ProtocolSettings(), AuthOffer(), ConnectionSecurity()
_NO_MAIL = MaildropView(MessageList((), ()))


@dataclass(slots=True)
class Session:
    """The state of one session. `serve` and the handlers of commands change it.

    The driver makes it from what is known of the connection, and then only reads it.
    """

    settings: ProtocolSettings = _SETTINGS
    offer: AuthOffer = _OFFER
    channel: ConnectionSecurity = _CHANNEL
    names_client: bool = False  # the peer is a proxy that may name its client: XCLIENT
    state: State = AUTHORIZATION
    user: str = ""  # the name that USER gave
    timestamp: str = ""  # in the greeting, for APOP
    utf8: bool = False  # RFC 6856 section 2
    language: str = DEFAULT  # RFC 6856 section 3
    identity: Identity | None = None
    view: MaildropView = _NO_MAIL  # the default until the login
    last_verb: bytes = b""  # of the last command, unless it was refused
    bad_commands: int = 0  # in a row
    logins: int = 0  # that were tried
    retrieved: int = 0  # messages that RETR sent whole
    refused_in_clear: str | None = None  # the user of a rejected cleartext login; "" without a name
    end: EndReason | None = None  # set when the session is over

    @property
    def command_timeout(self) -> float:
        """How many seconds the peer has for its next command. RFC 1939 section 3."""
        if self.state is AUTHORIZATION:
            return self.settings.login_timeout
        return self.settings.idle_timeout

    def translate(self, text: str) -> str:
        """Return a text, which may hold places in braces, in the session's language."""
        return translate(text, self.language)

    def reset_after_stls(self) -> None:
        """Forget what the client sent before TLS. RFC 2595 section 4."""
        self.user = ""
        self.language = DEFAULT
