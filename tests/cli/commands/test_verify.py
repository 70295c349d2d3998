"""How `pop3 verify` ends."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest
from click.testing import CliRunner

from restante.cli.main import main
from restante.conformance import suite
from restante.conformance.context import ConformanceContext
from restante.conformance.sample_messages import all_samples
from support.command import pop3
from support.live import serving
from support.process import POP3

SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(params=SIGNALS)
def number(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """Return a signal that ends the process, as it does in a terminal."""
    signaled: signal.Signals = request.param
    before = signal.signal(signaled, signal.SIG_DFL)
    yield signaled
    signal.signal(signaled, before)


def test_signals_interrupt(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """SIGTERM and SIGHUP end a test as Ctrl-C does, so that it deletes its messages."""
    deleted = []

    def run(*_: object) -> None:
        try:
            os.kill(os.getpid(), number)
            time.sleep(60)
        except KeyboardInterrupt:
            deleted.append("test messages")
            raise

    monkeypatch.setattr(suite, "run", run)
    ran = CliRunner().invoke(main, ["verify", "pop3://127.0.0.1:1"])
    assert ran.exit_code == 130
    assert "The test messages have been deleted." in ran.output
    assert deleted
    assert signal.getsignal(number) is signal.SIG_DFL


def test_interruption_that_leaves_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the test messages could not be deleted after Ctrl-C, the error says so."""

    def run(context: ConformanceContext, *_: object) -> None:
        context.delivered["one"] = next(iter(all_samples("run")))
        raise KeyboardInterrupt

    monkeypatch.setattr(suite, "run", run)
    ran = CliRunner().invoke(main, ["verify", "pop3://127.0.0.1:1"])
    assert ran.exit_code == 130
    assert "Interrupted. Test messages may remain in the mailbox." in ran.output


def test_ignored_signals(monkeypatch: pytest.MonkeyPatch, number: signal.Signals) -> None:
    """A signal that the caller ignores does not end a test."""
    signal.signal(number, signal.SIG_IGN)
    monkeypatch.setattr(suite, "run", lambda *_: os.kill(os.getpid(), number))
    ran = CliRunner().invoke(main, ["verify", "pop3://127.0.0.1:1", "--json"])
    assert ran.exit_code != 130
    assert signal.getsignal(number) is signal.SIG_IGN


@pytest.mark.parametrize(
    ("replies", "code", "said"),
    [
        ([b"+OK hello\r\n", b"-ERR wrong\r\n"], 7, "the login was rejected"),
        ([b"+OK hello\r\n", b""], 4, "disconnected before its reply to USER"),
        ([b""], 4, "disconnected before the greeting"),
        ([b"+OK hello\r\n", b"250 yes\r\n"], 6, "neither +OK nor -ERR"),
    ],
)
def test_no_start(replies: list[bytes], code: int, said: str) -> None:
    """The exit code says why the test cannot start: the login, the connection or the protocol."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection, contextlib.suppress(OSError):
                for number, reply in enumerate(replies):
                    if number:
                        connection.recv(1000)
                    connection.sendall(reply)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = threading.Thread(target=serve)
        server.start()
        ran = pop3("verify", f"pop3://ann@127.0.0.1:{listening.getsockname()[1]}")
        listening.shutdown(socket.SHUT_RDWR)
        server.join()
    assert (ran.code, said in ran.err) == (code, True), ran


@pytest.mark.parametrize(
    ("words", "password", "said"),
    [
        (["-u", "ann"], "\udcff", "is not UTF-8"),
        (["-u", "a\udcff"], "x", "is not UTF-8"),
        (["-u", "ann\r\nDELE 1"], "x", "has a line end"),
        (["--servername", "a..b"], None, "is not a host"),
    ],
)
def test_what_cannot_be_sent(words: list[str], password: str | None, said: str) -> None:
    """A name, a password and a name of a server that cannot be sent are errors before the test."""
    ran = pop3("verify", "pop3://127.0.0.1:1", *words, password=password)
    assert (ran.code, said in ran.err) == (2, True), ran


def test_a_password_requires_tls() -> None:
    """At an unusual port, too, no password is sent without TLS, unless the server is this machine.

    With --require-tls, this machine gets none, either.
    """
    with serving() as live:
        live.add("ann", "hunter22")
        where = f"mail.example.com:{live.port}"
        resolved = ["--resolve", f"{where}:127.0.0.1", "--servername", "localhost"]
        remote = ["verify", where, "-u", "ann", "--only", "stat", *resolved]
        local = ["verify", f"pop3://ann@127.0.0.1:{live.port}", "--only", "stat"]
        for words in (remote, [*local, "--require-tls"]):
            ran = pop3(*words)
            assert (ran.code, "STLS" in ran.err) == (6, True), ran
        assert pop3(*remote, "--insecure-plaintext").code == 0
        assert pop3(*local).code == 0
        assert pop3("verify", where, "--only", "capa", *resolved).code == 0


def test_an_address_of_another_family() -> None:
    """-6 holds for the test, as for other commands."""
    ran = pop3("verify", "pop3://127.0.0.1:1", "-6")
    assert (ran.code, "-6 excludes 127.0.0.1" in ran.err) == (2, True), ran


def test_a_reader_that_leaves() -> None:
    """If the reader of the results leaves, as `head` does, the server is not blamed."""
    with serving() as live:
        script = '"$0" verify "$1" | head -1; exit ${PIPESTATUS[0]}'
        command = ["bash", "-c", script, str(POP3), f"pop3://127.0.0.1:{live.port}"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (1, ""), ran
    assert ran.stdout.count("\n") == 1


@pytest.mark.parametrize("option", ["--mechanism=USER", "--no-capa", "-m5", "--timeout=5", "-v"])
def test_options_of_other_commands(option: str) -> None:
    """An option that would have no effect is an error."""
    ran = pop3("verify", "pop3://127.0.0.1:1", option)
    assert (ran.code, "No such option" in ran.err) == (2, True), ran


def test_a_name_that_does_not_exist() -> None:
    """A name without an address has an exit code of its own, as with the other commands."""
    ran = pop3("verify", "nosuch.invalid")
    assert (ran.code, ran.out) == (3, "")
    assert "cannot connect to nosuch.invalid port 995: " in ran.err
