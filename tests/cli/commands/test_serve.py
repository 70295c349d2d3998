"""`pop3 serve`: what a person sees when it cannot."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from restante.cli.main import NO_FOLDER, main
from support.command import Ran, pop3
from support.live import wait_until
from support.process import POP3, free_port, serving, wait_for_port


def serve(*arguments: str | Path) -> Ran:
    return pop3("serve", *arguments)


def test_missing_setting_names_its_flag() -> None:
    """A missing setting is named with the flag that sets it."""
    result = serve()
    assert result.code == 2
    assert "mail.folder: missing" in result.err
    assert "--mail DIR" in result.err
    assert "accounts.users: missing" in result.err
    assert "pop3 user add" in result.err


def test_a_mail_folder_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """A missing mail folder is an error, and the server does not create it."""
    (tmp_path / "users").touch()
    result = serve("--mail", tmp_path / "mail", "--users", tmp_path / "users")
    assert result.code == 2
    assert "does not exist, or is not a folder; create it" in result.err
    assert not (tmp_path / "mail").exists()


def test_a_file_of_accounts_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    """A missing accounts file is an error."""
    result = serve("--mail", tmp_path, "--users", tmp_path / "users")
    assert result.code == 2
    assert "No such file" in result.err


def test_a_port_in_use_is_told_of(tmp_path: Path) -> None:
    """A port in use is an error that names the address."""
    (tmp_path / "users").touch()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        result = serve("--listen", listen, "--mail", tmp_path, "--users", tmp_path / "users")
    assert result.code == 1
    assert result.err.splitlines()[-1].startswith(f"Error: cannot listen at {listen}: ")
    assert "in use" in result.err


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    """All mistakes of a configuration file are reported at once, each with its key."""
    file = tmp_path / "restante.toml"
    file.write_text("[server]\nlisten = 5\n[mial]\n[timeouts]\nidle = 1\n")
    result = serve("--config", file)
    assert result.code == 2
    for told in ("server.listen", "mial: unknown; did you mean mail?", "timeouts.idle"):
        assert f"{file}: {told}" in result.err


def test_an_address_that_is_none_is_told_of(tmp_path: Path) -> None:
    """An invalid address to listen at is an error that shows the right form."""
    (tmp_path / "users").touch()
    result = serve("--listen", "here", "--mail", tmp_path, "--users", tmp_path / "users")
    assert result.code == 2
    assert "HOST:PORT" in result.err


def test_a_certificate_wants_its_key(tmp_path: Path) -> None:
    """`--certificate` and `--key` require each other."""
    result = serve("--certificate", tmp_path / "certificate.pem")
    assert result.code == 2
    assert "--certificate and --key require each other" in result.err


def test_tls_wants_a_certificate(tmp_path: Path) -> None:
    """A TLS listener requires a certificate that can be read."""
    (tmp_path / "users").touch()
    known: list[str | Path] = ["--mail", tmp_path, "--users", tmp_path / "users"]
    result = serve("--tls-listen", "127.0.0.1:0", *known)
    assert result.code == 2
    assert "tls.certificates: missing" in result.err
    missing: list[str | Path] = [
        "--certificate",
        tmp_path / "none.pem",
        "--key",
        tmp_path / "none.key",
    ]
    result = serve("--tls-listen", "127.0.0.1:0", *known, *missing)
    assert result.code == 2
    assert "none.pem" in result.err
    assert "No such file" in result.err


def test_the_delay_between_logins_can_be_given_as_a_flag(tmp_path: Path) -> None:
    """`--login-delay` sets the delay between logins, and CAPA announces it."""
    with serving(tmp_path, "--login-delay", "60") as served:
        served.add("ann", "secret")
        with served.connect() as client:
            client.log_in("ann", "secret")
            client.say("CAPA")
            assert b"LOGIN-DELAY 60\r\n" in client.read_lines()
            client.say("QUIT")
        with served.connect() as client:
            client.read_line()
            client.say("USER ann")
            assert client.say("PASS secret").startswith(b"-ERR [LOGIN-DELAY] ")


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        ("loopback", "cleartext passwords are accepted from this machine only"),
        ("never", "login.clear_text rejects cleartext passwords from all clients"),
    ],
)
def test_no_tls_says_where_to_log_in(tmp_path: Path, policy: str, text: str) -> None:
    """A server without TLS says from which addresses it accepts passwords."""
    file = tmp_path / "restante.toml"
    file.write_text(f'[login]\nclear_text = "{policy}"\n')
    with serving(
        tmp_path, "--config", str(file)
    ) as served:  # it listens a moment before it says so
        wait_until(lambda: f'level=warning event=no_tls what="{text}' in served.log.read_text())


def test_a_demo_with_mboxes_is_refused(tmp_path: Path) -> None:
    """The demo has Maildirs only: `--demo` with mbox is an error."""
    result = serve("--demo", tmp_path / "demo", "--format", "mbox")
    assert result.code == 2
    assert "--demo serves Maildirs" in result.err
    assert not (tmp_path / "demo").exists()


def test_a_demo_that_misbehaves(tmp_path: Path) -> None:
    """The demo's messages are served with a fault, which only the demo can have."""
    ports = [f"127.0.0.1:{free_port()}" for _ in range(3)]
    flags = zip(("--listen", "--tls-listen", "--smtp"), ports, strict=True)
    command: list[str | Path] = [POP3, "serve", "--demo", tmp_path, "--fault", "RETR: close at 50%"]
    command += [word for flag in flags for word in flag]
    host, _, port = ports[0].partition(":")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        wait_for_port(int(port), process)
        with socket.create_connection((host, int(port)), 20) as client:
            client.sendall(b"USER info@example.com\r\nPASS restante\r\nRETR 1\r\n")
            received = b"".join(iter(lambda: client.recv(65536), b""))
        process.terminate()
    assert b"+OK 3375 octets" in received
    assert 1500 < len(received) < 2500
    assert "requires --demo" in serve("--fault", "retr-cut").err
    assert "did you mean retr-cut" in serve("--demo", tmp_path, "--fault", "retr-cutt").err


def test_removed_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder that was removed, a relative path is an error with a remedy."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    ran = CliRunner().invoke(main, ["serve", "--users", "users", "--mail", "mail"])
    assert ran.exit_code == 1
    assert ran.output == f"Error: {NO_FOLDER}\n"
