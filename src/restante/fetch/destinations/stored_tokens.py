"""Access tokens for a destination's user, as `pop3 login` keeps them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.interfaces import NotDeliveredError
from restante.protocol.errors import LocalError, RemoteError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.token_source import TokenSource


class DestinationTokens:
    """Tokens of a sign-in, with errors of a destination.

    Args:
        user: the name that the tokens are kept by: the user's address.
        open_source: returns what gives the tokens. It is called when the first one is needed.
    """

    def __init__(self, user: str, open_source: Callable[[str], TokenSource] | None = None) -> None:
        self._user = user
        self._open_source = open_source or _open_stored
        self._source: TokenSource | None = None

    def token(self) -> str:
        """Return an access token. Raises NotDeliveredError."""
        return self._ask(lambda source: source.token()) or ""

    def renew(self, refused: str) -> str | None:
        """Return another token than one that was rejected, None for no other.

        Raises NotDeliveredError.
        """
        return self._ask(lambda source: source.renew(refused))

    def _ask(self, question: Callable[[TokenSource], str | None]) -> str | None:
        try:
            self._source = self._source or self._open_source(self._user)
            return question(self._source)
        except (RemoteError, LocalError) as error:
            raise NotDeliveredError(f"{self._user} cannot be authenticated: {error}") from None


def _open_stored(user: str) -> TokenSource:
    from restante.oauth.token_names import name_of
    from restante.oauth.token_source import StoredTokenSource

    return StoredTokenSource(name_of(user))
