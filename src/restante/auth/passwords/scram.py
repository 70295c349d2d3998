"""SCRAM, server's side: RFC 5802 and RFC 7677, by the library scramp."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import scramp

from restante.auth.interfaces import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from restante.protocol.secret import Secret

ITERATIONS = 310_000  # of PBKDF2, for new keys
MIN_ITERATIONS = 4096  # RFC 7677 section 4
SALT = 16  # octets
HASHES = ("SCRAM-SHA-256", "SCRAM-SHA-1")


class ScramKeys(msgspec.Struct, frozen=True, gc=False):
    """The keys that check a client's proof. They cannot be used to log in. RFC 5802 section 3.

    The garbage collector ignores them, since a server has those of all accounts in memory.

    Attributes:
        salt: at least 12 octets.
        stored_key: the hash of the client's key.
        server_key: with it the server proves that it knows the keys.
        iterations: of PBKDF2, at least 4096.
    """

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int

    def __str__(self) -> str:
        """Return the keys as RFC 5803 writes them, without the name of the scheme."""
        salt, stored, server = map(_b64, (self.salt, self.stored_key, self.server_key))
        return f"{self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str) -> ScramKeys:
        """Return the keys of a `text` that str() made. Raises ValueError."""
        head, _, keys = text.partition("$")
        iterations, _, salt = head.partition(":")
        stored, _, server = keys.partition(":")
        try:
            octets = [
                binascii.a2b_base64(part, strict_mode=True) for part in (salt, stored, server)
            ]
        except binascii.Error as error:
            raise ValueError("no SCRAM keys") from error
        if len(octets[0]) < 12 or not all(octets) or int(iterations) < MIN_ITERATIONS:
            raise ValueError("no SCRAM keys")
        return cls(octets[0], octets[1], octets[2], int(iterations))


def create_keys(mechanism: str, password: Secret, *, iterations: int = ITERATIONS) -> ScramKeys:
    """Return new keys for a `password` and a `mechanism`, "SCRAM-SHA-256" or "SCRAM-SHA-1".

    It takes as long as `iterations` require, so call it in a thread. Raises ValueError: the
    mechanism is another, or the password is not what SASLprep allows.
    """
    if mechanism.removesuffix("-PLUS") not in HASHES:
        raise ValueError(f"{mechanism!r} is not known; use {' or '.join(HASHES)}")
    try:
        salt, stored, server, _ = scramp.ScramMechanism(mechanism).make_auth_info(
            password.reveal().decode(), iterations, secrets.token_bytes(SALT)
        )
    except (scramp.ScramException, UnicodeDecodeError) as error:
        raise ValueError("the password has characters that SCRAM does not allow") from error
    return ScramKeys(salt, stored, server, iterations)


@dataclass(frozen=True, slots=True, order=True)
class ScramParameters:
    """The parameters of keys that every client can see, but for the salt itself."""

    iterations: int = ITERATIONS
    salt: int = SALT  # octets

    @classmethod
    def from_keys(cls, keys: ScramKeys) -> ScramParameters:
        """Return the parameters of keys."""
        return cls(keys.iterations, len(keys.salt))


def fake_keys(
    mechanism: str, user: str, key: bytes, choices: Collection[ScramParameters]
) -> ScramKeys:
    """Return fake keys, always the same for a name, so that replies do not reveal unknown names.

    They have the parameters of one account, and others only when these are gone or new ones come.
    """

    def derive(purpose: str, octets: int = 32) -> bytes:
        material = f"{purpose}:{mechanism}:{user}".encode(errors="replace")
        # SHA-3 is safe with a key in front, and this one gives as many octets as a salt needs.
        return hashlib.shake_256(key + material).digest(octets)

    chosen = max(choices, key=lambda choice: derive(f"look {choice.iterations} {choice.salt}"))
    octets = 32 if "256" in mechanism else 20
    return ScramKeys(
        derive("salt", chosen.salt),
        derive("stored", octets),
        derive("server", octets),
        chosen.iterations,
    )


class _Header:
    """The header as the client sent it, with the identity to act as. The library lacks this."""

    def __init__(self, plain: Any, header: bytes) -> None:
        self._plain = plain
        self._header = header

    def make_cbind_input(self, binding: object) -> bytes:
        """Return what "c=" must be. RFC 5802 section 5.1."""
        expected: bytes = self._plain.make_cbind_input(binding)
        return self._header + expected.removeprefix(bytes(self._plain))


class ScramServer:
    """One login by SCRAM, from the client's first message to the server's last.

    `user` is the name in that message; acting for another user is not supported. `bindings` has the
    data of each type of channel binding that both ends of the connection know. Raises
    CredentialsError.

    Attributes:
        mechanism: its name, such as SCRAM-SHA-256-PLUS.
        keys: those that check the proof; at the end they may be those of an earlier password.
    """

    def __init__(
        self,
        mechanism: str,
        user: str,
        keys: ScramKeys,
        message: bytes,
        bindings: Mapping[str, bytes],
    ) -> None:
        self.mechanism = mechanism
        self.user = user
        self.keys = keys
        stored = (keys.salt, keys.stored_key, keys.server_key, keys.iterations)
        self.signature = b""  # the server-final message, once the client is authenticated
        self._server: Any = scramp.ScramMechanism(mechanism).make_server(
            lambda _: stored, channel_binding=_choose_binding(message, bindings)
        )
        try:
            flag, authority, bare = message.decode().split(",", 2)
            self._server.set_client_first(f"{flag},,{bare}")
            header = f"{flag},{authority},".encode()
            self._server.gs2_header = _Header(self._server.gs2_header, header)
            self.challenge: bytes = self._server.get_server_first().encode()
        except (scramp.ScramException, ValueError) as error:
            raise CredentialsError("SCRAM: not understood") from error

    def finish(self, message: bytes) -> bytes:
        """Check the client's proof and return the server's. Raises CredentialsError."""
        try:
            self._server.set_client_final(message.decode())
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise CredentialsError(_reason(error)) from error
        self.signature = self._server.get_server_final().encode()
        return self.signature


def _choose_binding(message: bytes, bindings: Mapping[str, bytes]) -> tuple[str, bytes] | None:
    """Return the binding that the client names; or any, which shows that there is one."""
    flag = message.partition(b",")[0]
    name = flag.removeprefix(b"p=").decode(errors="replace")
    if name in bindings:
        return name, bindings[name]
    return next(iter(bindings.items()), None)


def _reason(error: Exception) -> str:
    """Return in the words of RFC 5802 section 7 why a proof failed."""
    kind = getattr(getattr(error, "server_error", None), "value", "not understood")
    return "wrong password" if kind == "invalid-proof" else f"SCRAM: {kind}"


def _b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
