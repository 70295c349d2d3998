"""testssl.sh finds nothing above "low" in the TLS of `pop3 serve`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from restante.server.tls import self_signed
from support.process import free_port, serving, wait_for_port
from support.programs import need

PATIENCE = 300  # seconds
FINE = {"OK", "INFO", "LOW", "DEBUG"}


def test_testssl_finds_no_weakness(tmp_path: Path) -> None:
    """rfc2595-s9/weak-ciphers, rfc8314-s4/tls-1-2: protocols and ciphers are strong, and known
    attacks fail.
    """
    testssl = need("testssl")
    made = self_signed.create_self_signed(("localhost",), ("127.0.0.1",))
    certificate, key, report = (tmp_path / name for name in ("certificate", "key", "report"))
    certificate.write_bytes(made.certificate)
    key.write_bytes(made.key)
    port = free_port()
    flags: list[str | Path] = ["--tls-listen", f"127.0.0.1:{port}", "--certificate", certificate]
    with serving(tmp_path, *flags, "--key", key) as served:
        wait_for_port(port, served.process)
        checks = ["--protocols", "--std", "--fs", "--vulnerable"]
        command: list[str | Path] = [testssl, "--quiet", "--warnings", "off", "--color", "0"]
        command += [*checks, "--jsonfile", report, f"127.0.0.1:{port}"]
        subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        assert served.stop() == 0
    found = json.loads(report.read_text())
    assert {"TLS1_2", "TLS1_3", "heartbleed", "ROBOT"} <= {finding["id"] for finding in found}
    findings = [f for f in found if f["id"] not in ("engine_problem", "service", "scanTime")]
    assert [finding for finding in findings if finding["severity"] not in FINE] == []
