"""A message in place of one that is too large: its header, and a note that says what is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.fetch.interfaces import fetch_id
from restante.fetch.retrieval import Receiver
from restante.mail import fields
from restante.protocol.errors import ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from restante.client.blocking import Maildrop
    from restante.fetch.account_journal import AccountJournal
    from restante.fetch.interfaces import Destination
    from restante.fetch.planner import MessageEntry
    from restante.fetch.retrieval import Retrieved

_REPLACED = {"message-id", "mime-version", "bcc", "lines", "content-length"}
"""Fields that would be wrong. Gmail merges messages with the same Message-ID."""

_NOTE = """\
This is only the header of a message of {size} octets.

The message is larger than the limit of `pop3 fetch`, and stays at its account {account}.
To fetch all of it, raise the limit: pop3 fetch {account} --max-size SIZE
"""


def retrieve_headers(
    drop: Maildrop,
    messages: Sequence[MessageEntry],
    journal: AccountJournal,
    destinations: Mapping[str, Destination],
) -> Iterator[Retrieved]:
    """Yield the headers of messages, for the destinations that do not have them.

    A message whose header the server refuses is left out. Raises RemoteError, DestinationError.
    """
    parts = journal.part_deliveries()
    heads = drop.headers([message.number for message in messages], keep=fields.MAX_OCTETS)
    for message, head in zip(messages, heads, strict=True):
        if isinstance(head, ServerRefusedError):
            continue
        part = parts.get(message.uid)
        missing = {
            url: destination
            for url, destination in destinations.items()
            if part is None or url not in part.destinations
        }
        name = fetch_id(journal.account, message.uid)
        octets = header_message(head, message.size, journal.account, name)
        receiver = Receiver(message._replace(size=len(octets)), journal.account, missing)
        receiver.write(octets)
        yield receiver.finish()


def header_message(header: bytes, size: int, account: str, fetch_id: str) -> bytes:
    """Return the octets of a message with the header of a message that has `size` octets.

    The fields of MIME are left out, since the body that they describe is not there: RFC 2045.
    """
    note = _NOTE.format(size=size, account=account).replace("\n", "\r\n")
    own = (
        f"Message-ID: <{fetch_id}@header.restante>\r\n"
        "MIME-Version: 1.0\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return b"".join([*_kept_fields(header), own.encode(), note.encode(errors="replace")])


def _kept_fields(header: bytes) -> Iterator[bytes]:
    for field in fields.split(header).fields:
        name = field.name.lower()
        if name not in _REPLACED and not name.startswith("content-"):
            yield f"{field.name}:".encode() + field.octets.rstrip(b"\r\n") + b"\r\n"
