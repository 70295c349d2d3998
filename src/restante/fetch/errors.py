"""Errors that end the run of an account, apart from those of the server."""

from __future__ import annotations

from restante.protocol.errors import LOST, MalformedReplyError, Phase, RemoteError


class FetchError(RemoteError):
    """A run cannot go on; nothing more is fetched or deleted.

    Attributes:
        id: "fetch-busy", "fetch-delivery", "fetch-journal", "journal-unusable" or "uids-changed";
            `pop3 explain` has their texts.
    """

    def __init__(self, id: str, text: str) -> None:  # noqa: A002  # see RemoteError
        super().__init__(id, text, phase=Phase.MAILBOX)


class NothingNotedError(FetchError):
    """The journal could not be changed, and certainly has nothing of the change."""


BROKEN = (*LOST, MalformedReplyError)
"""Errors after which a session cannot go on."""
