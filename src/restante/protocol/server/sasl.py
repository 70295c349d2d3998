"""The mechanisms of SASL, one function each: those of IANA's registry that are in use. RFC 5034.

Each is a generator, which asks the client through an exchange and the driver through needs, and
returns the client's identity. If it raises Refusal, the client may try again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from restante.protocol.errors import Refusal, ResponseCode, TlsRequired
from restante.protocol.saslprep import TooLongError, account_name, check_password
from restante.protocol.secret import Secret
from restante.protocol.server.needs import (
    Authenticate,
    AuthMethod,
    NewTimestamp,
    StartScram,
    Step,
)
from restante.protocol.server.sasl_exchange import ExchangeCancelled, SaslExchange
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from restante.protocol.server.session import Session
    from restante.protocol.server.settings import ConnectionSecurity

Login: TypeAlias = Generator[Step, Any, Identity]

LONGEST_SCRAM = 4096  # octets of a message: two names with each character escaped, and a nonce
MAX_FIELDS = 32  # of a message with a token

_SCRAM_FIRST = re.compile(  # RFC 5802 section 7, without the data of a mandatory extension
    rb"(?:[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>[^,]+))?,n=(?P<name>[^,]+),r="
)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """One row: a mechanism, where it is possible, and how it resists attacks.

    Postfix and Exim choose mechanisms by the properties. These have the names of Dovecot's
    authentication protocol: "plaintext", "dictionary", "active", "mutual-auth".
    """

    name: str
    log_in: Callable[[SaslExchange], Login]
    source: str
    is_possible: Callable[[ConnectionSecurity], bool]
    properties: tuple[str, ...]
    server_first: bool = False


def plain(exchange: SaslExchange) -> Login:
    """RFC 4616: authorization identity, name and password, with NUL between them."""
    fields = (yield from exchange.initial_response()).split(b"\0")
    if len(fields) != 3 or not fields[2]:
        _reject_response()
    authzid, name = _name(fields[0]), _name(fields[1])
    if not name:
        _reject_response()
    if authzid in ("", name) or not exchange.session.settings.masters:
        _require_own_name(authzid, name)
        return (yield from verification(name, Secret(fields[2])))
    return (yield from verification(authzid, Secret(fields[2]), master=name))


def login(exchange: SaslExchange) -> Login:
    """Ask for name and password in turn, as Microsoft's draft-murchison-sasl-login has it."""
    name = _name((yield from exchange.initial_response(b"Username:")))
    password = yield from exchange.challenge(b"Password:")
    if not name or not password:
        _reject_response()
    return (yield from verification(name, Secret(password)))


def verification(name: str, password: Secret, master: str = "") -> Authenticate:
    """Return the need that checks a name and a password; see `Authenticate` for `master`.

    Raises Refusal: no password can have these octets.
    """
    try:
        check_password(password.reveal())
    except TooLongError:
        raise Refusal("A password has at most 255 octets.", ResponseCode.AUTH) from None
    except ValueError:
        text = "A password is UTF-8, without control characters."
        raise Refusal(text, ResponseCode.AUTH) from None
    return Authenticate(AuthMethod.PASSWORD, name, password, master=master)


def cram_md5(exchange: SaslExchange) -> Login:
    """RFC 2195: a digest of a timestamp, keyed with a secret that both ends know."""
    challenge = (yield from NewTimestamp()).encode()
    user, _, digest = (yield from exchange.challenge(challenge)).rpartition(b" ")
    name = _name(user)
    if not name or not re.fullmatch(rb"[0-9a-f]{32}", digest):
        _reject_response()
    return (yield from Authenticate(AuthMethod.CRAM_MD5, name, Secret(digest), challenge))


def scram_with(mechanism: str) -> Callable[[SaslExchange], Login]:
    """RFC 5802 and RFC 7677: both ends prove that they know the password, without sending it."""

    def log_in(exchange: SaslExchange) -> Login:
        message = yield from exchange.initial_response()
        match = _SCRAM_FIRST.match(message)
        if not match or len(message) > LONGEST_SCRAM:
            _reject_response()
        name = _gs2_name(match["name"])
        if not name:
            _reject_response()
        _require_own_name(_gs2_name(match["authzid"] or b""), name)
        scram = yield from StartScram(mechanism, name, message)
        message = yield from exchange.challenge(scram.challenge)
        if len(message) > 2 * LONGEST_SCRAM:  # the header comes again, in base64
            _reject_response()
        identity = yield from Authenticate(AuthMethod.SCRAM, name, Secret(message), scram)
        exchange.session.identity = identity  # it may be locked until the client answers
        if (yield from exchange.challenge(scram.signature)):  # RFC 5034 section 4: no data with +OK
            _reject_response()
        return identity

    return log_in


def oauthbearer(exchange: SaslExchange) -> Login:
    """RFC 7628: a token that an issuer gave the client."""
    header, _, message = (yield from exchange.initial_response()).partition(b"\x01")
    match = re.fullmatch(rb"[ny],(?:a=([^,]+))?,", header)
    if not match:
        _reject_response()
    return (yield from _token(exchange, _gs2_name(match[1] or b""), message))


def xoauth2(exchange: SaslExchange) -> Login:
    """The form of OAUTHBEARER that Google and Microsoft used before there was an RFC."""
    user, _, message = (yield from exchange.initial_response()).partition(b"\x01")
    if not user.startswith(b"user="):
        _reject_response()
    return (yield from _token(exchange, _name(user.removeprefix(b"user=")), message))


def external(exchange: SaslExchange) -> Login:
    """RFC 4422 appendix A: the certificate that the client showed in TLS."""
    name = _name((yield from exchange.initial_response()))
    return (yield from Authenticate(AuthMethod.CERTIFICATE, name, Secret(b"")))


def _token(exchange: SaslExchange, name: str, message: bytes) -> Login:
    parts = message.split(b"\x01", MAX_FIELDS)
    if len(parts) > MAX_FIELDS:
        _reject_response()
    fields = dict(field.partition(b"=")[::2] for field in parts if field)
    scheme, _, token = fields.get(b"auth", b"").partition(b" ")
    if scheme.lower() != b"bearer" or not token:
        _reject_response()
    try:
        return (yield from Authenticate(AuthMethod.TOKEN, name, Secret(token.strip())))
    except Refusal as refusal:
        if refusal.code is ResponseCode.AUTH:
            # RFC 7628 section 3.2.3: the challenge says why, and any answer ends the exchange.
            with contextlib.suppress(ExchangeCancelled):
                yield from exchange.ask(exchange.session.settings.refused_token.encode())
        raise


def _name(octets: bytes) -> str:
    try:
        return account_name(octets)
    except ValueError:
        _reject_response()


def _gs2_name(octets: bytes) -> str:
    """Read a name in which "," and "=" are escaped. RFC 5801 section 4, RFC 5802 section 5.1."""
    if re.search(rb"=(?!2C|3D)", octets):
        _reject_response()
    return _name(octets.replace(b"=2C", b",").replace(b"=3D", b"="))


def _require_own_name(authzid: str, name: str) -> None:
    """Reject an authorization identity other than the user's own. RFC 4422 section 2."""
    if authzid not in ("", name):
        raise Refusal("Nobody may log in as somebody else.", ResponseCode.AUTH)


def _reject_response() -> NoReturn:
    raise Refusal("The response is not understood.", ResponseCode.AUTH)


def _clear_text(channel: ConnectionSecurity) -> bool:
    return channel.clear_text


def _tls(channel: ConnectionSecurity) -> bool:
    return channel.tls


def _bound(channel: ConnectionSecurity) -> bool:
    return bool(channel.bindings)


def _has_certificate(channel: ConnectionSecurity) -> bool:
    return channel.certified


def _always(_channel: ConnectionSecurity) -> bool:
    return True


PLAINTEXT = ("plaintext",)  # the password or the token itself is sent
GUESSABLE = ("dictionary", "active")  # an eavesdropper can try passwords; so can a false server
MUTUAL = ("mutual-auth",)  # the server, too, proves that it knows the password

SERVER_MECHANISMS = {
    row.name: row
    for row in (
        Mechanism(
            "SCRAM-SHA-256-PLUS", scram_with("SCRAM-SHA-256-PLUS"), "RFC 7677", _bound, MUTUAL
        ),
        Mechanism("SCRAM-SHA-256", scram_with("SCRAM-SHA-256"), "RFC 7677", _always, MUTUAL),
        Mechanism("SCRAM-SHA-1-PLUS", scram_with("SCRAM-SHA-1-PLUS"), "RFC 5802", _bound, MUTUAL),
        Mechanism("SCRAM-SHA-1", scram_with("SCRAM-SHA-1"), "RFC 5802", _always, MUTUAL),
        Mechanism("EXTERNAL", external, "RFC 4422 appendix A", _has_certificate, ()),
        Mechanism("OAUTHBEARER", oauthbearer, "RFC 7628", _tls, PLAINTEXT),
        Mechanism("XOAUTH2", xoauth2, "Google's and Microsoft's documentation", _tls, PLAINTEXT),
        Mechanism("PLAIN", plain, "RFC 4616", _clear_text, PLAINTEXT),
        Mechanism("LOGIN", login, "draft-murchison-sasl-login", _clear_text, PLAINTEXT),
        Mechanism("CRAM-MD5", cram_md5, "RFC 2195", _always, GUESSABLE, server_first=True),
    )
}
"""Every mechanism, in the order in which they are announced: the best first."""


def offered_mechanisms(session: Session) -> list[str]:
    """Return the names of the mechanisms that a session may use now."""
    return [
        row.name
        for row in SERVER_MECHANISMS.values()
        if row.name in session.offer.mechanisms
        and row.is_possible(session.channel)
        and (session.channel.announce_bindings or not row.name.endswith("-PLUS"))
    ]


def find_mechanism(session: Session, name: str) -> Mechanism:
    """Return a mechanism. Raises Refusal: it is not offered, or not without TLS."""
    row = SERVER_MECHANISMS.get(name)
    if row is None or name not in session.offer.mechanisms:
        raise Refusal("This mechanism is not offered; CAPA lists those that are.")
    if not row.is_possible(session.channel):
        if session.channel.tls:
            raise Refusal("This mechanism is not possible on this connection.", ResponseCode.AUTH)
        raise TlsRequired
    return row
