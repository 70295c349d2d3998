"""The client's side of SCRAM: RFC 5802, and RFC 7677 for SHA-256.

Both sides prove that they know the password, and do not send it. The reasons for own code are in
docs/explanation/own-code.md.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from restante.protocol.client.sasl import SaslRefusal
from restante.protocol.saslprep import saslprep

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.credentials import Credentials
    from restante.protocol.client.sasl import Responder

MIN_ITERATIONS = 4096  # RFC 7677 section 4
MAX_ITERATIONS = 2_000_000  # about a second of processor time

_SERVER_FIRST = re.compile(
    rb"r=([!-+\--~]+),s=([A-Za-z0-9/+]+={0,2}),i=([1-9][0-9]{0,17})(?:,[ -~]*)?"
)
_SERVER_FINAL = re.compile(rb"v=([A-Za-z0-9/+]+={0,2})(?:,[ -~]*)?")

# Server errors that indicate a relayed conversation: RFC 5802 section 7.
_ANOTHER_CHANNEL = (b"e=channel-bindings-dont-match", b"e=server-does-support-channel-binding")


class _Parameters(NamedTuple):
    """The server's first message: the nonce of both sides, the salt, the iterations."""

    nonce: bytes
    salt: bytes
    iterations: int


def scram(
    mechanism: str, make_nonce: Callable[[], bytes] = lambda: base64.b64encode(os.urandom(18))
) -> Callable[[Credentials], Responder]:
    """Return the mechanism with this name, such as "SCRAM-SHA-256-PLUS"."""
    digest = mechanism.removeprefix("SCRAM-").removesuffix("-PLUS").replace("-", "").lower()

    def respond(credentials: Credentials) -> Responder:
        import hashlib
        import hmac

        name, password = _prepare(credentials)
        header = _gs2_header(mechanism, credentials)
        binding = credentials.binding[1] if credentials.binding and header[:1] == b"p" else b""
        nonce = make_nonce()
        client_first = b"n=" + name + b",r=" + nonce
        server_first = yield header + client_first
        parameters = _read_server_first(server_first, nonce)
        bound = b"c=" + base64.b64encode(header + binding) + b",r=" + parameters.nonce
        signed = b",".join((client_first, server_first, bound))
        salted = hashlib.pbkdf2_hmac(digest, password, parameters.salt, parameters.iterations)
        client_key = hmac.digest(salted, b"Client Key", digest)
        signature = hmac.digest(hashlib.new(digest, client_key).digest(), signed, digest)
        proof = bytes(
            key_octet ^ signature_octet
            for key_octet, signature_octet in zip(client_key, signature, strict=True)
        )
        server_final = yield bound + b",p=" + base64.b64encode(proof)
        server_key = hmac.digest(salted, b"Server Key", digest)
        if not hmac.compare_digest(
            _read_server_final(server_final), hmac.digest(server_key, signed, digest)
        ):
            raise _unproven("its signature is wrong")
        yield b""

    return respond


def check_credentials(credentials: Credentials) -> None:
    """Raise ValueError if SASLprep rejects the name or the password (RFC 4013)."""
    _prepare(credentials)


def _prepare(credentials: Credentials) -> tuple[bytes, bytes]:
    """Return the name as it is sent, and the password. RFC 5802 section 5.1."""
    name = saslprep(credentials.user).replace("=", "=3D").replace(",", "=2C")
    password = saslprep(credentials.password)
    if not name or not password:
        raise ValueError("nothing is left of it")
    return name.encode(), password.encode()


def _gs2_header(mechanism: str, credentials: Credentials) -> bytes:
    """Return the header that binds the exchange to the channel, or says why it does not.

    A server that does not claim that it can bind learns that this client could: it objects if it
    can, because then an attacker removed its claim on the way. RFC 5802 section 6.
    """
    if credentials.binding is None:
        return b"n,,"
    if mechanism.endswith("-PLUS"):
        return b"p=" + credentials.binding[0].encode() + b",,"
    return b"n,," if credentials.server_has_plus else b"y,,"


def _read_server_first(message: bytes, nonce: bytes) -> _Parameters:
    """Return what a server's first message says, checked before anything is computed.

    Raises SaslRefusal: the server refuses. Raises ValueError: no proof is made of it.
    """
    _raise_if_error(message)
    match = _SERVER_FIRST.fullmatch(message)
    if not match:
        raise _unproven("its first message is not SCRAM")
    both, salt, iterations = match[1], match[2], int(match[3])
    if not both.startswith(nonce) or both == nonce:
        raise _unproven("its nonce does not begin with the client's")
    if not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
        raise _unproven(
            f"it asks for {iterations} iterations, and {MIN_ITERATIONS} to {MAX_ITERATIONS} are"
            " computed"
        )
    return _Parameters(both, _decode(salt), iterations)


def _read_server_final(message: bytes) -> bytes:
    """Return the server's signature. Raises SaslRefusal and ValueError as above."""
    _raise_if_error(message)
    match = _SERVER_FINAL.fullmatch(message)
    if not match:
        raise _unproven("its last message is not SCRAM")
    return _decode(match[1])


def _raise_if_error(message: bytes) -> None:
    if message.startswith(_ANOTHER_CHANNEL):
        raise _unproven(message.decode("ascii", "replace"))
    if message.startswith(b"e="):
        raise SaslRefusal(message.decode("ascii", "replace"))


def _decode(octets: bytes) -> bytes:
    try:
        return base64.b64decode(octets, validate=True)
    except binascii.Error:
        raise _unproven("its base64 is invalid") from None


def _unproven(why: str) -> ValueError:
    return ValueError(f"the server did not prove that it knows the password: {why}")
