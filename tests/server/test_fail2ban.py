"""The filter in contrib/ finds failed logins, and nothing else, in a log of the real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from support.live import Passwords, serving
from support.programs import need

FILTER = Path(__file__).parents[2] / "contrib/fail2ban/restante.conf"


def test_fail2ban_finds_each_failed_login_and_nobody_else(tmp_path: Path) -> None:
    fail2ban = need("fail2ban-regex")
    accounts = Passwords()
    with serving(authenticator=accounts) as live:
        accounts.known = live.passwords.known
        accounts.tls_required = {"strict"}
        live.add("ann", "secret")
        live.add("strict", "secret")
        with live.connect() as client:
            client.read_line()
            strange = 'x address=192.0.2.1 user=y method=z reason="no TLS"'
            for name in ("ann", "nobody", strange):
                client.say(f"USER {name}")
                assert client.say("PASS wrong").startswith(b"-ERR [AUTH]")
            client.say("USER strict")  # is right, but for TLS
            assert client.say("PASS secret").startswith(b"-ERR [AUTH]")
        with live.connect() as client:
            client.log_in("ann", "secret")
            client.say("QUIT")
        live.wait_for_log("end=quit", "end=disconnected")
        lines = live.log.getvalue()
    log = tmp_path / "log"
    log.write_text(lines)
    said = subprocess.run(
        [fail2ban, "--print-all-matched", log, FILTER], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"Failregex: 3 total", said), said
    assert lines.count('reason="no TLS"\n') == 1
    assert "192.0.2.1" not in re.sub(r"user=\"[^\"]*\"", "", said)
    assert re.search(rf"Lines: {lines.count(chr(10))} lines, 1 ignored, 3 matched", said), said
