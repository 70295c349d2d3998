"""Authenticates the client of one connection."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, assert_never, cast

from restante.auth.client_address import CLIENT_ADDRESS
from restante.auth.file.allowed_networks import admits, require_network
from restante.auth.interfaces import (
    ClientCertificateError,
    CredentialsError,
    TokenError,
    UndecidedError,
)
from restante.auth.usernames import guess_key, is_exact, saslprep_or_same, with_domain
from restante.junk import with_suffix, without_suffix
from restante.net.client_networks import client_network
from restante.protocol.server.needs import Authenticate, AuthMethod, StartScram
from restante.protocol.server.settings import Identity
from restante.protocol.text import SecretOctets
from restante.server.limits.throttle import LONGEST_DELAY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from restante.auth.interfaces import AccountDirectory
    from restante.auth.masters import Masters
    from restante.auth.passwords import scram
    from restante.protocol.secret import Secret
    from restante.server.connection.login_client import LoginClient
    from restante.server.context import ServerContext


ERROR_BY_METHOD: Mapping[AuthMethod, type[CredentialsError]] = {
    AuthMethod.TOKEN: TokenError,
    AuthMethod.CERTIFICATE: ClientCertificateError,
}
"""The error for every failure of a method; CredentialsError if it is about a password."""

NO_SECRET = b"nobody's secret"
NO_IDENTITY = "`verify` returned {}, not Identity; raise CredentialsError to refuse a login"


def _apop_digest(secret: bytes, challenge: bytes) -> str:
    """Return the digest of RFC 1939 section 7."""
    return hashlib.md5(challenge + secret, usedforsecurity=False).hexdigest()


def _cram_md5_digest(secret: bytes, challenge: bytes) -> str:
    """Return the digest of RFC 2195."""
    return hmac.new(secret, challenge, "md5").hexdigest()


DIGEST_BY_METHOD: Mapping[AuthMethod, Callable[[bytes, bytes], str]] = {
    AuthMethod.APOP: _apop_digest,
    AuthMethod.CRAM_MD5: _cram_md5_digest,
}
"""The digests that the client must have computed from its secret and the challenge."""


class ConnectionAuthenticator:
    """Authenticates the client of one connection by the accounts.

    Its methods raise CredentialsError and UnavailableError. A failure is logged with its reason.
    The client gets the same reply for all reasons.

    Attributes:
        user: the name of the last login, with its domain and without its master user.
    """

    def __init__(self, context: ServerContext, client: LoginClient) -> None:
        self.user = ""
        self._context = context
        self._client = client
        self._exchange: scram.ScramServer | None = None  # its challenge is not answered yet
        self._waited = 0.0  # seconds that the throttle delayed the challenge
        self._guessed = ""  # the name by which the throttle counts failures

    def authenticate(self, need: Authenticate) -> Identity | Awaitable[Identity]:
        """Return the identity of the client: at once, if the login cache has its password."""
        context = self._context
        if context.default_domain or context.junk_suffix or context.masters is not None:
            need = self._with_whole_names(need)
        else:
            self.user = user = need.user
            usual = user.isascii() and " " not in user  # one call less for each login
            self._guessed = user.lower() if usual else guess_key(user)
        if self._exchange is not None:
            self._note_cancelled(need)
        if need.method is not AuthMethod.PASSWORD:
            by_scram = need.method is AuthMethod.SCRAM
            return self._check_answer(need) if by_scram else self._verify_throttled(need)
        suspects = context.limits.throttle.has_recent_failures
        if not suspects(self._client.address, self._guessed):
            cache = context.login_cache
            cached: Identity | Awaitable[Identity | None] | None
            if need.master:
                cached = self._cached_master(need)
            else:
                cached = None if cache is None else cache.cached_login(need.user, need.response)
            if isinstance(cached, Identity):
                if not cached.networks or admits(cached, self._client.address):
                    return cached
            elif cached is not None:
                return self._confirm_or_verify(need, cached)
        return self._verify_throttled(need)

    def _cached_master(self, need: Authenticate) -> Awaitable[Identity | None] | None:
        """Return the cached login of a master user, None for none."""
        if self._masters is None:
            return None
        return self._masters.cached_login(need.user, need.master, need.response)

    async def _confirm_or_verify(
        self, need: Authenticate, cached: Awaitable[Identity | None]
    ) -> Identity:
        """Return the identity of a cached login; if it no longer holds, check the credentials."""
        CLIENT_ADDRESS.set(self._client.address)
        identity = await cached
        if identity is not None and admits(identity, self._client.address):
            return identity
        return await self._verify_throttled(need)

    async def start_scram(self, need: StartScram) -> scram.ScramServer:
        """Return a challenge. A client that failed or cancelled before gets it after a delay."""
        from restante.auth.passwords import scram

        user = self._note_name(need.user)
        self._note_cancelled(None)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        throttle = self._context.limits.throttle
        async with throttle.one_at_a_time(self._client.address, self._guessed):
            self._waited = loop.time() - begun
            keys = await self._accounts.scram_keys(need.mechanism, user)
            tls, plus = self._client.tls, need.mechanism.endswith("-PLUS")
            announced = plus or self._announces_bindings(need.mechanism)
            bindings = tls.bindings() if tls is not None and announced else {}
            self._exchange = scram.ScramServer(need.mechanism, user, keys, need.message, bindings)
            return self._exchange

    def _announces_bindings(self, mechanism: str) -> bool:
        """Return whether clients can see that a mechanism binds to TLS: RFC 5802 section 6."""
        offered = f"{mechanism}-PLUS" in self._context.offer().mechanisms
        return offered and self._client.channel().announce_bindings

    def _with_whole_names(self, need: Authenticate) -> Authenticate:
        """Return the need with the domain of its user, and with a master user split off."""
        user, master = need.user, need.master
        if need.method is AuthMethod.PASSWORD and self._masters is not None and not master:
            user, master = self._masters.split(user)
        return replace(need, user=self._note_name(user, master), master=master)

    def _note_name(self, user: str, master: str = "") -> str:
        """Return a name with its domain, and note the name by which failures count.

        All forms of a name count as one: ann and ann@example.com, aNn and other spellings, and the
        junk maildrop. For ann*admin and bob*admin, the master user counts. No account's name begins
        with "/".
        """
        self.user = with_domain(user, self._context.default_domain)
        bare = without_suffix(self.user, self._context.junk_suffix)
        self._guessed = guess_key(f"/{master}" if master else bare)
        return self.user

    def leave(self) -> None:
        """Count a SCRAM login that the client left unfinished."""
        if self._exchange is not None:
            self._note_cancelled(None)

    def _note_cancelled(self, need: Authenticate | None) -> None:
        """Count a SCRAM login that ended after its challenge as a failure.

        Only a guesser asks for the challenge of a name and goes no further.
        """
        exchange, self._exchange = self._exchange, None
        if exchange is not None and (need is None or need.challenge is not exchange):
            self._note_failure(exchange.user)

    def _note_failure(self, user: str) -> None:
        name = guess_key(without_suffix(user, self._context.junk_suffix))
        self._context.limits.throttle.note_failure(self._client.address, name)

    async def _check_answer(self, need: Authenticate) -> Identity:
        """Check the answer to a challenge. A client that leaves meanwhile counts as failed."""
        try:
            return await self._verify_throttled(need, waited=self._waited)
        except asyncio.CancelledError:
            self._note_failure(need.user)
            raise

    async def _verify_throttled(self, need: Authenticate, *, waited: float = 0) -> Identity:
        """Check credentials, after a delay if the client failed before, and log a failure.

        `waited` are the seconds of delay in an earlier step of the same login. Raises GuessesError.
        """
        throttle, address = self._context.limits.throttle, self._client.address
        name, credentials = self._guessed, self._repeated_credentials(need)
        async with throttle.one_at_a_time(address, name, credentials, LONGEST_DELAY - waited):
            try:
                identity = require_network(await self._check(need), address)
            except CredentialsError as error:
                throttle.note_failure(address, name, credentials)
                self._context.session_log.login_failed(
                    self._client, need.user, need.method, error.reason
                )
                raise ERROR_BY_METHOD.get(need.method, CredentialsError)(error.reason) from error
            except UndecidedError:
                throttle.note_failure(address, name, credentials)
                raise
            throttle.clear(address, name, credentials)
            return identity

    def _repeated_credentials(self, need: Authenticate) -> bytes:
        """Return credentials that are the same in each login; b"" if they change, as digests do."""
        if need.method in {AuthMethod.PASSWORD, AuthMethod.TOKEN}:
            return SecretOctets(need.response.reveal())
        if need.method is AuthMethod.CERTIFICATE:
            return "\0".join(self._certified_names()).encode(errors="surrogatepass")
        return b""

    async def _check(self, need: Authenticate) -> Identity:
        CLIENT_ADDRESS.set(self._client.address)
        match need.method:
            case AuthMethod.PASSWORD:
                return await self._check_password(need)
            case AuthMethod.TOKEN:
                return await self._check_token(need.user, need.response)
            case AuthMethod.CERTIFICATE:
                return await self._check_certificate(need.user)
            case AuthMethod.SCRAM:
                return await self._check_scram(need)
            case AuthMethod.APOP | AuthMethod.CRAM_MD5:
                return await self._check_digest(need)
            case _:
                assert_never(need.method)

    async def _check_password(self, need: Authenticate) -> Identity:
        queue = self._context.hash_queue
        if queue is None:
            return await self._verify(need)
        async with queue.turn(client_network(self._client.address)):
            return await self._verify(need)

    async def _verify(self, need: Authenticate) -> Identity:
        if not need.master:
            identity = await self._context.authenticator.verify(need.user, need.response)
            if not isinstance(identity, Identity):  # of a program that embeds the server
                raise TypeError(NO_IDENTITY.format(type(identity).__name__))
            return identity
        if self._masters is None:
            raise CredentialsError("master users read mail only")
        return await self._masters.verify(need.user, need.master, need.response)

    @property
    def _masters(self) -> Masters | None:
        """The master users. They are for POP3 only: none may send mail as another user."""
        return None if self._client.service else self._context.masters

    async def _check_token(self, user: str, token: Secret) -> Identity:
        if self._context.tokens is None:
            raise CredentialsError("no tokens here")
        name = saslprep_or_same(await self._context.tokens.user_of(token))
        name = with_domain(name, self._context.default_domain)
        if user.lower() not in ("", name.lower()):
            return await self._identify_junk(user, name, "the token is of another user")
        return await self._identify_exactly(name, name)

    async def _identify_exactly(self, user: str, verified: str) -> Identity:
        """Return the identity of a login name, which is the verified name or its junk maildrop.

        Raises CredentialsError: the name is unknown, or the accounts have found a similar one.
        """
        identity = await self._accounts.identify(user)
        if identity.name.lower() != verified.lower() and not is_exact(verified):
            raise CredentialsError("the account has another name")
        return identity

    async def _identify_junk(self, user: str, name: str, reason: str) -> Identity:
        """Return the identity for the junk maildrop of a verified name, if `user` means that.

        Raises CredentialsError, with the reason if not.
        """
        suffix = self._context.junk_suffix
        if suffix and user.lower() == with_suffix(name, suffix).lower():
            identity = await self._identify_exactly(user, name)
            if identity.maildrop:  # else an account has the suffix in its own name
                return identity
        raise CredentialsError(reason)

    async def _check_certificate(self, user: str) -> Identity:
        domain = self._context.default_domain
        names = [
            with_domain(saslprep_or_same(certified), domain)
            for certified in self._certified_names()
        ]
        requested = user.lower()
        fitting = sorted(
            (name for name in names if requested in ("", name.lower())),
            key=lambda name: name != user,
        )
        reason = "no certificate for this name"
        if not fitting:
            bare = without_suffix(user, self._context.junk_suffix)
            junk = next((name for name in names if name.lower() == bare.lower()), None)
            if junk is None:
                raise CredentialsError(reason)
            return await self._identify_junk(user, junk, reason)
        return await self._identify_exactly(fitting[0], fitting[0])

    async def _check_scram(self, need: Authenticate) -> Identity:
        exchange = cast("scram.ScramServer", need.challenge)
        try:
            exchange.finish(need.response.reveal())
        except CredentialsError:
            await self._accounts.identify(need.user)  # the name is unknown or locked
            raise
        keys = await self._accounts.scram_keys(exchange.mechanism, exchange.user)
        if keys != exchange.keys:  # the client may have had minutes for its proof
            raise CredentialsError("the keys were changed during the login")
        return await self._accounts.identify(need.user)

    async def _check_digest(self, need: Authenticate) -> Identity:
        # Decoy keys: the server computes a digest, or a challenge of SCRAM, for an unknown name as
        # well. Without them the time of a reply, or its form, would show which names exist. SCRAM's
        # decoys are in auth/passwords/scram.py: the same name must get the same salt each time.
        unknown: CredentialsError | None = None
        try:
            secret = (await self._accounts.shared_secret(need.user)).reveal()
        except CredentialsError as error:
            unknown, secret = error, NO_SECRET
        challenge = cast("bytes", need.challenge)
        expected = DIGEST_BY_METHOD[need.method](secret, challenge)
        if not hmac.compare_digest(expected.encode(), need.response.reveal()) or unknown:
            raise unknown or CredentialsError("wrong digest")
        return await self._accounts.identify(need.user)

    def _certified_names(self) -> tuple[str, ...]:
        """Return the names in the client's certificate."""
        return self._client.tls.client_names() if self._client.tls is not None else ()

    @property
    def _accounts(self) -> AccountDirectory:
        """The accounts, with the methods for mechanisms beside passwords.

        A mechanism is only offered if the accounts support it.
        """
        return cast("AccountDirectory", self._context.authenticator)
