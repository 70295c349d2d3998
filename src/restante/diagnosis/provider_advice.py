"""Advice for users of the large providers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.oauth.providers import find_by_host, load_providers

if TYPE_CHECKING:
    from restante.oauth.providers import Provider


def provider_of(host: str) -> Provider | None:
    """Return the provider of a mail server, None for an unknown one."""
    providers = load_providers()
    return providers.get(find_by_host(providers, host))


def advice(provider: Provider, account: str) -> list[tuple[str, str]]:
    """Return what the owner of an account at a provider can do, each with its label."""
    lines = [("sign in", f"pop3 login {account}")] if provider.flows else []
    password = provider.app_password or f"{provider.name} has no app passwords for POP"
    return [*lines, ("app password", password)]


def requires_sign_in(provider: Provider) -> bool:
    """Return whether a provider accepts no password of any kind."""
    return bool(provider.flows) and not provider.app_password
