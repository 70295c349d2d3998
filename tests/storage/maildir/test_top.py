"""TOP reads what was asked for, not what lies there."""

from __future__ import annotations

from typing import cast

import pytest

from restante.storage.maildir.maildrop import BEGINNING
from storage.contract import BIG, LISTED
from storage.maildir.box import Box
from support.small_disks import need_nowait


@pytest.mark.parametrize("message", [LISTED[0], BIG], ids=["small", "big"])
def test_top_reads_the_beginning(box: Box, message: bytes) -> None:
    """For a few lines of a message only its beginning is read."""
    need_nowait(box.root)
    box.put("new/1.a", message)
    read = box.session(lambda maildrop: maildrop.read(0, 10))
    assert read == message[:BEGINNING]


def test_small_message_read_whole(box: Box) -> None:
    """For many lines of a small message the whole message is read."""
    need_nowait(box.root)
    box.put("new/1.a", LISTED[0])
    read = box.session(lambda maildrop: maildrop.read(0, 2000))
    assert len(cast("bytes", read)) == len(LISTED[0])
