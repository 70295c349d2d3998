"""Meets the needs by which a client proves who it is."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import hmac
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, cast

from restante.auth import scram
from restante.auth.interfaces import ClientCertificateError, CredentialsError, TokenError
from restante.auth.usernames import saslprep_or_same
from restante.protocol.server.needs import (
    Need,
    NewTimestamp,
    ScramFinal,
    ScramFirst,
    Verify,
    VerifyCertificate,
    VerifyDigest,
    VerifyToken,
)
from restante.server.limits.networks import client_network
from restante.server.limits.throttle import LONGEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    import structlog

    from restante.auth.interfaces import AccountDirectory
    from restante.protocol.server.settings import Identity
    from restante.server.connection.transport import ClientTransport
    from restante.server.context import ServerContext


ERROR_BY_METHOD: Mapping[str, type[CredentialsError]] = {
    "token": TokenError,
    "EXTERNAL": ClientCertificateError,
}
"""What a client hears of a method, the same for all reasons, where it is not about a password."""


class ConnectionAuthenticator:
    """One connection's way to the accounts. All raises CredentialsError and UnavailableError."""

    def __init__(
        self,
        service: ServerContext,
        wire: ClientTransport,
        log: structlog.typing.FilteringBoundLogger,
    ) -> None:
        self._service = service
        self._wire = wire
        self._log = log
        self._no_secret = b"nobody's secret"
        self._exchange: scram.ScramServer | None = None  # one whose challenge was not answered yet
        self._waited = 0.0  # seconds, for its challenge

    def authenticate(self, need: Need[Any]) -> object:  # noqa: PLR0911  # a table in the shape of a match
        """Return what a need of proof asks for, or a promise of it; None for another need."""
        if self._exchange is not None:
            self._count_cancelled(need)
        match need:
            case Verify():
                known = self._recalled(need)
                if known is not None:
                    return known
                said = need.password.reveal()
                proof = functools.partial(self._verify_password, need)
                return self._guarded(need.user, "password", proof, said)
            case VerifyDigest():
                method = "CRAM-MD5" if need.keyed else "APOP"
                return self._guarded(need.user, method, lambda: self._verify_digest(need))
            case VerifyToken():
                said = need.token.reveal()
                return self._guarded(need.user, "token", lambda: self._verify_token(need), said)
            case VerifyCertificate():
                said = "\0".join(self._certified()).encode(errors="surrogatepass")
                proof = functools.partial(self._verify_certificate, need)
                return self._guarded(need.user, "EXTERNAL", proof, said)
            case ScramFirst():
                return self._guarded_challenge(need)
            case ScramFinal():
                return self._guarded_answer(need)
            case NewTimestamp():
                return f"<{secrets.token_hex(8)}.{time.time_ns()}@{socket.gethostname()}>"
        return None

    def leave(self) -> None:
        """Count a login that was cancelled: the client is gone."""
        if self._exchange is not None:
            self._count_cancelled(None)

    def _count_cancelled(self, need: Need[Any] | None) -> None:
        """Count a SCRAM login that ended behind its challenge, which a guesser wants to see."""
        exchange, self._exchange = self._exchange, None
        if exchange is None or (isinstance(need, ScramFinal) and need.step is exchange):
            return
        self._service.limits.throttle.note_failure(self._wire.address, exchange.user.lower())

    def _recalled(self, need: Verify) -> Identity | None:
        """Return who it is where the same was proved lately, and nothing speaks against it."""
        recalls = self._service.login_cache
        suspects = self._service.limits.throttle.has_recent_failures
        if recalls is None or suspects(self._wire.address, need.user.lower()):
            return None
        return recalls.cached_login(need.user, need.password)

    async def _guarded(
        self,
        user: str,
        method: str,
        prove: Callable[[], Awaitable[Any]],
        said: bytes = b"",
        *,
        waited: float = 0,
    ) -> Any:
        """Prove something, but slowly for who failed before; tell the log of a failure.

        `said` is what is proved, where the same is said each time. `waited` is in seconds, for a
        step of the same login. Raises GuessesError.
        """
        throttle, address = self._service.limits.throttle, self._wire.address
        # Who guesses is not to begin anew with Ann, aNn, and anN.
        name = user.lower()
        async with throttle.one_at_a_time(address, name, said, LONGEST_DELAY - waited):
            try:
                met = await prove()
            except CredentialsError as error:
                throttle.note_failure(address, name, said)
                self._tell_failure(user, method, error.reason)
                raise ERROR_BY_METHOD.get(method, CredentialsError)(error.reason) from error
            throttle.clear(address, name, said)
            return met

    def _tell_failure(self, user: str, method: str, reason: str) -> None:
        self._log.warning("login_failed", user=user, method=method, reason=reason)

    async def _verify_password(self, need: Verify) -> Identity:
        verify, queue = self._service.authenticator.verify, self._service.hash_queue
        if queue is None:
            return await verify(need.user, need.password)
        async with queue.turn(client_network(self._wire.address)):
            return await verify(need.user, need.password)

    async def _verify_digest(self, need: VerifyDigest) -> Identity:
        unknown: CredentialsError | None = None
        try:
            secret = (await self._keys().shared_secret(need.user)).reveal()
        except CredentialsError as error:
            unknown, secret = error, self._no_secret  # the same work: time must not tell
        if need.keyed:
            expected = hmac.new(secret, need.challenge, "md5").hexdigest()
        else:
            digest = hashlib.md5(need.challenge + secret, usedforsecurity=False)
            expected = digest.hexdigest()
        if not hmac.compare_digest(expected, need.digest) or unknown is not None:
            raise unknown or CredentialsError("wrong digest")
        return await self._keys().identify(need.user)

    async def _verify_token(self, need: VerifyToken) -> Identity:
        if self._service.tokens is None:
            raise CredentialsError("no tokens here")
        name = saslprep_or_same(await self._service.tokens.user_of(need.token))
        if need.user.lower() not in ("", name.lower()):
            raise CredentialsError("somebody else's token")
        return await self._keys().identify(name)

    async def _verify_certificate(self, need: VerifyCertificate) -> Identity:
        names = map(saslprep_or_same, self._certified())
        said = need.user.lower()
        fitting = sorted(
            (name for name in names if said in ("", name.lower())),
            key=lambda name: name != need.user,
        )
        if not fitting:
            raise CredentialsError("no certificate for this name")
        return await self._keys().identify(fitting[0])

    async def _guarded_challenge(self, need: ScramFirst) -> scram.ScramServer:
        """Give a challenge, but slowly to a client that failed or cancelled before."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with self._service.limits.throttle.one_at_a_time(
            self._wire.address, need.user.lower()
        ):
            self._waited = loop.time() - begun
            self._exchange = await self._scram_first(need)
            return self._exchange

    def _certified(self) -> tuple[str, ...]:
        """Return the names in the client's certificate."""
        return self._wire.tls.client_names() if self._wire.tls is not None else ()

    async def _guarded_answer(self, need: ScramFinal) -> tuple[bytes, Identity]:
        """Prove the answer to a challenge; a client that does not wait for that has failed."""
        user = cast("scram.ScramServer", need.step).user
        try:
            proved: tuple[bytes, Identity] = await self._guarded(
                user, "SCRAM", lambda: self._scram_final(need), waited=self._waited
            )
        except asyncio.CancelledError:
            self._service.limits.throttle.note_failure(self._wire.address, user.lower())
            raise
        return proved

    async def _scram_first(self, need: ScramFirst) -> scram.ScramServer:
        keys = await self._keys().scram_keys(need.mechanism, need.user)
        tls = self._wire.tls
        announced = self._wire.channel().announce_bindings or need.mechanism.endswith("-PLUS")
        bindings = tls.bindings() if tls is not None and announced else {}
        return scram.ScramServer(need.mechanism, need.user, keys, need.message, bindings)

    async def _scram_final(self, need: ScramFinal) -> tuple[bytes, Identity]:
        exchange = cast("scram.ScramServer", need.step)
        try:
            signature = exchange.finish(need.message)
        except CredentialsError:
            await self._keys().identify(exchange.user)  # where the name is to blame, this tells
            raise
        return signature, await self._keys().identify(exchange.user)

    def _keys(self) -> AccountDirectory:
        """Return the accounts as those who know more than passwords, which the offer made sure."""
        return cast("AccountDirectory", self._service.authenticator)
