"""SCRAM, server's side: RFC 5802 and RFC 7677, by the library scramp."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import scramp

from restante.auth.api import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from restante.protocol.secret import Secret

ITERATIONS = 310_000  # of PBKDF2, for new keys
SALT = 16  # octets
HASHES = ("SCRAM-SHA-256", "SCRAM-SHA-1")


@dataclass(frozen=True, slots=True)
class Keys:
    """What the server stores to check a client's proof: it cannot be used to log in."""

    salt: bytes
    stored_key: bytes
    server_key: bytes
    iterations: int

    def __str__(self) -> str:
        """Return the keys as RFC 5803 writes them, without the name of the scheme."""
        salt, stored, server = map(_b64, (self.salt, self.stored_key, self.server_key))
        return f"{self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str) -> Keys:
        """Read what str() wrote. Raises ValueError."""
        head, _, keys = text.partition("$")
        iterations, _, salt = head.partition(":")
        stored, _, server = keys.partition(":")
        try:
            octets = [
                binascii.a2b_base64(part, strict_mode=True) for part in (salt, stored, server)
            ]
        except binascii.Error as error:
            raise ValueError("no SCRAM keys") from error
        if len(octets[0]) < 12 or not octets[1] or not octets[2] or int(iterations) < 4096:
            raise ValueError("no SCRAM keys")
        return cls(octets[0], octets[1], octets[2], int(iterations))


def make(mechanism: str, password: Secret) -> Keys:
    """Return new keys for a password. Takes its time: call it in a thread.

    Raises ValueError: the password is not what SASLprep allows.
    """
    try:
        salt, stored, server, iterations = scramp.ScramMechanism(mechanism).make_auth_info(
            password.reveal().decode(), ITERATIONS, secrets.token_bytes(SALT)
        )
    except (scramp.ScramException, UnicodeDecodeError) as error:
        raise ValueError("the password has characters that SCRAM cannot take") from error
    return Keys(salt, stored, server, iterations)


def decoy(mechanism: str, user: str, key: bytes, iterations: int) -> Keys:
    """Return keys that nobody has, always the same for a name: nothing tells that it is unknown."""

    def derived(purpose: str, octets: int) -> bytes:
        said = f"{purpose}:{mechanism}:{user}".encode(errors="replace")
        return hmac.digest(key, said, "sha256")[:octets]

    octets = 32 if "256" in mechanism else 20
    return Keys(
        derived("salt", SALT), derived("stored", octets), derived("server", octets), iterations
    )


def user_of(message: bytes) -> str:
    """Return the name in a client-first message. Raises CredentialsError."""
    try:
        bare = message.decode().split(",", 2)[2]
    except (UnicodeDecodeError, IndexError):
        raise CredentialsError("no SCRAM message") from None
    name = bare.partition(",")[0].removeprefix("n=")
    return name.replace("=2C", ",").replace("=3D", "=")


class Exchange:
    """One login by SCRAM, from the client's first message to the server's last.

    `bindings` holds the data of each type of channel binding that both ends of the connection know.
    Raises CredentialsError.
    """

    def __init__(
        self, mechanism: str, user: str, keys: Keys, message: bytes, bindings: Mapping[str, bytes]
    ) -> None:
        self.user = user
        stored = (keys.salt, keys.stored_key, keys.server_key, keys.iterations)
        self._server: Any = scramp.ScramMechanism(mechanism).make_server(
            lambda _: stored, channel_binding=_chosen(message, bindings)
        )
        try:
            self._server.set_client_first(message.decode())
            self.challenge = self._server.get_server_first().encode()
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise CredentialsError("SCRAM: not understood") from error

    def finish(self, message: bytes) -> bytes:
        """Check the client's proof and return the server's. Raises CredentialsError."""
        try:
            self._server.set_client_final(message.decode())
        except (scramp.ScramException, UnicodeDecodeError) as error:
            raise CredentialsError(_reason(error)) from error
        final: str = self._server.get_server_final()
        return final.encode()


def _chosen(message: bytes, bindings: Mapping[str, bytes]) -> tuple[str, bytes] | None:
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
