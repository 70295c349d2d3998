"""Choices that an administrator makes, as the configuration and the server write them."""

from __future__ import annotations

from typing import Literal, TypeAlias

ClearText: TypeAlias = Literal["loopback", "always", "never"]
"""From where passwords may come without TLS."""

Utf8HeaderPolicy: TypeAlias = Literal["as-stored", "surrogate", "refuse"]
"""What a client gets that did not say UTF8, if a header is in UTF-8."""
