"""The client's side of SASL's mechanisms, a generator each. RFC 5034.

Each yields responses and is sent challenges. If the server begins, the first response is None.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.client.credentials import Credentials
    from restante.protocol.client.sasl import Responder


_PART = "[!-;=?A-~]+"  # ASCII that is seen, but for "<", ">" and "@"
MESSAGE_ID = re.compile(f"<{_PART}@{_PART}>")
"""The challenge of APOP and CRAM-MD5: a msg-id of RFC 822.

With other octets, collisions of MD5 reveal parts of the password (CVE-2007-1558).
"""

Begin: TypeAlias = "Callable[[Credentials], Responder]"


def plain(credentials: Credentials) -> Responder:
    """RFC 4616."""
    yield f"\0{credentials.user}\0{credentials.password}".encode()


def login(credentials: Credentials) -> Responder:
    """draft-murchison-sasl-login: the server asks for the name, then for the password."""
    yield None
    yield credentials.user.encode()
    yield credentials.password.encode()


def cram_md5(credentials: Credentials) -> Responder:
    """RFC 2195. Raises ValueError: the challenge is not a MESSAGE_ID."""
    import hmac

    challenge = yield None
    if not MESSAGE_ID.fullmatch(challenge.decode("latin-1")):
        raise ValueError("the server's challenge is invalid for CRAM-MD5, so no response was sent")
    digest = hmac.digest(credentials.password.encode(), challenge, "md5").hex()
    yield f"{credentials.user} {digest}".encode()


def external(credentials: Credentials) -> Responder:
    """RFC 4422 appendix A: the TLS certificate identifies the user."""
    yield credentials.user.encode()


def oauthbearer(credentials: Credentials) -> Responder:
    """RFC 7628: after a refusal, the server sends its reason and waits for ^A."""
    name = credentials.user.replace("=", "=3D").replace(",", "=2C")
    fields = [f"n,a={name},", f"host={credentials.host}", f"port={credentials.port}"]
    yield "\x01".join([*fields, f"auth=Bearer {credentials.password}", "", ""]).encode()
    yield b"\x01"


def xoauth2(credentials: Credentials) -> Responder:
    """Google's and Microsoft's documentation: as OAUTHBEARER, with an empty response at the end."""
    yield f"user={credentials.user}\x01auth=Bearer {credentials.password}\x01\x01".encode()
    yield b""


def _scram(mechanism: str) -> Begin:
    """RFC 5802, RFC 7677. The module is loaded when a server offers one of them."""

    def begin(credentials: Credentials) -> Responder:
        from restante.client.scram import scram

        return scram(mechanism)(credentials)

    return begin


CLIENT_MECHANISMS: dict[str, Begin] = {
    "SCRAM-SHA-256-PLUS": _scram("SCRAM-SHA-256-PLUS"),
    "SCRAM-SHA-256": _scram("SCRAM-SHA-256"),
    "SCRAM-SHA-1-PLUS": _scram("SCRAM-SHA-1-PLUS"),
    "SCRAM-SHA-1": _scram("SCRAM-SHA-1"),
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


def offered_mechanisms(capabilities: Mapping[str, str] | None) -> list[str]:
    """Return the mechanisms that a server offers by its capabilities, in capitals. RFC 5034."""
    return (capabilities or {}).get("SASL", "").upper().split()


def unusable_reason(credentials: Credentials, mechanism: str) -> str:
    """Return why a mechanism cannot carry these credentials, "" if it can."""
    if not credentials.user and mechanism not in NAMELESS:
        return NO_NAME
    if mechanism == "APOP" and not credentials.timestamp:
        return "the greeting has no timestamp, or an unsafe one"
    if not mechanism.startswith("SCRAM"):
        return ""
    if mechanism.endswith("-PLUS") and credentials.binding is None:
        return "it requires TLS 1.2, for its channel binding"
    from restante.client.scram import check_credentials

    try:
        check_credentials(credentials)
    except ValueError as error:
        return f"SASLprep rejects the name or the password ({error})"
    return ""


def apop_digest(timestamp: str, password: str) -> str:
    """Return the digest of a timestamp and a password for APOP. RFC 1939 section 7.

    Both ends prepare the password by SASLprep: RFC 6856 section 2.2. A password that SASLprep
    rejects is used as it is, for servers that do not prepare passwords.
    """
    import hashlib

    from restante.protocol.saslprep import saslprep

    with contextlib.suppress(ValueError):
        password = saslprep(password)
    return hashlib.md5((timestamp + password).encode(), usedforsecurity=False).hexdigest()
