"""Choices that an administrator makes, as the configuration and the server write them."""

from __future__ import annotations

from typing import Literal, TypeAlias

ClearText: TypeAlias = Literal["loopback", "always", "never"]
"""From where passwords may come without TLS."""

OverQuotaPolicy: TypeAlias = Literal["defer", "reject", "remove-oldest"]
"""What becomes of mail over a quota, or of the mail that is there."""

Utf8HeaderPolicy: TypeAlias = Literal["as-stored", "surrogate", "refuse"]
"""What a client gets that did not say UTF8, if a header is in UTF-8."""
