"""The JSON of Mailpit's API, version 1, as types; the names of the fields are Mailpit's."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class MailpitAddress(Struct):
    """An address."""

    Name: str
    Address: str


class MailpitRow(Struct):
    """A message in a list."""

    ID: str
    MessageID: str
    Read: bool
    From: MailpitAddress
    To: list[MailpitAddress]
    Cc: list[MailpitAddress]
    Bcc: list[MailpitAddress]
    ReplyTo: list[MailpitAddress]
    Subject: str
    Created: str
    Username: str
    Tags: list[str]
    Size: int
    Attachments: int
    Snippet: str


class MailpitList(Struct):
    """Messages that match, the newest first."""

    total: int
    unread: int
    count: int
    messages_count: int
    messages_unread: int
    start: int
    tags: list[str]
    messages: list[MailpitRow]


class MailpitPart(Struct):
    """A part that is a file."""

    PartID: str
    FileName: str
    ContentType: str
    ContentID: str
    Size: int
    Checksums: dict[str, str]


class MailpitMessage(Struct):
    """A message with all that it says."""

    ID: str
    MessageID: str
    Read: bool  # as in Mailpit before 1.8, which client libraries still read
    From: MailpitAddress
    To: list[MailpitAddress]
    Cc: list[MailpitAddress]
    Bcc: list[MailpitAddress]
    ReplyTo: list[MailpitAddress]
    ReturnPath: str
    Subject: str
    ListUnsubscribe: dict[str, Any]
    Date: str
    Tags: list[str]
    Username: str
    Text: str
    HTML: str
    Size: int
    Inline: list[MailpitPart]
    Attachments: list[MailpitPart]


class MailpitChoice(Struct):
    """Messages of a request: by id, or by a search."""

    IDs: list[str] = []
    Search: str = ""
    Read: bool = False
