"""The client's side of SASL's mechanisms, a generator each. RFC 5034.

Each yields responses and is sent challenges. If the server begins, the first response is None.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from restante.protocol.client.sasl import SaslRefusal
from restante.protocol.saslprep import saslprep

if TYPE_CHECKING:
    from collections.abc import Callable

    import scramp

    from restante.protocol.client.sasl import Responder


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """User, secret and security of the connection for a login."""

    user: str
    password: str
    host: str = ""
    port: int = 0
    binding: tuple[str, bytes] | None = None  # of the channel, by name
    server_has_plus: bool = False
    timestamp: str = ""  # of the greeting, for APOP


MAX_ITERATIONS = 2_000_000  # of SCRAM: about a second of processor time

_SERVER_FIRST = re.compile(rb"r=[!-+\--~]+,s=[A-Za-z0-9/+]+={0,2},i=([1-9][0-9]{0,17})(?:,[ -~]*)?")
_MESSAGE_ID = re.compile(rb"<[!-;=?A-~]+@[!-;=?A-~]+>")

Begin: TypeAlias = "Callable[[Credentials], Responder]"

# Server errors that indicate a relayed conversation: RFC 5802 section 7.
_ANOTHER_CHANNEL = (b"e=channel-bindings-dont-match", b"e=server-does-support-channel-binding")


def plain(credentials: Credentials) -> Responder:
    """RFC 4616."""
    yield f"\0{credentials.user}\0{credentials.password}".encode()


def login(credentials: Credentials) -> Responder:
    """draft-murchison-sasl-login: the server asks for the name, then for the password."""
    yield None
    yield credentials.user.encode()
    yield credentials.password.encode()


def cram_md5(credentials: Credentials) -> Responder:
    """RFC 2195. Raises ValueError: the challenge is not a msg-id of RFC 822, as for APOP."""
    import hmac

    challenge = yield None
    if not _MESSAGE_ID.fullmatch(challenge):
        raise ValueError("the server's challenge is invalid for CRAM-MD5, so no response was sent")
    digest = hmac.digest(credentials.password.encode(), challenge, "md5").hex()
    yield f"{credentials.user} {digest}".encode()


def external(credentials: Credentials) -> Responder:
    """RFC 4422 appendix A: the TLS certificate identifies the user."""
    yield credentials.user.encode()


def oauthbearer(credentials: Credentials) -> Responder:
    """RFC 7628: where it is refused, the server says why and waits for ^A."""
    name = credentials.user.replace("=", "=3D").replace(",", "=2C")
    fields = [f"n,a={name},", f"host={credentials.host}", f"port={credentials.port}"]
    yield "\x01".join([*fields, f"auth=Bearer {credentials.password}", "", ""]).encode()
    yield b"\x01"


def xoauth2(credentials: Credentials) -> Responder:
    """Google's and Microsoft's documentation: as above, and the answer is empty."""
    yield f"user={credentials.user}\x01auth=Bearer {credentials.password}\x01\x01".encode()
    yield b""


def scram(mechanism: str) -> Begin:
    """RFC 5802, RFC 7677: both sides prove that they know the password, and do not send it."""

    def respond(credentials: Credentials) -> Responder:
        import scramp

        client = _scram_client(mechanism, credentials)
        message = b""
        try:
            message = yield client.get_client_first().encode()
            client.set_server_first(message.decode())
            _check_first(message)
            message = yield client.get_client_final().encode()
            client.set_server_final(message.decode())
        except (scramp.ScramException, ValueError, LookupError) as error:
            if message.startswith(b"e=") and not message.startswith(_ANOTHER_CHANNEL):
                raise SaslRefusal(message.decode("ascii", "replace")) from None
            text = f"the server did not prove that it knows the password: {error}"
            raise ValueError(text) from error
        yield b""

    return respond


def _check_first(message: bytes) -> None:
    """Raise ValueError where a server's first message asks for what no proof is made of.

    Its number of iterations decides how long the client computes. That there are at least 4096 of
    them (RFC 7677 section 4) is for scramp to see.
    """
    found = _SERVER_FIRST.fullmatch(message)
    if not found:
        raise ValueError("its first message is not SCRAM")
    if int(found[1]) > MAX_ITERATIONS:
        raise ValueError(
            f"it asks for {int(found[1])} iterations, and {MAX_ITERATIONS} are computed at most"
        )


def _scram_client(mechanism: str, credentials: Credentials) -> scramp.ScramClient:
    import scramp

    bound = mechanism.endswith("-PLUS")
    # Say that we could bind to a server that does not claim it can: it objects if it can, for then
    # an attacker removed its claim on the way. RFC 5802 section 6.
    binding = credentials.binding if bound or not credentials.server_has_plus else None
    return scramp.ScramClient(
        [mechanism], credentials.user, credentials.password, channel_binding=binding
    )


CLIENT_MECHANISMS: dict[str, Begin] = {
    "SCRAM-SHA-256-PLUS": scram("SCRAM-SHA-256-PLUS"),
    "SCRAM-SHA-256": scram("SCRAM-SHA-256"),
    "SCRAM-SHA-1-PLUS": scram("SCRAM-SHA-1-PLUS"),
    "SCRAM-SHA-1": scram("SCRAM-SHA-1"),
    "PLAIN": plain,
    "LOGIN": login,
    "CRAM-MD5": cram_md5,
    "EXTERNAL": external,
    "OAUTHBEARER": oauthbearer,
    "XOAUTH2": xoauth2,
}
"""Every mechanism of the server's side, best first."""

TOKENS = ("OAUTHBEARER", "XOAUTH2")
CLEARTEXT = ("PLAIN", "LOGIN", *TOKENS)  # an eavesdropper can read the secret
NAMELESS = ("EXTERNAL", "OAUTHBEARER")  # a certificate or a token names its user
NO_NAME = "missing user name; add it to the URL, as in pop3s://ann@host"


def unusable_reason(credentials: Credentials, mechanism: str) -> str:
    """Return why a mechanism cannot carry these credentials, "" where it can."""
    if not credentials.user and mechanism not in NAMELESS:
        return NO_NAME
    if mechanism == "APOP" and not credentials.timestamp:
        return "the greeting has no timestamp, or an unsafe one"
    if not mechanism.startswith("SCRAM"):
        return ""
    if mechanism.endswith("-PLUS") and credentials.binding is None:
        return "it requires TLS 1.2"
    import scramp

    try:
        _scram_client(mechanism, credentials)
    except scramp.ScramException as error:
        return f"SASLprep rejects the name or the password ({error})"
    return ""


def apop_digest(timestamp: str, password: str) -> str:
    """Return what APOP proves the password with. RFC 1939 section 7.

    Both ends prepare the password by SASLprep: RFC 6856 section 2.2. What that cannot take is said
    as it is, to servers that do not prepare.
    """
    import hashlib

    with contextlib.suppress(ValueError):
        password = saslprep(password)
    return hashlib.md5((timestamp + password).encode(), usedforsecurity=False).hexdigest()
