"""Errors on the way to a token."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.protocol.errors import LocalError, Phase, RemoteError

if TYPE_CHECKING:
    from restante.protocol.secret import Secret

TEMPORARY = frozenset({"oauth-busy", "oauth-network"})
NOT_THE_GRANT = frozenset({"oauth-busy", "oauth-clock", "oauth-network"})


class OAuthError(RemoteError):
    """The issuer rejected a request, or it could not be asked. No token is in its text.

    Attributes:
        id: a verdict, such as "oauth-refresh"; `refusals` has them all.
        error: the error code of RFC 6749 section 5.2 or RFC 8628 section 3.5, "" for none.
        correlation: what the issuer's administrator finds the request by, "" for nothing.
        remedy: what the user can do, if more is known than the verdict says.
        rotated: the new refresh token of an answer that is of no other use. The old one may have
            ended with it, so it must be kept.
        wait: seconds that a busy issuer asks its clients to wait, 0 for none.
    """

    remedy: str = ""
    rotated: Secret | None = None
    wait: float = 0.0

    def __init__(
        self,
        id: str,  # noqa: A002  # see RemoteError
        text: str,
        *,
        error: str = "",
        correlation: str = "",
    ) -> None:
        super().__init__(id, text, code=error, phase=Phase.LOGIN)
        self.error = error
        self.correlation = correlation

    @property
    def ended(self) -> bool:
        """Whether the refresh token is of no more use, by the issuer's own word.

        RFC 6749 section 5.2. Trouble on the way, a wrong clock, and throttling say nothing of it.
        """
        return self.error == "invalid_grant" and self.id not in NOT_THE_GRANT

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.id in TEMPORARY


class TokenStoreError(LocalError):
    """The tokens of an account cannot be read or kept. Nothing was sent, and nothing forgotten."""
