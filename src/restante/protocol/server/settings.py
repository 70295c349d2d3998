"""The inputs of a session: settings, offer, security of the connection, and identity."""

from __future__ import annotations

from dataclasses import dataclass

from restante.protocol.translations.languages import LANGUAGES


def require_seconds(name: str, value: object, least: float | None = None) -> None:
    """Raise ValueError: a setting is not a number over 0, or of at least `least`."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not (value > 0 if least is None else value >= least)
    ):
        bound = "over 0" if least is None else f"of at least {least:g}"
        raise ValueError(f"{name} is {value!r}: it must be a number of seconds {bound}")


def require_count(name: str, value: object) -> None:
    """Raise ValueError: a setting is not a whole number from 1 on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name} is {value!r}: it must be a whole number of at least 1")


def require_switch(name: str, value: object) -> None:
    """Raise ValueError: a setting is not a bool, such as "no", which would count as True."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: it must be True or False")  # noqa: TRY004  # see ProtocolSettings


def require_several(name: str, value: object) -> None:
    """Raise ValueError: a setting is one text, of which each letter would count as a name."""
    if isinstance(value, str):
        raise ValueError(f"{name} is {value!r}: write [{value!r}]")  # noqa: TRY004  # see ProtocolSettings


def is_greeting(text: object) -> bool:
    """Return whether a text is a line of ASCII without "<" and "[".

    They have a meaning in RFC 1939 section 7 (APOP) and RFC 2449 section 3.
    """
    return _is_line(text) and set(str(text)).isdisjoint("<[")


def is_implementation(text: object) -> bool:
    """Return whether a text is one word, or "" for no announcement. RFC 2449 section 6.9."""
    return _is_line(text) and " " not in str(text)


def _is_line(text: object) -> bool:
    return isinstance(text, str) and text.isascii() and text.isprintable() and len(text) <= 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolSettings:
    """The settings of the protocol, for an administrator to choose.

    Attributes:
        greeting: the text of the greeting.
        implementation: the text of IMPLEMENTATION in CAPA, "" for none. RFC 2449 section 6.9.
        login_timeout: seconds for each command before the login.
        authorization_timeout: seconds for all that comes before the login, TLS included.
        idle_timeout: seconds for each command after the login. RFC 1939 section 3: at least 600.
        strict_line_ends: reject commands that end with LF alone.
        bad_commands_before_login: bad commands in a row that end the session.
        bad_commands_after_login: the same after the login.
        refused_logins: failed logins that end the connection.
        apop: offer APOP. The greeting then ends in a timestamp. RFC 1939 section 7.
        language: the language of replies, for `LANG *`. RFC 6856 section 3.
        masters: let a master user open the account of another; PLAIN may name both. RFC 4616.
        refused_token: the JSON that a client gets for an invalid token. RFC 7628 section 3.2.2.

    Raises ValueError: a value is invalid, such as a language without replies.
    """

    greeting: str = "POP3 server ready."
    implementation: str = "Restante"
    login_timeout: float = 180  # programs ask for the password during AUTH
    authorization_timeout: float = 180
    idle_timeout: float = 600
    strict_line_ends: bool = False
    bad_commands_before_login: int = 10
    bad_commands_after_login: int = 30
    refused_logins: int = 25
    apop: bool = False
    language: str = "en"
    masters: bool = False
    refused_token: str = '{"status":"invalid_token"}'  # noqa: S105  # a reply

    def __post_init__(self) -> None:
        if not is_greeting(self.greeting):
            expected = "at most 200 ASCII characters without '<' and '['"
            raise ValueError(f"greeting is {self.greeting!r}: it must be {expected}")
        if not is_implementation(self.implementation):
            expected = "one word of at most 200 ASCII characters, or an empty string"
            raise ValueError(f"implementation is {self.implementation!r}: it must be {expected}")
        for name in ("login_timeout", "authorization_timeout", "idle_timeout"):
            require_seconds(name, getattr(self, name))
        for name in ("bad_commands_before_login", "bad_commands_after_login", "refused_logins"):
            require_count(name, getattr(self, name))
        for name in ("strict_line_ends", "apop", "masters"):
            require_switch(name, getattr(self, name))
        if self.language not in LANGUAGES:
            known = ", ".join(LANGUAGES)
            raise ValueError(f"language {self.language!r} is not known; use one of {known}")


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthOffer:
    """The offer to a client that the accounts allow. It is fixed for a session.

    Attributes:
        mechanisms: of AUTH, such as "PLAIN". RFC 5034.
        login_delay: seconds between two logins, None for no delay. RFC 2449 section 6.5.
        longest_login_delay: that of all accounts, None if all have the same.
        expire_days: days that a message stays, None for NEVER. RFC 2449 section 6.7.
        shortest_expire_days: those of all accounts, None if all have the same.
    """

    mechanisms: frozenset[str] = frozenset({"PLAIN", "LOGIN"})
    login_delay: int | None = None
    longest_login_delay: int | None = None
    expire_days: int | None = None
    shortest_expire_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionSecurity:
    """The security of the connection between server and client."""

    tls: bool = False
    can_start_tls: bool = False  # STLS is possible
    clear_text: bool = True  # passwords may cross it as they are
    bindings: frozenset[str] = frozenset()  # types of channel binding known here: RFC 5056
    announce_bindings: bool = True  # by the -PLUS mechanisms, which work in either case
    certified: bool = False  # the client showed a certificate that we trust


TLS_ELSEWHERE = ConnectionSecurity(tls=True, announce_bindings=False)
"""The security of TLS that ends at a proxy, or at another program: it hides passwords.

The client's certificate there does not log in, and channel binding is not possible.
"""


@dataclass(frozen=True, slots=True)
class Identity:
    """An authenticated account.

    Attributes:
        name: the name of the account.
        login_delay: seconds between two logins, None for the server's setting.
        expire_days: days that a message stays, None for the server's setting.
        tls_required: reject the login without TLS.
        networks: those from which it can log in, such as "192.0.2.0/24"; () for all.
        app_password: the label of the app password that it used, "" for another credential.
        master: the master user who opened the account, "" for the account's own user.
        credential: what names the app password or master user, "" for the account's own password.
        maildrop: the maildrop that it opens, if it is not the account's own; else "".
    """

    name: str
    login_delay: int | None = None
    expire_days: int | None = None
    tls_required: bool = False
    networks: tuple[str, ...] = ()
    app_password: str = ""
    credential: str = ""
    master: str = ""
    maildrop: str = ""

    @property
    def owner(self) -> str:
        """The name by which the store knows the maildrop."""
        return self.maildrop or self.name
