"""Choices that an administrator makes, as the configuration and the server write them."""

from __future__ import annotations

from typing import Literal, TypeAlias

ClearText: TypeAlias = Literal["loopback", "always", "never"]
"""From where passwords may come without TLS."""

OverQuotaPolicy: TypeAlias = Literal["defer", "reject", "remove-oldest"]
"""The effect of a quota on new mail, or on the mail that is there."""

Utf8HeaderPolicy: TypeAlias = Literal["as-stored", "surrogate", "refuse"]
"""The form of a header in UTF-8 for a client that did not say UTF8."""
