"""Access tokens for a destination's user, as `pop3 login` keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.interfaces import NotDeliveredError
from restante.protocol.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.token_source import TokenSource


class DestinationTokens:
    """Tokens of a sign-in, with errors of a destination. Its methods raise NotDeliveredError.

    Args:
        user: the user's address.
        source: what gives the tokens, None where the user has not signed in.
        scope: what the sign-in must include.
    """

    def __init__(self, user: str, source: TokenSource | None, scope: str) -> None:
        self._user, self._source, self._scope = user, source, scope

    def token(self) -> str:
        """Return an access token."""
        return self._ask(lambda source: source.token()) or ""

    def renew(self, refused: str) -> str | None:
        """Return another token than one that was rejected, None for no other."""
        return self._ask(lambda source: source.renew(refused))

    def _ask(self, question: Callable[[TokenSource], str | None]) -> str | None:
        if self._source is None:
            raise NotDeliveredError(
                f"{self._user} has not signed in; run pop3 login {self._user}. The scope"
                f" {self._scope} is enough"
            )
        try:
            return question(self._source)
        except (RemoteError, LocalError) as error:
            text = f"{self._user} cannot be authenticated: {error}"
            raise NotDeliveredError(text, general=True) from None
