"""swaks, a mail client for tests in Perl, delivers by LMTP and SMTP."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from delivery.door import listening
from support.programs import need

MESSAGE = "Subject: a\n\n.dot\nhello\n"


@pytest.mark.parametrize("protocol", ["LMTP", "ESMTP", "SMTP"])
@pytest.mark.parametrize("options", [[], ["--pipeline"]], ids=["", "pipelined"])
def test_swaks(tmp_path: Path, protocol: str, options: list[str]) -> None:
    """A message for two users arrives once with each, and an unknown one is reported."""
    swaks = need("swaks")
    with listening(tmp_path) as door:
        place = ["--socket", str(door.file)]
        if protocol != "LMTP":
            place = ["--server", f"127.0.0.1:{door.port}"]
        command = [
            *(swaks, "--protocol", protocol, "--from", "bob@example.org", "--helo", "me"),
            *("--to", "ann@example.com,bob@example.com,nobody@example.com"),
            *("--data", MESSAGE, "--suppress-data", "--hide-informational"),
        ]
        done = subprocess.run(
            [*command, *place, *options], capture_output=True, text=True, check=False, timeout=60
        )
        assert "550 5.1.1 no such user here" in done.stdout
        delivered = 2 if protocol == "LMTP" else 1
        assert done.stdout.count("250 2.0.0 delivered") == delivered
        assert sorted(owner for owner, _ in door.store.came) == [
            "ann@example.com",
            "bob@example.com",
        ]
        for _, message in door.store.came:
            assert b"Subject: a\n\n.dot\nhello\n" in message
