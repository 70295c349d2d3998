"""The programs in docs/examples run, and pages show them as they are."""

from __future__ import annotations

import poplib
import re
import smtplib
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import restante.server
from restante.server.demo import ensure_certificate
from restante.storage.memory import MemoryStore
from support.live import PATIENCE
from support.nested_run import NestedRun, outcomes
from support.passwords import Passwords
from support.process import free_port, wait_for_port

DOCS = Path(__file__).parents[2] / "docs"
SHOWN = {
    "embedded.py": "embed",
    "eml_store.py": "embed",
    "test_django_application.py": "test-django",
    "test_fastapi_application.py": "test-fastapi",
    "test_fetching.py": "test-against",
    "test_flask_application.py": "test-flask",
    "test_with_faults.py": "test-clients",
    "test_with_unittest.py": "test-unittest",
}
TESTS = {"fetching": "", "with_faults": "", "with_unittest": "", "flask_application": "flask",
         "fastapi_application": "fastapi", "django_application": "django"}  # fmt: skip
"""The examples that are tests, and the packages that they need."""


def test_each_example_is_on_a_page() -> None:
    """Each example is shown on a page."""
    assert {file.name for file in (DOCS / "examples").glob("*.py")} == set(SHOWN)


@pytest.mark.parametrize(("name", "page"), SHOWN.items(), ids=str)
def test_a_page_shows_an_example_as_it_is(name: str, page: str) -> None:
    """The page shows the example's file unchanged."""
    text = (DOCS / "how-to" / f"{page}.md").read_text()
    assert f"```python\n{(DOCS / 'examples' / name).read_text()}```\n" in text


@pytest.mark.parametrize(("name", "package"), TESTS.items())
def test_the_tests_of_a_page_pass(
    name: str, package: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each example that is a test passes."""
    if package:
        pytest.importorskip(package)
    run = NestedRun(tmp_path, capsys)
    found = outcomes(run((DOCS / f"examples/test_{name}.py").read_text()))
    assert found.pop("passed") > 0
    assert found == {}


def test_the_page_on_tests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The other blocks of the page on tests run, and so does each failure of its table."""
    page = (DOCS / "how-to/test-against.md").read_text()
    _, tls, alone = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    cells = [line.split("|")[2] for line in page.splitlines() if line.startswith("| a")]
    written = [text for cell in cells for text in re.findall(r"`([^`]+\))`", cell)]
    marks = [text for text in written if text.startswith("@")]
    calls = [text for text in written if not text.startswith("@")]
    tests = [f"{mark}\ndef test_{place}(pop3_account): pass" for place, mark in enumerate(marks)]
    tests.append("def test_calls(pop3_server, pop3_account, mailbox):\n    " + "\n    ".join(calls))
    head = "from restante.server import ProtocolSettings\n"
    run = NestedRun(tmp_path, capsys)
    assert len(marks) > 3
    assert len(calls) > 2
    assert outcomes(run(head + tls + "\n".join(tests))) == {"passed": len(marks) + 2}
    subprocess.run([sys.executable, "-c", alone], check=True, capture_output=True)


def test_the_embedded_server_serves(tmp_path: Path) -> None:
    """The example of an embedded server serves its user."""
    port = free_port()
    program = (DOCS / "examples/embedded.py").read_text().replace("1110", str(port))
    (tmp_path / "embedded.py").write_text(program)
    command: list[str | Path] = [sys.executable, tmp_path / "embedded.py"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port, process)
            client = poplib.POP3("127.0.0.1", port, timeout=PATIENCE)
            client.user("ann")
            with pytest.raises(poplib.error_proto, match="AUTH"):
                client.pass_("wrong")
            client.user("ann")
            client.pass_("secret")
            assert client.retr(1)[1] == [b"Subject: hello", b"", b"from a program"]
            client.quit()
        finally:
            process.kill()


def test_the_parts_of_the_page_on_embedding_run(tmp_path: Path) -> None:
    """A server in a thread, one with TLS, and one that accepts mail, as the page writes them."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "how-to/embed.md").read_text(), re.DOTALL)
    thread, tls, recipients = blocks[1:4]
    certificate, key = ensure_certificate(tmp_path)
    accounts, store = Passwords(), MemoryStore()
    accounts.known["ann"] = "secret"
    names = {**vars(restante.server), "Path": Path, "store": store, "accounts": accounts}
    names |= {name: getattr(restante.server, name) for name in restante.server.__all__}
    run(thread.replace("1110", "0"), names)
    files = {"mail.pem": certificate, "mail.key": key}
    for written, file in files.items():
        tls = tls.replace(written, str(file))
    run(re.sub(r'"", \d+', '"127.0.0.1", 0', tls), names)
    run(recipients, names)
    server = restante.server.Server(
        store, accounts, names["listeners"], smtp="127.0.0.1:0", recipients=names["Recipients"]()
    )
    with server:
        assert server.smtp_address
        with smtplib.SMTP(server.smtp_address.host, server.smtp_address.port) as client:
            client.sendmail("bob@example.org", "ann@example.com", "Subject: later\n\nhello\n")
        address = server.addresses[1]
        context = ssl.create_default_context(cafile=str(certificate))
        pop3 = poplib.POP3_SSL(address.host, address.port, timeout=PATIENCE, context=context)
        pop3.user("ann")
        pop3.pass_("secret")
        assert pop3.stat()[0] == 2
        pop3.quit()


def run(text: str, names: dict[str, Any]) -> None:
    exec(compile(text, "embed.md", "exec", dont_inherit=True), names)
