"""The fixtures and marks of the plugin, in test runs of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from restante import pytest_plugin
from support.nested_run import NestedRun, outcomes

pytest_plugins = ("pytester",)

CLIENT = """
import poplib, smtplib, ssl
import pytest


def fetch(account, delete=True):
    client = poplib.POP3(account.host, account.port, timeout=5)
    try:
        client.user(account.user)
        client.pass_(account.password)
        found = []
        for number in range(1, client.stat()[0] + 1):
            found.append(b"\\n".join(client.retr(number)[1]))
            client.dele(number)
        client.quit()
        return found
    finally:
        client.close()


def send(server, to, subject="Welcome"):
    with smtplib.SMTP(server.host, server.smtp_port, timeout=5) as client:
        client.login("shop", "hidden-word")
        client.sendmail("shop@example.com", [to], f"Subject: {subject}\\n\\nhello\\n")
"""


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> NestedRun:
    return NestedRun(tmp_path, capsys, CLIENT)


def test_a_server_for_each_test(run: NestedRun) -> None:
    """Each test has a server of its own, and each fixture gives the same one."""
    printed = run(
        """
ports = []

@pytest.mark.parametrize("turn", [1, 2])
def test_fetches(pop3_server, pop3_account, turn):
    ports.append(pop3_server.port)
    pop3_account.deliver("Subject: one\\n\\nhello\\n")
    assert fetch(pop3_account) == [b"Subject: one\\n\\nhello"]
    assert pop3_account.messages == []
    assert pop3_account.removed[0]["subject"] == "one"
    commands = ["USER", "PASS", "STAT", "RETR 1", "DELE 1", "QUIT"]
    assert pop3_account.sessions[-1].commands == commands

def test_sends(mailbox, pop3_server):
    send(mailbox, "new@shop.example")
    assert mailbox is pop3_server
    mail = mailbox.wait(to="new@shop.example", subject="Welcome")
    client = poplib.POP3(mailbox.host, mailbox.port)
    client.user("new@shop.example")
    client.pass_("any word")
    assert client.stat()[0] == 1
    client.quit()

def test_ports():
    assert len(set(ports)) == 2
""",
    )
    assert outcomes(printed) == {"passed": 4}


def test_a_failure_shows_the_conversation(run: NestedRun) -> None:
    """The report of a failed test has each line that was said, with secrets starred."""
    printed = run(
        """
def test_fails(mailbox, pop3_account):
    send(mailbox, "ann")
    fetch(pop3_account)
    with open(__file__.rpartition("/")[0] + "/password.txt", "w") as file:
        file.write(pop3_account.password)
    assert False, "on purpose"

def test_passes(mailbox):
    send(mailbox, "ann")
""",
    )
    assert outcomes(printed) == {"failed": 1, "passed": 1}
    _, *shown = printed.split("POP3 and SMTP sessions")
    assert len(shown) == 1
    lines = shown[0].splitlines()
    assert lines[1].startswith("1 S 220 ")
    assert {"1 C AUTH CRAM-MD5", "1 C ***", "2 C USER ann", "2 C RETR 1"} <= set(lines)
    assert "hidden-word" not in shown[0]
    assert (run.folder / "password.txt").read_text() not in printed


def test_options_by_mark(run: NestedRun) -> None:
    """The mark `pop3` gives options to the server; a nearer one counts."""
    printed = run(
        """
@pytest.mark.pop3(tls=True, without=["TOP"])
class TestOptions:
    @pytest.mark.pop3(without=["UIDL"])
    def test_nearer(self, pop3_server, pop3_account, pop3_ca):
        assert pop3_ca.file == pop3_server.certificate
        client = poplib.POP3_SSL("localhost", pop3_server.tls_port, context=pop3_ca.context)
        assert "UIDL" not in client.capa() and "TOP" in client.capa()
        client.quit()

def test_trusted(pop3_ca):
    import os
    before = dict(os.environ)
    with pop3_ca.set_trusted():
        assert os.environ["SSL_CERT_FILE"] == str(pop3_ca.file)
    assert dict(os.environ) == before

@pytest.mark.pop3(tsl=True)
def test_spelling(pop3_server):
    pass
""",
    )
    assert outcomes(printed) == {"passed": 2, "errors": 1}
    assert "unexpected keyword argument 'tsl'" in printed


def test_faults_by_mark(run: NestedRun) -> None:
    """The mark `pop3_faults` runs a test once for each fault, a rule, or a sum."""
    printed = run(
        """
@pytest.mark.pop3_faults("retr-refus*", "PASS: -ERR later", "uidl-none+login-refused")
def test_nothing_is_lost(pop3_account, pop3_fault):
    pop3_account.deliver("Subject: one\\n\\nhello\\n")
    kept = []
    with pytest.raises(poplib.error_proto):
        kept += fetch(pop3_account)
    assert pop3_account.find_lost(kept) == []
    assert pop3_account.sessions[0].fault == pop3_fault.name

@pytest.mark.pop3_faults("like-m*")
def test_known_servers(pop3_fault):
    assert pop3_fault.name.startswith("like-m")

@pytest.mark.pop3_faults("user-refused")
def test_without_the_fixture(pop3_account):
    with pytest.raises(poplib.error_proto):
        fetch(pop3_account)

@pytest.mark.smtp_faults("smtp-message-re*", "DATA: 451 later")
def test_sending(mailbox, smtp_fault):
    import smtplib
    with smtplib.SMTP(mailbox.host, mailbox.smtp_port, timeout=20) as client:
        with pytest.raises(smtplib.SMTPDataError):
            client.sendmail("a@example.com", ["b@example.com"], "hello")
    assert mailbox.sessions[0].fault == smtp_fault.name
    mailbox.assert_none()
""",
        "-v",
    )
    assert outcomes(printed) == {"passed": 8}
    assert "test_nothing_is_lost[retr-refused] PASSED" in printed


@pytest.mark.parametrize(
    ("test", "error"),
    [
        (
            "@pytest.mark.pop3_faults('retr-cutt')\ndef test(pop3_fault): pass",
            "did you mean retr-cut",
        ),
        ("def test(pop3_fault): pass", "needs the mark pop3_faults"),
        ("@pytest.mark.smtp_faults('retr-cut')\ndef test(): pass", "unknown fault of SMTP"),
        ("@pytest.mark.pop3_faults()\ndef test(): pass", "the mark pop3_faults names no fault"),
    ],
)
def test_wrong_marks(run: NestedRun, test: str, error: str) -> None:
    """A mark without a fault, or a fault without a mark, is an error that says what to do."""
    assert error in run(test)


def test_a_test_on_an_event_loop(run: NestedRun) -> None:
    """An asynchronous test can wait; the server has a thread of its own."""
    printed = run(
        """
import asyncio

def test_async(mailbox):
    async def main():
        await asyncio.to_thread(send, mailbox, "new@shop.example")
        return await mailbox.wait_async(to="new@shop.example")
    assert asyncio.run(main())["subject"] == "Welcome"
""",
    )
    assert outcomes(printed) == {"passed": 1}


def test_the_plugin_imports_pytest_only() -> None:
    """Without a fixture, nothing of Restante is imported but the plugin."""
    code = "import pytest, sys, restante.pytest_plugin; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = [name for name in done.stdout.split() if name.startswith("restante")]
    assert loaded == ["restante", pytest_plugin.__name__]


def test_the_reference_has_all() -> None:
    """The page of the reference names each fixture and each mark."""
    page = (Path(__file__).parents[1] / "docs/reference/pytest.md").read_text()
    source = Path(pytest_plugin.__file__).read_text()
    fixtures = re.findall(r"@pytest.fixture.*\ndef (\w+)", source)
    marks = [mark.partition("(")[0] for mark in pytest_plugin.MARKS]
    assert len(fixtures) == 6
    assert [name for name in fixtures if f"| `{name}` |" not in page] == []
    assert [name for name in marks if f"`@pytest.mark.{name}(" not in page] == []
