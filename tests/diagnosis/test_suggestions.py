"""The command to type next is the one that was typed, with what is to be another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from restante.client.options import Options, Target
from restante.diagnosis import suggestions
from restante.diagnosis.request import CheckRequest
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server


def request(target: Target | None, **options: object) -> CheckRequest:
    return CheckRequest("ann@example.com", target, Options(**options), password=str)  # type: ignore[arg-type]


ODD = Target("mail.example.com", 1995, "implicit", "ann@example.com")


@pytest.mark.parametrize(
    ("asked", "changes", "command"),
    [
        (request(ODD), {}, "pop3 check pop3s://ann@example.com@mail.example.com:1995"),
        (request(ODD), {"host": "x"}, "pop3 check pop3s://ann@example.com@x:1995"),
        (request(ODD), {"port": 995}, "pop3 check pop3s://ann@example.com@mail.example.com"),
        (
            request(ODD, resolve={("mail.example.com", 1995): "::1"}, family=6),
            {"host": "x"},
            "pop3 check pop3s://ann@example.com@x:1995 --resolve 'x:1995:[::1]' -6",
        ),
        (
            request(ODD, mechanisms=("USER",), token=True, server_name="a"),
            {"server_name": "b"},
            (
                "pop3 check pop3s://ann@example.com@mail.example.com:1995 --servername b "
                "--oauth --mechanism USER"
            ),
        ),
        (
            request(ODD, insecure_plaintext=True),
            {"port": 110, "tls": "none"},
            "pop3 check pop3://ann@example.com@mail.example.com --insecure-plaintext",
        ),
        (request(None), {"host": "x"}, "pop3 check pop3s://ann@example.com@x"),
    ],
)
def test_a_command_keeps_what_it_does_not_change(
    asked: CheckRequest, changes: dict[str, object], command: str
) -> None:
    """A suggested command keeps the options that it does not change."""
    assert suggestions.check_command(asked, **changes) == command  # type: ignore[arg-type]


def test_a_probe_has_no_options_of_a_login() -> None:
    """A suggested `pop3 probe` has no option that this command rejects."""
    asked = request(ODD, mechanisms=("USER",), token=True)
    asked.password = None
    assert suggestions.check_command(asked) == (
        "pop3 probe pop3s://ann@example.com@mail.example.com:1995"
    )


def test_a_suggested_command_works_as_it_stands(tmp_path: Path) -> None:
    """A suggested command can be run as it is."""
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\n")
    with faulty_server("tls-on-plain") as running:
        root = running.authority
        assert root
        options: list[str | Path] = [
            "--cacert",
            root,
            "--password-file",
            file,
            "-m",
            "30",
            "--deep",
        ]
        where = f"pop3://ann@localhost:{running.port}"
        ran = pop3("check", where, *options, "--json", password=None)
        suggested = json.loads(ran.out)["findings"][0]["commands"]
        options_again = f"--deep --cacert {root} --max-time 30 --password-file {file}"
        assert suggested == [f"pop3 check pop3s://ann@localhost:{running.port} {options_again}"]
        again = pop3(*suggested[0].split()[1:], password=None)
    assert again.code == 0, again.out


def test_no_suggested_command_has_a_password_in_it() -> None:
    """A suggested command contains no password."""
    with faulty_server("login-in-use") as running:
        where = running.url
        ran = pop3("check", where, "--password", "hunter22", password=None)
        also = pop3("check", where, "--password-command", "echo hunter22", password=None)
    assert "--wait 60" in ran.out
    assert "hunter22" not in ran.out + ran.err + also.out + also.err
