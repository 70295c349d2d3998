"""`pop3 user app-password`."""

from __future__ import annotations

import json
import os
import poplib
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restante.auth.app_passwords import uses as app_password_uses
from restante.cli.main import main
from support.live import wait_until
from support.passwords import quick_hash
from support.process import POP3, free_port, serving

CONFIG = """\
[mail]
folder = "mail"
[accounts]
users = "users"
app_passwords = "app-passwords"
[login]
default_domain = "example.com"
[server]
listen = ["127.0.0.1:{port}"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration with one account."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text(f"ann@example.com:{quick_hash(b'secret')}\n")
    file = tmp_path / "restante.toml"
    file.write_text(CONFIG.format(port=free_port()))
    return file


def app_password(config: Path, *arguments: str) -> Result:
    command = ("user", "app-password", *arguments, "--config", str(config))
    return CliRunner().invoke(main, command)


@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
def test_output_that_cannot_be_written(config: Path, output: str) -> None:
    """An app password that cannot be printed is removed, since no command prints it again."""
    words = ["user", "app-password", "add", "ann", "phone", "--config", str(config)]
    ended = subprocess.run(
        ["sh", "-c", f'exec "$@" {output}', "sh", POP3, *words], stderr=subprocess.PIPE, check=False
    )
    assert ended.returncode == 12
    assert app_password(config, "list").output == ""


def test_from_made_to_revoked(config: Path) -> None:
    """An app password logs in until it is removed; the log and the list say when and which."""
    made = app_password(config, "add", "ann", "Ann's phone")
    assert (made.exit_code, len(made.output)) == (0, 30)
    password = made.output.strip()
    listed = app_password(config, "list", "ann@example.com")
    assert listed.output.startswith("Ann's phone  created 20")
    assert listed.output.endswith("Z, never used\n")
    with serving(config.parent, "--config", config) as served:
        for name, right in (("ann", password), ("ann@example.com", "secret")):
            client = poplib.POP3("127.0.0.1", served.port)
            client.user(name)
            assert client.pass_(right).startswith(b"+OK")
            client.quit()
        uses = app_password_uses.uses_path(config.parent / "app-passwords")
        wait_until(lambda: bool(uses.read_text()))
        assert "last used 20" in app_password(config, "list", "ann@example.com").output
        removed = app_password(config, "remove", "ann@example.com", "Ann's phone")
        assert removed.output == "Revoked the app password Ann's phone of ann@example.com.\n"
        client = poplib.POP3("127.0.0.1", served.port)
        client.user("ann")
        with pytest.raises(poplib.error_proto, match="Name or password is wrong"):
            client.pass_(password)
        client.close()
        assert served.stop() == 0
        log = served.log.read_text()
    for event in ("login", "session"):
        lines = [each for each in log.splitlines() if f"event={event} " in each and "=ann@" in each]
        assert ["app_password=" in line for line in lines] == [True, False]
    assert password not in log
    assert uses.read_text() == ""


def test_list(config: Path) -> None:
    """The list has all accounts or one, as text or JSON, and no digest."""
    app_password(config, "add", "ann", "phone")
    app_password(config, "add", "ann", "laptop")
    assert app_password(config, "list", "bob").exit_code == 1
    assert app_password(config, "list", "ann").output.startswith("phone  created")
    assert app_password(config, "list").output.count("ann@example.com  ") == 2
    rows = [json.loads(line) for line in app_password(config, "list", "--json").output.splitlines()]
    assert [(row["label"], row["last_used"]) for row in rows] == [("phone", None), ("laptop", None)]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("add", "nobody", "phone"), "the account nobody@example.com does not exist"),
        (("add", "ann", "a:b"), "a label must not contain"),
        (("add", "ann", "phone"), "an app password phone; use another label, or remove it"),
        (("remove", "ann", "laptop"), "ann@example.com has no app password laptop"),
    ],
)
def test_errors(config: Path, arguments: tuple[str, ...], error: str) -> None:
    """A mistake is an error that says what is wrong."""
    app_password(config, "add", "ann", "phone")
    before = (config.parent / "app-passwords").read_text()
    result = app_password(config, *arguments)
    assert result.exit_code in (1, 2)
    assert error in result.output
    assert (config.parent / "app-passwords").read_text() == before


def test_without_the_setting(config: Path) -> None:
    """Without a file in the configuration, the error names the setting."""
    text = config.read_text()
    config.write_text(text.replace("app_passwords =", "# app_passwords ="))
    result = app_password(config, "list")
    assert result.exit_code == 2
    assert "accounts.app_passwords is not set" in result.output
    config.write_text(text)
    assert "No such file" in app_password(config, "list").output


def test_files_belong_to_the_folder(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's group can read the new file and write the last uses; others can do neither."""
    owners = []
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os, "chown", lambda *given: owners.append(given[1:]))
    app_password(config, "add", "ann", "phone")
    folder = config.parent.stat()
    assert owners == [(folder.st_uid, folder.st_gid)] * 2
    modes = [os.stat(config.parent / f"app-passwords{end}").st_mode for end in ("", ".used")]
    assert [mode & 0o777 for mode in modes] == [0o640, 0o660]


def test_account_with_app_passwords(config: Path) -> None:
    """The account's list shows them, a new password leaves them, and its removal revokes them."""

    def user(*arguments: str) -> Result:
        where = ("--config", str(config))
        return CliRunner().invoke(main, ["user", *arguments, *where], input=b"new")

    for label in ("phone", "laptop"):
        app_password(config, "add", "ann", label)
    assert user("list").output == "ann@example.com  app passwords: phone, laptop\n"
    changed = user("passwd", "ann@example.com", "--password-stdin")
    assert "its app passwords still log in: phone, laptop" in changed.stderr
    assert user("remove", "ann@example.com").exit_code == 0
    assert app_password(config, "list").output == ""
