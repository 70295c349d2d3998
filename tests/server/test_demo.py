"""The demo's maildrop is the article's."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.cli.commands.serve import demo_flags
from restante.protocol.stuffing import encode_top, size_on_wire
from restante.server import demo
from restante.server.config import loader

HEADER = b"""\
Return-Path: <sender@example.com>
Delivered-To: info@example.com
Received: from localhost (localhost [127.0.0.1])
    by example.com (Postfix) with ESMTP id 10315142CF8
    for <info@example.com>; Mon, 23 Feb 2015 13:19:37 +0100 (CET)
Date: Mon, 23 Feb 2015 04:19:35 -0700
From: <sender@example.com>
To: info@example.com
Message-ID: <78AF5C73C263AF24BA943DEEBB142316@example.com>
Subject: Just a test message

"""


def new(folder: Path) -> list[Path]:
    return sorted((folder / "mail" / demo.ACCOUNT / "new").iterdir())


def test_the_five_messages_have_the_sizes_of_the_article(tmp_path: Path) -> None:
    """session/list, session/demo-messages."""
    demo.ensure_mailbox(tmp_path)
    sizes = [size_on_wire([file.read_bytes()]) for file in new(tmp_path)]
    assert sizes == [3375, 3622, 3606, 3630, 3834]
    assert sum(sizes) == 18067


def test_first_demo_message(tmp_path: Path) -> None:
    """session/demo-messages: the first message has the header of the article, and a body."""
    demo.ensure_mailbox(tmp_path)
    first = new(tmp_path)[0].read_bytes()
    assert encode_top(first, 0) == HEADER.replace(b"\n", b"\r\n") + b".\r\n"
    assert first.removeprefix(HEADER).count(b"\n") >= 2


@pytest.mark.parametrize("letter", demo.DEMO_MESSAGES, ids=lambda letter: letter.subject)
def test_a_letter_is_text_of_readable_width(letter: demo.DemoMessage) -> None:
    """Each demo message is ASCII text with lines of readable width."""
    text = demo.render(letter)
    assert text.isascii()
    assert max(len(line) for line in text.split(b"\n")) <= 90
    assert text.endswith(b"\n")
    assert not text.endswith(b"\n\n")


def test_a_person_has_ten_minutes_to_log_in(tmp_path: Path) -> None:
    """policy/demo."""
    assert loader.load(None, demo_flags(tmp_path)).settings().login_timeout == 600


def test_demo_is_restored(tmp_path: Path) -> None:
    """policy/demo: missing messages are restored, and existing ones are left alone."""
    _, users = demo.ensure_mailbox(tmp_path)
    accounts = users.read_text()
    files = new(tmp_path)
    files[0].unlink()
    files[1].rename(files[1].parent.parent / "cur" / f"{files[1].name}:2,S")
    added = files[0].parent / "9999999999.new.message"
    added.write_text("Subject: mine\n\n")
    demo.ensure_mailbox(tmp_path)
    assert [file.name for file in new(tmp_path)] == sorted(
        file.name for file in [files[0], *files[2:], added]
    )
    assert users.read_text() == accounts
