"""A size in a file's name that is wrong harms one LIST, and no reply's framing."""

from __future__ import annotations

from pathlib import Path

from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from support.live import serving


def test_wrong_size_is_corrected(tmp_path: Path) -> None:
    """policy/w-size, implied/stable-session: a wrong size harms no reply, and the next session has
    the right one.
    """
    new = tmp_path / "ann" / "new"
    new.mkdir(parents=True)
    (new.parent / "cur").mkdir()
    (new / "1.a,S=3,W=7").write_bytes(b"Subject: a\n\n.hello\n")
    with serving(store=MaildirStore(Layout(tmp_path))) as live:
        live.add("ann", "secret")
        with live.connect() as client:
            client.log_in("ann", "secret")
            assert client.say("LIST 1") == b"+OK 1 7\r\n"
            assert client.say("RETR 1") == b"+OK 7 octets\r\n"
            assert client.read_lines() == [b"Subject: a\r\n", b"\r\n", b"..hello\r\n"]
            assert client.say("LIST 1") == b"+OK 1 7\r\n"
            client.say("QUIT")
        with live.connect() as client:
            client.log_in("ann", "secret")
            assert client.say("LIST 1") == b"+OK 1 22\r\n"
