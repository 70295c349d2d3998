"""When a sign-in ends, as far as that is known before it happens."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from restante.oauth.providers import Provider
    from restante.oauth.settings import OAuthSettings
    from restante.oauth.token_store import StoredSignIn

DAY = 86400  # seconds


class KnownEnd(NamedTuple):
    """When a sign-in ends, by time.time(), and why."""

    at: float
    why: str


def known_end(
    stored: StoredSignIn, provider: Provider | None, settings: OAuthSettings
) -> KnownEnd | None:
    """Return the first end of a sign-in that is known, None for none.

    Args:
        stored: the sign-in.
        provider: its row in the table of providers, None for another issuer.
        settings: the table `oauth` of the account.

    That is the end of the client's secret, of a sign-in to a client that is only for tests, and
    of one that is not used from now on.
    """
    ends: list[KnownEnd] = []
    if settings.client_secret_expires:
        midnight = dt.datetime.combine(settings.client_secret_expires, dt.time(), dt.UTC)
        ends.append(KnownEnd(midnight.timestamp(), "the client's secret expires"))
    by_user = stored.sign_in.flow != "client-credentials"
    if provider and by_user and settings.testing and provider.testing_days:
        at = stored.sign_in.signed_in_at + provider.testing_days * DAY
        text = f"the client is in Testing, which ends sign-ins after {provider.testing_days} days"
        ends.append(KnownEnd(at, text))
    if provider and by_user and provider.unused_days:
        at = stored.obtained_at + provider.unused_days * DAY
        ends.append(KnownEnd(at, f"it ends after {provider.unused_days} days without use"))
    return min(ends, default=None)
