"""The id of a failure, by its phase, the response code, and the server's text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from restante.client.mechanisms import CLIENT_MECHANISMS, TOKENS, offered_mechanisms
from restante.protocol.errors import (
    ConnectionLostError,
    MechanismRefusedError,
    RemoteError,
    ReplyTimeoutError,
    ServerRefusedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BY_PHASE: Mapping[tuple[str, type[RemoteError]], str] = {
    ("greeting", ServerRefusedError): "greet-err",
    ("greeting", ConnectionLostError): "greet-closed",
    ("greeting", ReplyTimeoutError): "greet-none",
    ("tls", ServerRefusedError): "stls-refused",
    ("login", ConnectionLostError): "auth-noreply",
    ("login", ReplyTimeoutError): "auth-noreply",
    ("message", ServerRefusedError): "retr-refused",
    ("quit", ServerRefusedError): "quit-err",
}

_CODES = {"IN-USE": "locked", "LOGIN-DELAY": "login-delay", "SYS/TEMP": "auth-temp"}
_ANYWHERE = {"IN-USE": "locked", "SYS/TEMP": "sys-temp"}
_OPENING = ("STAT", "LIST")
"""Commands at which some servers, such as Gmail's, refuse what others refuse at the login."""


class _Wording:
    """A regular expression that is compiled when a refusal is read: most logins need none."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern

    def search(self, text: str) -> re.Match[str] | None:
        """Search a text for it, in any case of letters."""
        return re.search(self._pattern, text, re.IGNORECASE)


def _any_of(*wordings: str) -> _Wording:
    return _Wording("|".join(wordings))


_APP_PASSWORD = _any_of(
    r"(?:app(?:lication)?|device)[- ]?specific",
    r"\bapp(?:lication)?[- ]password",
    r"InvalidSecondFactor",
    r"authori[sz](?:ation|ed) code",
    r"generate a password",
    r"second factor|2-step|two-factor",
)
_SWITCHED_OFF = _any_of(
    r"(?:pop3?|protocol|access).{0,60}\b(?:disabled?|deactivated|blocked|inactive)",
    r"(?:pop3?|protocol|access).{0,60}\bnot (?:enabled|allowed|permitted|activ(?:e|ated))",
    r"(?:pop3?|protocol|access).{0,60}\b(?:must|needs? to|has to) be (?:enabled|activated)",
    r"pop3?\b.{0,60}\bnot available (?:for|in|with)\b",
    r"(?:pop3?|protocol|access).{0,60}\b(?:turned|switched|is) off",
    r"service (?:is )?not open",
    r"(?:not enabled|disabled|enable|turn on|switch on).{0,40}\bpop3?\b",
)
_OAUTH = _any_of("oauth", "basic auth", "modern auth", "web ?login", "log ?in via your web")
_CLEAR_WORDS = r"\b(?:TLS|SSL|STLS|STARTTLS|secure|encrypt\w*|plain[- ]?text|clear[- ]?text)\b"
_CLEAR = _any_of(_CLEAR_WORDS)
_CLEAR_REFUSED = _any_of(
    r"\b(?:plain|clear)[- ]?text\b.{0,40}"
    r"\b(?:disallowed|disabled|forbidden|not (?:allowed|permitted|accepted))\b"
)
_EXPIRED = _any_of(
    r"(?:password|passwd|passphrase|credentials?)\b.{0,30}\bexpired",
    r"\bexpired (?:password|credentials?)",
    r"(?:must|need to|have to|has to) (?:change|renew|reset) (?:your |the )?password",
)
_ACCOUNT_LOCKED = _any_of(
    r"(?:account|user)\b.{0,30}\b(?:locked|expired|suspended|blocked|disabled|deactivated|closed"
    r"|inactive|deleted|terminated)",
    r"log-?in (?:is )?disabled for this (?:user|account)",
)
_ACCOUNT_CLOSED = _any_of(
    r"mail ?box\b.{0,30}\b(?:suspended|disabled|deactivated|closed)",
    r"(?:account|user|mail ?box)\b.{0,30}\bnot (?:yet |been )*activated",
)
_PLACE = r"from (?:your|this) (?:country|location|network|region)"
_REJECTED = r"(?:not (?:allowed|permitted|accepted)|blocked|denied|forbidden|rejected)"
_WRONG_PLACE = _any_of(rf"{_PLACE}\b.{{0,40}}{_REJECTED}", rf"{_REJECTED}\b.{{0,40}}{_PLACE}")
_EITHER = r"(?:password|credentials?|log-?in)\b.{0,40}\bor\b|\bor\b.{0,40}(?:password|credentials?)"
_EITHER_CAUSE = _any_of(_EITHER)
_MAILDROP = r"mail ?(?:box|drop)|session|spool"
_TOO_MANY = _any_of(
    r"too many.{0,30}(?:log-?ins?|logons?|attempts|failures|failed|tries|auth)",
    r"rate.?limit|bandwidth.{0,10} limit",
    r"attempts?\b.{0,20}\blimit\b|\blimit\b.{0,20}\battempts?\b",
    r"(?:address|\bIP\b|host|client).{0,30}\b(?:banned|blocked|blacklisted)",
)
_LOCKED = _any_of(
    r"\b(?:lock(?:ed)?|in use)\b",
    r"(?:mailbox|maildrop|lock|spool).{0,20}\bbusy",
    r"already (?:logged in|open|in use)",
    r"another (?:session|client|pop)",
)
_TOO_OFTEN = _any_of(
    r"too (?:often|frequent|soon|fast)",
    r"minimum.{0,30}interval",
    r"login delay",
    r"wait .{0,30}(?:before|min)",
)
_CLIENT_CERTIFICATE = _any_of(
    r"(?:client|valid|required?|missing|no)\b.{0,30}\b(?:SSL|TLS|client) certificate",
    r"client certificate.{0,30}required",
)
_WORDS = (
    ("tls-client-cert", _CLIENT_CERTIFICATE, None),
    ("auth-apppw", _APP_PASSWORD, None),
    ("auth-place", _WRONG_PLACE, None),
    ("auth-pop-disabled", _SWITCHED_OFF, _any_of(_CLEAR_WORDS, _EITHER, "maintenance")),
    ("auth-expired", _EXPIRED, _EITHER_CAUSE),
    ("auth-locked", _ACCOUNT_LOCKED, _any_of(_EITHER, _MAILDROP)),
    ("auth-locked", _ACCOUNT_CLOSED, _EITHER_CAUSE),
    ("auth-toomany", _TOO_MANY, None),
)
"""The id of an error, its wording, and another wording that excludes it."""
_TEMPORARY = _any_of(
    r"temporar",
    r"try (?:again )?later",
    r"unavailable|not (?:currently )?available",
    r"shutting down|(?:server|service)(?: is)? down|can(?:not|'t) (?:connect|allocate)",
    r"internal (?:server )?error|system error",
    r"overload|timed?[- ]?out|back ?end|database|\bbusy\b",
    r"too many",
    r"chdir|no such file|permission denied|disk|quota|maintenance",
    r"(?:mail ?(?:box|drop)|storage).{0,20}\bfull",
    r"\b(?:maximum|max|limit)\b.{0,40}\b(?:exceeded|reached)",
)
_PASSWORD = _any_of(
    r"\b(?:bad|wrong|invalid|incorrect|unknown)\b.{0,30}(?:password|credential|user|login)",
    r"(?:password|credentials?)\b.{0,20}\bnot (?:accepted|correct|valid|recogni[sz]ed)",
)
_WRONG = (
    r"bad|wrong|invalid|incorrect|unknown|mismatch|fail(?:ed|ure)?|denied|rejected"
    r"|not (?:accepted|correct|valid|recogni[sz]ed|match\w*|found)"
)
_CREDENTIALS = r"passw(?:or)?d|passphrase|credentials?|proof|user ?name|users?|log-?[io]n|auth\w*"
_JUDGED = _any_of(
    rf"\b(?:{_WRONG})\b.{{0,30}}\b(?:{_CREDENTIALS})\b",
    rf"\b(?:{_CREDENTIALS})\b.{{0,30}}\b(?:{_WRONG})\b",
    r"\bno (?:such )?(?:user|account|mail ?box)\b",
    r"\b(?:user|account|mail ?box)\b.{0,20}\b(?:not found|unknown|not exist)",
)
_UNKNOWN_COMMAND = _any_of(
    r"(?:unknown|unrecogni[sz]ed|invalid|bad|illegal|unsupported|unimplemented|undefined)"
    r" (?:\w+ )?(?:command|verb|mechanism|method|keyword)",
    r"no such (?:\w+ )?(?:command|verb|mechanism|method)",
    r"(?:command|mechanism|method|AUTH\w*|(?-i:USER)|SASL)\b.{0,30}"
    r"\b(?:unknown|unrecogni[sz]ed|unsupported|unimplemented|not \w+)",
    r"not (?:supported|implemented|recogni[sz]ed|understood)",
    r"unsupported|syntax error|what\?",
)
_NOT_REMOVED = _any_of(
    r"\b(?:deletions?|removal|expunge|update)\b.{0,20}\bfailed",
    r"\b(?:failed|failure|unable|could ?n[o']t|can ?n[o']t|error)\b.{0,20}"
    r"\b(?:delet|remov|expung|updat)",
    r"\bnot (?:be )?(?:deleted|removed|expunged)",
)
SPECIFIC = frozenset(
    {
        "auth-apppw", "auth-expired", "auth-locked", "auth-oauth", "auth-place",
        "auth-pop-disabled", "locked", "login-delay",
    }
)  # fmt: skip
"""Ids of a refused login that say more than that it was refused."""


def is_unknown_command(text: str) -> bool:
    """Return whether a refusal says that the server does not know the command or mechanism."""
    return bool(_UNKNOWN_COMMAND.search(text)) and not _PASSWORD.search(text)


def reports_failed_removal(text: str) -> bool:
    """Return whether the text of a reply to QUIT says that messages were not removed."""
    return bool(_NOT_REMOVED.search(text))


def judges_credentials(denied: ServerRefusedError) -> bool:
    """Return whether a refusal in the login is about name, password or account.

    Otherwise the server only refused a command or a mechanism.
    """
    if is_unknown_command(denied.text):
        return False
    if denied.code:
        return True
    if not isinstance(denied, MechanismRefusedError):
        return True
    return bool(_JUDGED.search(denied.text)) or _id_from_text(denied.text, tls=True) is not None


def assign_id(
    error: RemoteError, capabilities: Mapping[str, str] | None, *, tls: bool
) -> RemoteError:
    """Give an error the id of its cause, if only this step can know it."""
    if (
        error.id in _GENERAL
        and isinstance(error, ServerRefusedError)
        and error.phase not in _OWN_WORDS
    ):
        error.id = _error_id_after_login(error)
    for (phase, kind), name in _BY_PHASE.items():
        if error.phase == phase and isinstance(error, kind) and error.id in _GENERAL:
            error.id = "sys-perm" if (phase, error.code) == ("greeting", "SYS/PERM") else name
            return error
    if error.phase == "login" and isinstance(error, ServerRefusedError) and error.id in _GENERAL:
        error.id = login_error_id(error, capabilities, tls=tls)
    return error


_GENERAL = frozenset({"refused", "conn-lost", "stalled"})
_OWN_WORDS = frozenset({"greeting", "login", "tls", "message", "quit"})
"""Phases in which a code has a meaning of its own."""


def _error_id_after_login(error: ServerRefusedError) -> str:
    """Return the id for a command that was refused after the login."""
    opening = error.command.upper() in _OPENING
    by_text = _id_from_text(error.text, tls=True) if opening else None
    passing = transient_id(error) if opening else None
    if passing == "auth-temp":
        passing = "sys-temp"
    permanent = "sys-perm" if error.code == "SYS/PERM" else None
    return _ANYWHERE.get(error.code) or by_text or permanent or passing or error.id


def login_error_id(
    error: ServerRefusedError, capabilities: Mapping[str, str] | None, *, tls: bool
) -> str:
    """Return the id for a login that was refused. The words of the server have precedence."""
    return next(filter(None, _login_error_ids(error, capabilities, tls=tls)))


def _login_error_ids(
    error: ServerRefusedError, capabilities: Mapping[str, str] | None, *, tls: bool
) -> Iterator[str | None]:
    """Yield the ids that fit a refused login, the most certain first; None where none fits."""
    code, text = error.code, error.text
    yield _CODES.get(code)
    yield _id_from_text(text, tls=tls)
    yield _without_password_mechanism(error, capabilities)
    if _CLEAR_REFUSED.search(text):
        yield "auth-plain-refused"  # with TLS, too: a proxy before the server may end it
    if not judges_credentials(error):
        if not tls and _only_tls(capabilities):
            yield "auth-plain-refused"
        yield transient_id(error)
        yield "auth-mechanism" if _is_unlisted(error, capabilities) else "refused"
    if code == "SYS/PERM":
        yield "sys-perm"
    if _EITHER_CAUSE.search(text) and any(wording.search(text) for _, wording, _ in _WORDS):
        yield "auth-refused"
    if code != "AUTH":
        yield _without_code(text)
    if _requires_oauth(error, capabilities):
        yield "auth-oauth"
    if code == "AUTH" or not text or _JUDGED.search(text):
        yield "auth-failed"
    yield "auth-refused"


def _is_unlisted(error: ServerRefusedError, capabilities: Mapping[str, str] | None) -> bool:
    """Return whether a server refused an AUTH with a mechanism that its CAPA does not list."""
    verb, _, mechanism = error.command.upper().strip().partition(" ")
    if capabilities is None or verb != "AUTH":
        return False
    return mechanism.partition(" ")[0] not in offered_mechanisms(capabilities)


def _only_tls(capabilities: Mapping[str, str] | None) -> bool:
    """Return whether a server offers STLS and, before it, no way to log in."""
    return capabilities is not None and "STLS" in capabilities and "USER" not in capabilities


def _without_password_mechanism(
    error: ServerRefusedError, capabilities: Mapping[str, str] | None
) -> str | None:
    """Return the id for a server that has mechanisms, but none for a password, else None.

    It rejects USER without listing it, or it rejects USER or PASS as unsupported.
    """
    command = error.command.upper()
    offered = offered_mechanisms(capabilities)
    unlisted = "USER" not in (capabilities or {}) and command.startswith("USER")
    unsupported = command.startswith(("USER", "PASS")) and is_unknown_command(error.text)
    if not offered or not (unlisted or unsupported):
        return None
    if set(offered) & (CLIENT_MECHANISMS.keys() - {*TOKENS, "EXTERNAL"}):
        return None
    return "auth-oauth" if set(offered) & set(TOKENS) else "auth-nomech"


def _id_from_text(text: str, *, tls: bool) -> str | None:
    """Return the id of a failure by its text alone, None if the text is not known."""
    for name, wording, but in _WORDS:
        if wording.search(text) and not (but and but.search(text)):
            return name
    if not tls and _CLEAR.search(text) and not _JUDGED.search(text):
        return "auth-plain-refused"
    return None


def transient_id(error: ServerRefusedError) -> str | None:
    """Return the id of a refusal of a command or mechanism that will pass, None for another."""
    return None if is_unknown_command(error.text) else _without_code(error.text)


def _without_code(text: str) -> str | None:
    """Return the id of a refusal by its text, for servers without response codes."""
    if _TOO_OFTEN.search(text):
        return "login-delay"
    if _LOCKED.search(text):
        return "locked"
    return "auth-temp" if _TEMPORARY.search(text) and not _PASSWORD.search(text) else None


def _requires_oauth(error: ServerRefusedError, capabilities: Mapping[str, str] | None) -> bool:
    """Return whether a provider rejects all passwords: it offers tokens, and no SCRAM."""
    offered = offered_mechanisms(capabilities)
    used_token = "OAUTH" in error.command.upper()
    if used_token or any(name.startswith(("SCRAM", "CRAM")) for name in offered):
        return False
    return not set(offered).isdisjoint(TOKENS) or bool(_OAUTH.search(error.text))
