"""The listeners beside POP3: for mail, and for the logins of other programs."""

from __future__ import annotations

import copy
import functools
from typing import TYPE_CHECKING

import msgspec

from restante.server.composition.backends import build_quotas, build_recipients, check_recipients

if TYPE_CHECKING:
    from restante.delivery.listener import DeliveryListener
    from restante.server.auth_socket.listener import AuthSocketListener
    from restante.server.config.schema import Config
    from restante.server.extra_listener import ExtraListener, OpenedListeners
    from restante.server.system.activation import ActivatedSockets

DELIVERY_SOCKETS = ("lmtp", "smtp", "socket_mode", "socket_group")
AUTH_SOCKETS = ("path", "mode", "group")
"""The settings of sockets, which stay open until the end of the server."""


def build_extra_listeners(
    config: Config, unknown_hint: str = "", activated: ActivatedSockets | None = None
) -> list[ExtraListener]:
    """Return the listeners beside POP3 that the configuration names addresses for.

    `unknown_hint` follows the reply about an unknown recipient. `activated` has sockets that are
    open already.
    """
    delivery = _build_delivery(config, unknown_hint, activated)
    return [*delivery, *_build_auth_socket(config, activated)]


def _build_delivery(
    config: Config, unknown_hint: str, activated: ActivatedSockets | None
) -> list[DeliveryListener]:
    if not config.delivery.lmtp and not config.delivery.smtp:
        return []
    from restante.delivery.listener import DeliveryListener

    check_recipients(config)
    return [
        DeliveryListener(
            settings=config.delivery,
            recipients=functools.partial(build_recipients, config),
            quotas=functools.partial(build_quotas, config),
            unknown_hint=unknown_hint,
            stop_patience=config.timeouts.stop,
            activated=activated,
        )
    ]


def _build_auth_socket(
    config: Config, activated: ActivatedSockets | None
) -> list[AuthSocketListener]:
    path = config.auth_socket.path
    if path is None:
        return []
    from restante.server.auth_socket.listener import AuthSocketListener

    return [
        AuthSocketListener(
            settings=config.auth_socket,
            path=path,
            clear_text=config.login.clear_text,
            stop_patience=config.timeouts.stop,
            activated=activated,
        )
    ]


def reconfigure(opened: OpenedListeners, config: Config) -> OpenedListeners:
    """Return listeners with the settings of another configuration, and their own sockets.

    Raises ConfigError.
    """
    return [(_reconfigure_one(listener, config), sockets) for listener, sockets in opened]


def _reconfigure_one(listener: ExtraListener, config: Config) -> ExtraListener:
    """Return a listener with other settings. One of a program that embeds the server stays."""
    from restante.delivery.listener import DeliveryListener
    from restante.server.auth_socket.listener import AuthSocketListener

    changed: ExtraListener = copy.copy(listener)
    if isinstance(changed, DeliveryListener):
        check_recipients(config)
        of_sockets = {key: getattr(changed.settings, key) for key in DELIVERY_SOCKETS}
        changed.settings = msgspec.structs.replace(config.delivery, **of_sockets)
        changed.recipients = functools.partial(build_recipients, config)
        changed.quotas = functools.partial(build_quotas, config)
        changed.stop_patience = config.timeouts.stop
    elif isinstance(changed, AuthSocketListener):
        of_sockets = {key: getattr(changed.settings, key) for key in AUTH_SOCKETS}
        changed.settings = msgspec.structs.replace(config.auth_socket, **of_sockets)
        changed.clear_text = config.login.clear_text
        changed.stop_patience = config.timeouts.stop
    else:
        return listener
    return changed


def socket_settings(config: Config) -> list[object]:
    """Return the settings of the sockets, which only a restart can change."""
    return [
        *(getattr(config.delivery, key) for key in DELIVERY_SOCKETS),
        *(getattr(config.auth_socket, key) for key in AUTH_SOCKETS),
    ]
