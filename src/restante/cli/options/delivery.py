"""Puts together what a configuration says of accounts, maildrops and delivery."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from restante.delivery.recipients import AccountRecipients, FolderRecipients
from restante.server.config.loader import ConfigError
from restante.storage.paths import Layout

if TYPE_CHECKING:
    from restante.auth.interfaces import AccountDirectory, Authenticator
    from restante.delivery.listener import DeliveryListener
    from restante.delivery.recipients import Recipients
    from restante.server.config.schema import Config


def listeners(config: Config, unknown_hint: str = "") -> list[DeliveryListener]:
    """Return what listens for mail: nothing, where the configuration names no place.

    Raises ConfigError.
    """
    section = config.delivery
    if not section.lmtp and not section.smtp:
        return []
    from restante.delivery.listener import DeliveryListener

    _check(config)
    return [
        DeliveryListener(
            settings=section,
            recipients=lambda accounts: recipients(config, accounts),
            unknown_hint=unknown_hint,
            stop_patience=config.timeouts.stop,
        )
    ]


def recipients(config: Config, accounts: Authenticator) -> Recipients:
    """Return the recipients of mail. Raises ConfigError."""
    kind = config.delivery.recipients
    if kind == "folders" or (kind == "auto" and config.accounts.pam):
        return FolderRecipients(Layout(config.mail.folder, config.mail.layout))
    _check(config)
    return AccountRecipients(cast("AccountDirectory", accounts))


def _check(config: Config) -> None:
    """Reject PAM as the list of recipients: it knows no names, so all mail would bounce."""
    if config.delivery.recipients == "accounts" and config.accounts.pam:
        raise ConfigError(['delivery.recipients: PAM cannot list accounts; use "folders"'])
