"""A message that cannot be read is refused alone, and the log says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.storage.maildir import MaildirStore
from restante.storage.paths import Layout
from support.live import serving

STORED = {
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(300),
    "lz4": b"Dovecot-LZ4\x0d\x2a\x9b\xc5" + bytes(300),
    "mail_crypt": b"CRYPTED\x03\x07" + bytes(300),
}


@pytest.mark.parametrize("kind", STORED)
def test_unsupported(tmp_path: Path, kind: str) -> None:
    """RETR and TOP fail for good, the log names file and remedy, and the next message is served."""
    with serving(MaildirStore(Layout(tmp_path))) as live:
        live.add("ann", "secret", b"Subject: a\n\nhello\n")
        (tmp_path / "ann" / "new" / "1.M1P1.host").write_bytes(STORED[kind])
        with live.connect() as client:
            client.log_in("ann", "secret")
            for command in ("RETR 1", "TOP 1 0"):
                assert client.say(command).startswith(b"-ERR [SYS/PERM] ")
            assert client.say("RETR 2").startswith(b"+OK")
            assert b"hello\r\n" in client.read_lines()
        live.wait_for_log(f"it is stored with {kind}, which is not supported; convert")
        assert "ann/new/1.M1P1.host" in live.log.getvalue()
