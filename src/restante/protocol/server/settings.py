"""What the protocol must be told about its surroundings: choices, offers, the channel, the user."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSettings:
    """What an administrator may choose about the protocol; times are seconds."""

    greeting: str = "POP3 server ready."
    implementation: str = "Restante"
    login_timeout: float = 60  # for each command
    authorization_timeout: float = 180  # for all that comes before the login, TLS included
    idle_timeout: float = 600  # RFC 1939 section 3: at least ten minutes
    strict_line_ends: bool = False
    bad_commands_before_login: int = 10
    bad_commands_after_login: int = 30
    refused_logins: int = 25  # of one connection
    apop: bool = False  # RFC 1939 section 7; the greeting then ends in a timestamp
    language: str = "en"  # what LANG * stands for: RFC 6856 section 3
    refused_token: str = '{"status":"invalid_token"}'  # noqa: S105  # RFC 7628 section 3.2.2


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthOffer:
    """What the accounts allow the server to offer, as long as a session lasts."""

    mechanisms: frozenset[str] = frozenset({"PLAIN", "LOGIN"})  # of SASL
    login_delay: int | None = None  # seconds between two logins: RFC 2449 section 6.5
    longest_login_delay: int | None = None  # of all users, where some have their own
    expire_days: int | None = None  # that a message stays; None is NEVER: RFC 2449 section 6.7
    shortest_expire_days: int | None = None  # of all users, where some have their own


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSecurity:
    """What lies between server and client."""

    tls: bool = False
    can_start_tls: bool = False  # STLS is possible
    clear_text: bool = True  # passwords may cross it as they are
    bindings: frozenset[str] = frozenset()  # types of channel binding known here: RFC 5056
    announce_bindings: bool = True  # by the -PLUS mechanisms; they work all the same
    certified: bool = False  # the client showed a certificate that we trust


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has proved to be whom: the name of the account, and what holds for it alone."""

    name: str
    login_delay: int | None = None  # seconds; None is what holds for all
    expire_days: int | None = None  # the same
    tls_required: bool = False
