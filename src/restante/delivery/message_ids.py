"""The ids by which a message is found in the logs of other programs."""

from __future__ import annotations

import re

from restante.protocol.message_header import find_body

LONGEST_HEADER = 256 * 1024  # octets that are searched
LONGEST_ID = 250  # characters of an id that are logged

_MESSAGE_ID = re.compile(
    rb"^message-id[ \t]*+:(?:[ \t]|\n[ \t]|\r\n[ \t])*+([^\s]+)", re.MULTILINE | re.IGNORECASE
)
_RECEIVED = re.compile(
    rb"^received[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)", re.MULTILINE | re.IGNORECASE
)
_COMMENT = re.compile(rb"\([^()]*\)")
_QUEUE_ID = re.compile(rb"\sid\s+<?([!-:=?-~]+)", re.IGNORECASE)


def message_ids(message: bytes) -> dict[str, str]:
    """Return the `message_id` of a message, and the `queue_id` of its MTA, if it has them.

    The queue id is the `id` in the first Received field, which the MTA that delivers has added
    last: RFC 5321 section 4.4. A sender can choose the message-id, and no id is certain.
    """
    beginning = message[:LONGEST_HEADER]
    body = find_body(beginning)
    header = beginning[:body] if body >= 0 else beginning
    ids = {}
    if message_id := _MESSAGE_ID.search(header):
        ids["message_id"] = _text(message_id[1])
    received = _RECEIVED.search(header)
    if received and (queue_id := _QUEUE_ID.search(_COMMENT.sub(b"", received[1]))):
        ids["queue_id"] = _text(queue_id[1].rstrip(b";"))
    return ids


def _text(octets: bytes) -> str:
    return octets[:LONGEST_ID].decode(errors="backslashreplace")
