"""Puts together what a configuration says of accounts, maildrops and delivery."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from restante.delivery.recipients import AccountRecipients, FolderRecipients
from restante.delivery.settings import DeliverySettings
from restante.server.addresses import parse_local_address, parse_loopback_address
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
    lmtp = parse_local_address(section.lmtp) if section.lmtp else None
    smtp = parse_loopback_address(section.smtp) if section.smtp else None
    settings = DeliverySettings(
        lmtp=lmtp if lmtp is None or isinstance(lmtp, Path) else (lmtp.host, lmtp.port),
        smtp=(smtp.host, smtp.port) if smtp else None,
        socket_mode=int(section.socket_mode, 8),
        socket_group=section.socket_group,
        delimiter=section.recipient_delimiter,
        received=section.received,
        message_size=section.message_size,
        connections=section.connections,
        stop_patience=config.timeouts.stop,
    )
    return [
        DeliveryListener(
            settings=settings,
            recipients=lambda accounts: recipients(config, accounts),
            unknown_hint=unknown_hint,
        )
    ]


def recipients(config: Config, accounts: Authenticator) -> Recipients:
    """Return who may get mail. Raises ConfigError."""
    kind = config.delivery.recipients
    if kind == "folders" or (kind == "auto" and config.accounts.pam):
        return FolderRecipients(Layout(config.mail.folder, config.mail.layout))
    _check(config)
    return AccountRecipients(cast("AccountDirectory", accounts))


def _check(config: Config) -> None:
    """PAM would say of everybody that there is no such account, and all mail would be returned."""
    if config.delivery.recipients == "accounts" and config.accounts.pam:
        raise ConfigError(['delivery.recipients: PAM cannot be asked for names; use "folders"'])
