"""Access tokens for an account, from the store, refreshed ahead by one process at a time.

A rotated refresh token is durable before its access token is used, so that a crash does not lose
the account. Network trouble forgets nothing.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from restante.client.credentials import require_text
from restante.net import daemon_threads
from restante.oauth import token_endpoint
from restante.oauth.errors import OAuthError, TokenStoreError
from restante.oauth.private_files import LockTimeoutError
from restante.oauth.secret_command import run_client_secret_command
from restante.oauth.token_store import TokenStore, Trouble, with_rotated, with_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.oauth.sign_in import SignIn
    from restante.oauth.token_endpoint import TokenSet
    from restante.oauth.token_store import StoredSignIn, StoreEntry
    from restante.protocol.secret import Secret

SECONDS = 20  # for all answers of an issuer to a refresh
REFRESH_AHEAD = 600  # seconds before the end of an access token from which on it is refreshed
MAX_REFUSALS = 3  # of tokens within REFUSAL_PAUSE, after which a pause as long begins
CLOCK_STEP = 60  # seconds by which a clock is set back in small steps
REFUSAL_PAUSE = 900  # seconds: Microsoft blocks clients that loop (AADSTS50196)


class StoredTokenSource:
    """Access tokens of an account that `pop3 login` has signed in. It fits `connect(auth=...)`.

    A token is refreshed ten minutes before it expires. Of several processes one asks the issuer,
    and the others use its token. After three refusals the issuer is not asked for 15 minutes.

    Both methods wait at most 20 seconds for another process and 20 for the issuer. Commands that
    print secrets have 60 seconds more each.

    Args:
        name: the name of the account, as `pop3 login` kept it.
        store: the store of the tokens, None for the usual one.
        clock: the time, as time.time() gives it.

    Raises TypeError: the name is not text.
    """

    def __init__(
        self,
        name: str,
        store: TokenStore | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        require_text("name", name)
        self.name = name
        self._store = store or TokenStore()
        self._clock = clock

    def token(self) -> str:
        """Return an access token that has not expired, refreshed if that is due.

        If the issuer cannot be asked, the present token is returned until it expires.

        Raises OAuthError: the issuer has ended the sign-in, or it does not answer. Raises
        TokenStoreError: there are no tokens, or they cannot be read or kept.
        """
        stored = self._require(self._store.load(self.name))
        if not self._is_due(stored):
            return _access(stored)
        try:
            with self._store.edit(self.name) as entry:
                stored = self._require(entry.load())
                if self._is_due(stored):
                    self._check_pause(stored)
                    stored = self._refresh(entry, stored)
        except LockTimeoutError as error:
            if not self._is_expired(stored):
                return _access(stored)
            raise OAuthError("oauth-busy", str(error)) from None
        except OAuthError as error:
            if error.ended or self._is_expired(stored):
                raise
        return _access(stored)

    def renew(self, refused: str) -> str | None:
        """Return another token after the mail server refused one, None for no other.

        Args:
            refused: the token that the server refused.

        The issuer is asked even if the token has not expired, but not after three refusals in 15
        minutes. Raises OAuthError: the issuer gives none, which may be why the server refused the
        present one. While the issuer is in trouble, a token that has not expired was refused for
        another reason, and there is no other. Raises TokenStoreError.
        """
        stored: StoredSignIn | None = None
        try:
            with self._store.edit(self.name) as entry:
                stored = self._require(entry.load())
                if _access(stored) != refused and not self._is_due(stored):
                    return _access(stored)  # another process has renewed it
                if len(self._recent_refusals(stored)) >= MAX_REFUSALS and stored.trouble is None:
                    return None
                self._check_pause(stored)
                stored = replace(stored, refusals=(*self._recent_refusals(stored), self._clock()))
                return _access(self._refresh(entry, stored))
        except LockTimeoutError:
            return None
        except OAuthError as error:
            if error.temporary and stored and self._is_known_fresh(stored):
                return None
            error.others.append("the mail server refused the present token")
            raise

    def _require(self, stored: StoredSignIn | None) -> StoredSignIn:
        """Return a sign-in that is stored and has not ended. Raises TokenStoreError, OAuthError."""
        if stored is None:
            text = f"there are no tokens for {self.name}; run pop3 login {self.name}"
            raise TokenStoreError(text)
        if stored.ended and stored.trouble is not None:
            raise _recorded_error(stored.trouble)
        return stored

    def _is_due(self, stored: StoredSignIn) -> bool:
        """Return whether the access token should be refreshed: at half its life, if that is short.

        A token without a known end is used until the server refuses it. If the clock was set back
        since the token came, its end is not known.
        """
        end, now = stored.sign_in.tokens.expires_at, self._clock()
        if end is None:
            return False
        life = max(0, end - stored.obtained_at)
        return now >= end - min(REFRESH_AHEAD, life / 2) or now < stored.obtained_at - CLOCK_STEP

    def _is_known_fresh(self, stored: StoredSignIn) -> bool:
        return stored.sign_in.tokens.expires_at is not None and not self._is_expired(stored)

    def _is_expired(self, stored: StoredSignIn) -> bool:
        end = stored.sign_in.tokens.expires_at
        return end is not None and self._clock() >= end

    def _recent_refusals(self, stored: StoredSignIn) -> tuple[float, ...]:
        """Return the refusals that count. Those in the future do not: the clock was set back."""
        now = self._clock()
        return tuple(at for at in stored.refusals if now - REFUSAL_PAUSE < at <= now)

    def _check_pause(self, stored: StoredSignIn) -> None:
        """Raise OAuthError: too many tokens were refused, or the issuer asked for a pause."""
        recent = self._recent_refusals(stored)
        if stored.trouble is not None:
            self._check_retry_after(stored.trouble)
        if len(recent) < MAX_REFUSALS:
            return
        minutes = max(1, round((recent[-1] + REFUSAL_PAUSE - self._clock()) / 60))
        pause = f"after {MAX_REFUSALS} refusals the issuer is not asked again for {minutes} min"
        if stored.trouble is not None:
            error = _recorded_error(stored.trouble)
            error.others.append(pause)
            raise error
        raise OAuthError("oauth-busy", f"the mail server refused the tokens; {pause}")

    def _check_retry_after(self, trouble: Trouble) -> None:
        """Raise OAuthError: a busy issuer asked for a pause. At most REFUSAL_PAUSE of it counts."""
        seconds = trouble.at + min(trouble.wait, REFUSAL_PAUSE) - self._clock()
        if 0 < seconds <= REFUSAL_PAUSE:
            error = _recorded_error(trouble)
            error.others.append(f"the issuer is not asked again for {math.ceil(seconds)} s")
            raise error

    def _refresh(self, entry: StoreEntry, stored: StoredSignIn) -> StoredSignIn:
        """Ask the issuer, and keep what it gives. Raises OAuthError, TokenStoreError.

        A command whose time is over waits for that: the issuer may have rotated the refresh token.
        """
        return daemon_threads.finish(partial(self._ask_issuer, entry, stored), "refresh")

    def _ask_issuer(self, entry: StoreEntry, stored: StoredSignIn) -> StoredSignIn:
        entry.save(stored)  # a full disk is found before the issuer rotates a token
        try:
            tokens, used = _request(stored)
        except OAuthError as error:
            if error.id != "oauth-network":
                entry.save(self._with_trouble(with_rotated(stored, error.rotated), error))
            raise
        stored = with_tokens(stored, tokens, used, self._clock())
        entry.save(stored)
        return stored

    def _with_trouble(self, stored: StoredSignIn, error: OAuthError) -> StoredSignIn:
        now = self._clock()
        trouble = Trouble(error.id, error.text, error.error, error.correlation, now, error.wait)
        refusals = (*self._recent_refusals(stored), now)[-MAX_REFUSALS:]
        return replace(stored, trouble=trouble, ended=error.ended, refusals=refusals)


def _request(stored: StoredSignIn) -> tuple[TokenSet, Secret | None]:
    """Return new tokens, and the refresh token that they were given for.

    If the present refresh token does not work, the one before is tried: a crash of the issuer may
    have lost the present one. Raises OAuthError.
    """
    sign_in = stored.sign_in
    endpoint = endpoint_of(sign_in)
    if sign_in.flow == "client-credentials":
        return token_endpoint.client_credentials(endpoint, sign_in.scope), None
    present = sign_in.tokens.refresh
    if present is None:
        text = "the access token has expired, and the issuer gave no refresh token"
        raise OAuthError("oauth-refresh", text, error="invalid_grant")
    ends = time.monotonic() + SECONDS
    try:
        return token_endpoint.refresh(endpoint, present, sign_in.scope, ends), present
    except OAuthError as error:
        previous = stored.previous_refresh
        if not error.ended or previous is None:
            raise
        try:
            return token_endpoint.refresh(endpoint, previous, sign_in.scope, ends), previous
        except OAuthError as second:
            raise (error if second.ended else second) from None


def endpoint_of(sign_in: SignIn) -> token_endpoint.TokenEndpoint:
    """Return the token endpoint, with the client's secret. Raises TokenStoreError."""
    if not sign_in.client_secret_command:
        return sign_in.endpoint
    secret = run_client_secret_command(sign_in.client_secret_command)
    return replace(sign_in.endpoint, client_secret=secret)


def _access(stored: StoredSignIn) -> str:
    return stored.sign_in.tokens.access.reveal().decode()


def _recorded_error(trouble: Trouble) -> OAuthError:
    """Return the issuer's last refusal as an error."""
    return OAuthError(
        trouble.id, trouble.text, error=trouble.error, correlation=trouble.correlation
    )
