"""Mail of developer mode in a folder."""

from __future__ import annotations

import contextlib
import os
import poplib
import shutil
import smtplib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from restante.developer.feed import EventFeed
from restante.developer.kept_mail import KeptMail
from restante.developer.mailboxes import Mailboxes
from restante.developer.server import DeveloperOptions, DeveloperServer
from support.live import PATIENCE


def boxes_of(folder: Path) -> Mailboxes:
    kept = KeptMail(folder)
    kept.open()
    boxes = Mailboxes(EventFeed(), kept=kept)
    boxes.load()
    kept.close()
    return boxes


def test_mail_is_there_again(tmp_path: Path) -> None:
    """Messages keep mailbox, unique-id, octets and order; removed ones are gone."""
    first = boxes_of(tmp_path)
    for number in range(12):
        first.add("ann@example.com", b"%d\n" % number)
    first.remove([3])
    kept = first.mail()
    again = boxes_of(tmp_path)
    assert [(one.mailbox, one.uid, one.octets) for one in again.mail()] == [
        (one.mailbox, one.uid, one.octets) for one in kept
    ]
    assert [one.octets for one in kept] == [b"%d\n" % n for n in range(12) if n != 2]
    assert again.add("ann@example.com", b"new").uid not in {one.uid for one in kept}


@pytest.mark.parametrize(
    "name", ["../../evil", "/etc", ".", "..", ".hidden", "a/b@x", "ä@ö", "%41"]
)
def test_no_address_leads_elsewhere(tmp_path: Path, name: str) -> None:
    """Whatever an address has, its folder is in the folder, and its name comes back."""
    folder = tmp_path / "mail"
    boxes_of(folder).add(name, b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["mail"]
    assert [one.mailbox for one in boxes_of(folder).mail()] == [name]


def test_a_maildir_of_others_is_read(tmp_path: Path) -> None:
    """The unique-id is the name without its flags, and the time is that of the name."""
    for part in ("new", "cur", "tmp"):
        (tmp_path / "ann" / part).mkdir(parents=True)
    (tmp_path / "ann" / "cur" / "1424693977.M1.host,W=5:2,S").write_bytes(b"old")
    (tmp_path / "ann" / "new" / "1424693976.M1.host").write_bytes(b"older")
    (tmp_path / "ann" / "tmp" / "1424693975.M1.host").write_bytes(b"not yet")
    found = [(one.uid, one.received, one.octets) for one in boxes_of(tmp_path).mail()]
    assert found == [
        ("1424693976.M1.host", 1424693976, b"older"), ("1424693977.M1.host,W=5", 1424693977, b"old")
    ]  # fmt: skip


@pytest.mark.parametrize("seconds", [300_000_000_000, -5])
def test_odd_time_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    """A time that no calendar has becomes the first or the last one, which the page can show."""

    def stat(path: Path, **options: bool) -> os.stat_result:
        return os.stat_result((*os.stat(path, **options)[:8], seconds, seconds))

    (tmp_path / "ann" / "new").mkdir(parents=True)
    (tmp_path / "ann" / "new" / "file").write_bytes(b"x")
    monkeypatch.setattr(Path, "stat", stat)
    (mail,) = boxes_of(tmp_path).mail()
    assert datetime.fromtimestamp(mail.received, UTC).year in (1970, 9999)


def test_a_long_name_of_a_file_is_read(tmp_path: Path) -> None:
    """A name that is too long for a unique-id has a hash as its unique-id."""
    name = f"1424693977.M1.{'a' * 60}.example.com"
    (tmp_path / "ann" / "new").mkdir(parents=True)
    (tmp_path / "ann" / "new" / name).write_bytes(b"x")
    (mail,) = boxes_of(tmp_path).mail()
    assert mail.octets == b"x"
    assert mail.uid.startswith("sha256-")
    boxes_of(tmp_path).remove([mail.id])
    assert boxes_of(tmp_path).mail() == []


def test_a_folder_with_capitals_is_the_mailbox(tmp_path: Path) -> None:
    """Mail of a folder in any case of letters is removed for good, also if two folders are one."""
    for folder, text in (("Ann@Example.com", b"1"), ("ann@example.com", b"2")):
        (tmp_path / folder / "new").mkdir(parents=True)
        (tmp_path / folder / "new" / "1424693977.M1.host").write_bytes(text)
    boxes = boxes_of(tmp_path)
    messages = boxes.mail("ann@example.com")
    assert [mail.octets for mail in messages] == [b"1", b"2"]
    assert len({mail.uid for mail in messages}) == 2
    boxes.remove([messages[0].id])
    assert [mail.octets for mail in boxes_of(tmp_path).mail()] == [b"2"]


def test_a_message_that_cannot_be_removed_stays(tmp_path: Path) -> None:
    """QUIT says that one message was not removed, and the others are."""
    with DeveloperServer(DeveloperOptions(keep=tmp_path, any_account=True)) as server:
        for text in (b"1", b"2", b"3"):
            server.mailboxes.add("ann", text)
        file = tmp_path / "ann" / "new" / server.mailboxes.mail()[1].uid
        file.unlink()
        file.mkdir()
        with contextlib.closing(poplib.POP3("127.0.0.1", server.port, timeout=PATIENCE)) as client:
            client.user("ann")
            client.pass_("x")
            for number in (1, 2, 3):
                client.dele(number)
            with pytest.raises(poplib.error_proto, match="not removed"):
                client.quit()
        assert [mail.octets for mail in server.mailboxes.mail()] == [b"2"]


def test_a_folder_that_was_removed(tmp_path: Path) -> None:
    """A message whose folder another program removed can be removed, and new mail is kept."""
    boxes = boxes_of(tmp_path)
    first = boxes.add("ann", b"1")
    shutil.rmtree(tmp_path / "ann")
    boxes.remove([first.id])
    assert boxes.mail() == []
    boxes.add("ann", b"2")
    assert [mail.octets for mail in boxes_of(tmp_path).mail()] == [b"2"]


def test_one_server_has_the_folder(tmp_path: Path) -> None:
    """A second server of the same folder does not start, and the end of the first frees it."""
    options = DeveloperOptions(keep=tmp_path)
    with DeveloperServer(options), pytest.raises(BlockingIOError), DeveloperServer(options):
        pass
    with DeveloperServer(options) as third:
        assert third.port


def test_a_message_that_cannot_be_kept_is_refused(tmp_path: Path) -> None:
    """Mail is not accepted when the disk does not have it."""
    boxes = boxes_of(tmp_path)
    (tmp_path / "ann").write_text("a file, where the folder should be")
    with pytest.raises(OSError, match="ann"):
        boxes.add("ann", b"x")
    assert boxes.mail() == []


def test_reply_to_mail_that_cannot_be_kept(tmp_path: Path) -> None:
    """The reply says why, and another recipient gets the mail."""
    name = f"{'a' * 250}@example.com"
    with (
        DeveloperServer(DeveloperOptions(keep=tmp_path)) as server,
        smtplib.SMTP("127.0.0.1", server.smtp_port or 0, timeout=PATIENCE) as sender,
    ):
        with pytest.raises(smtplib.SMTPDataError, match="cannot be kept: File name too long"):
            sender.sendmail("me@example.com", [name], "Subject: x\r\n")
        assert sender.sendmail("me@example.com", ["ann@example.com"], "Subject: x\r\n") == {}
        assert [mail.mailbox for mail in server.mailboxes.mail()] == ["ann@example.com"]
