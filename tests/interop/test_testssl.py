"""testssl.sh finds nothing above "low" in the TLS of `pop3 serve`."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from support.process import free_port, serving, wait_for_port, write_certificate
from support.programs import need

PATIENCE = 300  # seconds
FINE = {"OK", "INFO", "LOW", "DEBUG"}


def test_testssl_finds_no_weakness(tmp_path: Path) -> None:
    """rfc2595-s9/weak-ciphers, rfc8314-s4/tls-1-2: protocols and ciphers are strong, and known
    attacks fail.
    """
    testssl = need("testssl")
    files, report = write_certificate(tmp_path), tmp_path / "report"
    port = free_port()
    flags: list[str | Path] = ["--tls-listen", f"127.0.0.1:{port}", "--certificate"]
    flags += [files.certificate, "--key", files.key]
    with serving(tmp_path, *flags) as served:
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
