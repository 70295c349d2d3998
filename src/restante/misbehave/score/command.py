"""The command of a client: words with placeholders in them.

`{host}` and `{port}` are where the server is, `{user}` and `{password}` its account. `{out}` is an
empty Maildir, and `{cafile}` the certificate of the authority to trust. `{stls}` and `{tls}` are
"on" in runs that require STLS, or TLS from the first octet, and "off" in others. `{stls:TEXT}` and
`{tls:TEXT}` are TEXT in such runs; in others nothing, and a word that they leave empty is dropped.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.misbehave.fault import Security

PLACEHOLDERS: Final = ("host", "port", "user", "password", "out", "cafile", "stls", "tls")
Layer: TypeAlias = Literal["stls", "tls"]
LAYERS: Final[Mapping[Security, Layer]] = {"starttls": "stls", "implicit": "tls"}
"""Which placeholder a client must have for faults of this security."""

_CHOICE = re.compile(r"\{(stls|tls):((?:[^{}]|\{[a-z]+\})*)\}")
_NAME = re.compile(r"\{([a-z]+)\}")


def check_command(words: Sequence[str]) -> None:
    """Check that a command can be run at every fault. Raises ValueError."""
    if not words:
        raise ValueError("no command; write `pop3 misbehave score -- COMMAND`")
    placeholders = {name for word in words for name in _NAME.findall(word)}
    if unknown := sorted(placeholders - set(PLACEHOLDERS)):
        names = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        raise ValueError(f"unknown placeholder {{{unknown[0]}}}; known are {names}")
    for name in ("port", "out"):
        if name not in placeholders:
            raise ValueError(f"the command has no {{{name}}}; the client cannot know it otherwise")


def supports(words: Sequence[str], security: Security) -> bool:
    """Return whether the command has a placeholder for this security."""
    layer = LAYERS.get(security)
    return layer is None or any(f"{{{layer}}}" in word or f"{{{layer}:" in word for word in words)


def fill(words: Sequence[str], values: Mapping[str, str], security: Security) -> list[str]:
    """Return a command with its placeholders filled."""
    layer = LAYERS.get(security)
    switches = {str(name): "on" if name == layer else "off" for name in LAYERS.values()}
    values = {**values, **switches}
    arguments: list[str] = []
    for word in words:
        text = _CHOICE.sub(lambda match: match[2] if match[1] == layer else "", word)
        if text or not word:
            arguments.append(_NAME.sub(lambda match: values[match[1]], text))
    return arguments
