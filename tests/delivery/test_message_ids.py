"""The ids of a message, for a search in the logs of other programs."""

from __future__ import annotations

import tracemalloc

import pytest

from restante.delivery.message_ids import LONGEST_HEADER, message_ids

POSTFIX = (
    b"Return-Path: <bob@example.org>\n"
    b"Received: from mx.example.org (mx.example.org [192.0.2.1] (may be id 7))\n"
    b"\tby mail.example.com (Postfix) with ESMTPS id 4XyZ12abc;\n"
    b"\tFri, 27 Nov 2026 20:00:00 +0000 (UTC)\n"
    b"Received: by older.example.org id OLDER\n"
    b"Message-ID: <a.b@example.org>\n\nMessage-ID: body\n"
)


@pytest.mark.parametrize(
    ("message", "ids"),
    [
        (POSTFIX, {"message_id": "<a.b@example.org>", "queue_id": "4XyZ12abc"}),
        (POSTFIX.replace(b"\n", b"\r\n"),
         {"message_id": "<a.b@example.org>", "queue_id": "4XyZ12abc"}),
        (b"Received: by exim.example.com with local (Exim 4.96)\n\tid 1abC-0001\n\n",
         {"queue_id": "1abC-0001"}),
        (b"message-id:\n <folded@example.org>\n\n", {"message_id": "<folded@example.org>"}),
        (b"Received: from a by b; Fri, 27 Nov 2026 20:00:00 +0000\n\n", {}),
        (b"Message-ID:\nSubject: none\n\n", {}),
        (b"Message-ID: \r\n \r\n\t <twice@example.org>\r\n\r\n",
         {"message_id": "<twice@example.org>"}),
        (b"Message-ID: \xff\n\n", {"message_id": "\\xff"}),
        (b"Message-ID: <" + b"a" * 300 + b">\n\n", {"message_id": "<" + "a" * 249}),
        (b"Subject: none\n\nMessage-ID: <body@example.org>\n", {}),
        (b"", {}),
    ],
)  # fmt: skip
def test_ids(message: bytes, ids: dict[str, str]) -> None:
    """The ids are those of the header, the queue id that of the last MTA."""
    assert message_ids(message) == ids


def test_long_field_takes_little_memory() -> None:
    """A sender decides how often a field is folded: it took 70 octets of memory for each."""
    message = b"Received:" + b"\n " * (LONGEST_HEADER // 2)
    tracemalloc.start()
    try:
        message_ids(message)
        assert tracemalloc.get_traced_memory()[1] < 8 * len(message)
    finally:
        tracemalloc.stop()
