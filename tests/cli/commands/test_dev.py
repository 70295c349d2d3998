"""`pop3 dev`: servers and page in one command."""

from __future__ import annotations

import http.client
import poplib
import re
import shlex
import signal
import smtplib
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from restante.cli.main import main
from support.live import PATIENCE
from support.process import POP3

ANY_PORT = ("--port", "0", "--tls-port", "0", "--smtp-port", "0", "--web-port", "0")


@contextmanager
def dev(*arguments: str | Path, env: Mapping[str, str] | None = None) -> Iterator[dict[str, int]]:
    """Run the command, and give its ports; its end is that of Ctrl-C, and clean."""
    command = [POP3, "dev", *ANY_PORT, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.fullmatch(
                r"http://127\.0\.0\.1:(\d+)/  POP3 \S+:(\d+)  POP3S \S+:(\d+)  SMTP \S+:(\d+)  .*\n",
                line,
            )
            assert found, line
            names = ("web", "pop3", "pop3s", "smtp")
            yield dict(zip(names, map(int, found.groups()), strict=True))
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
            assert process.stderr is not None
            assert process.stderr.read() == ""


def get(port: int, path: str, headers: Mapping[str, str] = {}) -> tuple[int, bytes]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    client.request("GET", path, headers=headers)
    answer = client.getresponse()
    found = answer.status, answer.read()
    client.close()
    return found


def test_mail_goes_in_and_out(tmp_path: Path) -> None:
    """Any login sends to any address, the page shows it, any login fetches it, and it is kept."""
    with dev("--keep", tmp_path) as ports:
        with smtplib.SMTP("127.0.0.1", ports["smtp"], timeout=PATIENCE) as sender:
            sender.login("app", "any")
            sender.sendmail("shop@example.com", ["new@shop.example"], b"Subject: Welcome\n\nhi\n")
        status, body = get(ports["web"], "/api/messages?to=new@shop.example&wait=20")
        rows = msgspec.json.decode(body)["messages"]
        assert (status, [row["subject"] for row in rows]) == (200, ["Welcome"])
        client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=PATIENCE)
        client.user("new@shop.example")
        client.pass_("whatever")
        assert b"Subject: Welcome" in client.retr(1)[1]
        client.quit()
        sessions = msgspec.json.decode(get(ports["web"], "/api/sessions")[1])
        assert {row["protocol"] for row in sessions} == {"POP3", "SMTP"}
        assert b"Welcome" in get(ports["web"], "/")[1]
    with dev("--keep", tmp_path) as ports:
        assert msgspec.json.decode(get(ports["web"], "/api/messages")[1])["total"] == 1


def test_an_open_page_does_not_delay_the_end() -> None:
    """Ctrl-C ends the stream of a page that is open, and prints nothing."""
    with dev() as ports:
        client = http.client.HTTPConnection("127.0.0.1", ports["web"], timeout=PATIENCE)
        client.request("GET", "/api/events")
        stream = client.getresponse()
        assert stream.readline() == b"retry: 1000\n"
    assert stream.read().endswith(b"event: stopped\ndata: {}\n\n")
    client.close()


def test_the_demo_has_its_messages() -> None:
    """The five messages of the article are in the demo account, with their sizes."""
    with dev("--demo", "--fault", "retr-cut") as ports:
        client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=PATIENCE)
        client.user("info@example.com")
        with pytest.raises(poplib.error_proto, match="AUTH"):
            client.pass_("wrong")
        client.user("info@example.com")
        client.pass_("restante")
        assert client.list()[1] == [b"1 3375", b"2 3622", b"3 3606", b"4 3630", b"5 3834"]
        client.quit()
        assert msgspec.json.decode(get(ports["web"], "/api/faults")[1])["on"] == ["retr-cut"]


def test_the_demo_quotes_its_certificate(tmp_path: Path) -> None:
    """The command that the demo shows can be copied, if a folder's name has a blank."""
    folder = tmp_path / "my mail"
    command: list[str | Path] = [POP3, "dev", *ANY_PORT, "--demo", "--keep", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = next(shlex.split(line) for line in process.stdout if " -CAfile " in line)
        process.send_signal(signal.SIGINT)
    assert words[-1] == str(folder / "certificate.pem")


def test_a_password_of_the_environment_is_required() -> None:
    """With the variable set, the page asks for it; a name is not needed."""
    with dev(env={"POP3_WEB_PASSWORD": "secret"}) as ports:
        assert get(ports["web"], "/")[0] == 401
        right = {"Authorization": "Basic OnNlY3JldA=="}
        assert get(ports["web"], "/", right)[0] == 200


def test_a_password_of_all_mailboxes(tmp_path: Path) -> None:
    """With --password, APOP and SCRAM are offered, and another password is refused."""
    (tmp_path / "password").write_text("secret\n")
    with dev("--password", tmp_path / "password") as ports:
        client = poplib.POP3("127.0.0.1", ports["pop3"], timeout=PATIENCE)
        assert "SCRAM-SHA-256" in client.capa()["SASL"]
        with pytest.raises(poplib.error_proto, match="AUTH"):
            client.apop("new@shop.example", "wrong")
        assert client.apop("new@shop.example", "secret").startswith(b"+OK")
        client.quit()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--password", "/nowhere"], "/nowhere: No such file or directory"),
        (["--host", "0.0.0.0"], "so the page requires a password; give --web-password FILE"),
        (["--web-password", "/nowhere"], "/nowhere: No such file or directory"),
        (["--web-password", "/dev/null"], "the first line of /dev/null is empty"),
        (["--fault", "retr-cat"], "--fault: "),
        (
            ["--keep", "/dev/null"],
            "certificate: /dev/null: File exists; choose another",
        ),
        (["--port", "65536"], "65536 is not in the range"),
    ],
)
def test_a_wrong_option_is_an_error(arguments: list[str], text: str) -> None:
    """The error says what failed, and what to do."""
    result = CliRunner().invoke(main, ["dev", *ANY_PORT, *arguments])
    assert result.exit_code != 0
    assert text in result.output


def test_a_password_of_another_charset() -> None:
    """The error names the variable, and does not repeat the password."""
    for variable in ("POP3_DEV_PASSWORD", "POP3_WEB_PASSWORD"):
        result = CliRunner().invoke(main, ["dev", *ANY_PORT], env={variable: "secret\udce9"})
        assert result.exit_code == 2
        assert f"the password of {variable} is not UTF-8" in result.output
        assert "secret" not in result.output


@pytest.mark.parametrize("option", ["--port", "--tls-port", "--smtp-port", "--web-port"])
def test_a_port_that_is_in_use_is_an_error(option: str) -> None:
    """The error names the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["dev", *ANY_PORT, option, str(port)])
    assert result.exit_code == 1
    assert f"127.0.0.1:{port}: Address already in use; " in result.output
    assert "port" in result.output


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    """A second command on the same folder says why it does not start."""
    with dev("--keep", tmp_path):
        result = CliRunner().invoke(main, ["dev", *ANY_PORT, "--keep", str(tmp_path)])
    assert result.exit_code == 1
    assert "another `pop3 dev` keeps its mail in" in result.output
