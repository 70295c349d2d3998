"""The check tries each part of a configuration on the machine, and names each problem."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click.testing
import pytest

from restante.cli.main import main
from restante.server.system.unix_sockets import LONGEST_PATH
from support.programs import need_module
from support.small_disks import make_read_only, small_disk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with all that a server requires."""
    (tmp_path / "mail").mkdir()
    (tmp_path / "users").write_text(f"ann:$6$saltsalt${'x' * 86}\n")
    (tmp_path / "users").chmod(0o600)
    return tmp_path


LEAST = {"mail.folder": '"mail"', "accounts.users": '"users"', "server.listen": '["127.0.0.1:0"]'}


def check(folder: Path, **settings: str) -> tuple[int, list[str], list[str]]:
    """Check a configuration with these settings; return the code, mistakes and warnings."""
    file = folder / "restante.toml"
    values = LEAST | {key.replace("__", "."): value for key, value in settings.items()}
    file.write_text("".join(f"{key} = {value}\n" for key, value in values.items() if value))
    ended = click.testing.CliRunner().invoke(main, ["config", "check", str(file)])
    lines = ended.stderr.splitlines()
    return (
        ended.exit_code,
        [line.strip() for line in lines if line.startswith("  ")],
        [line for line in lines if line.startswith("Warning: ")],
    )


def test_good_configuration(folder: Path) -> None:
    """A server can serve, and nothing was changed."""
    before = sorted(folder.rglob("*"))
    assert check(folder) == (0, [], [])
    assert sorted(folder.rglob("*")) == sorted([*before, folder / "restante.toml"])


def test_folders_that_cannot_be_read(folder: Path) -> None:
    """An error above a path is not a missing file, and hides no other mistake."""
    long = folder / ("x" * 300)
    code, mistakes, _ = check(
        folder,
        mail__folder=f'"{long}/mail"',
        accounts__app_passwords=f'"{long}/app-passwords"',
        control__folder=f'"{long}"',
    )
    assert code == 2
    too_long = "File name too long; choose a shorter name"
    assert mistakes[:2] == [
        f"mail.folder: {long}/mail: {too_long}",
        f"accounts.app_passwords: {long}/app-passwords: {too_long}",
    ]
    assert mistakes[2].startswith("control.folder: ")


def test_service_that_cannot_be_looked_for(folder: Path) -> None:
    """An error that no check expects is a mistake with its path, and hides no other one."""
    name = "x" * 300
    code, mistakes, _ = check(
        folder, mail__folder='"nowhere"', accounts__users="", accounts__pam=f'"{name}"'
    )
    assert code == 2
    assert mistakes[0].startswith("mail.folder: ")
    assert f"/etc/pam.d/{name}: File name too long; choose a shorter name" in mistakes


def test_authorities_of_a_directory(folder: Path) -> None:
    """A file of authorities for LDAP that cannot be read is a mistake with its setting."""
    need_module("ldap")
    code, mistakes, _ = check(
        folder,
        accounts__users="",
        accounts__ldap='"ldap://127.0.0.1"',
        ldap__base='"dc=example"',
        ldap__ca_file='"no.pem"',
    )
    assert code == 2
    assert f"ldap.ca_file: {folder}/no.pem: No such file or directory; check the path" in mistakes


def test_all_mistakes_at_once(folder: Path) -> None:
    """A mistake in one part hides none in another."""
    code, mistakes, _ = check(
        folder,
        mail__folder='"nowhere"',
        accounts__users='"nobody"',
        server__listen='["no-such-host.invalid:110"]',
        tls__certificates='[{ certificate = "no.pem", key = "no.key" }]',
        tokens__jwks='"keys.json"',
        delivery__lmtp='"/nowhere/lmtp"',
        delivery__socket_group='"no-such-group"',
        auth_socket__path='"/nowhere/auth"',
        auth_socket__group='"no-such-group"',
        metrics__listen='"/nowhere/metrics"',
        metrics__socket_group='"no-such-group"',
        accounts__locks='"no-locks"',
        accounts__app_passwords='"no-app-passwords"',
        accounts__masters='"no-masters"',
        control__folder='"/nowhere/control"',
        control__group='"no-such-group"',
    )
    assert code == 2
    assert [line.partition(":")[0] for line in mistakes] == [
        "mail.folder",
        "accounts.users",
        "accounts.locks",
        "accounts.app_passwords",
        "accounts.masters",
        "tokens.jwks",
        "server.listen",
        "tls.certificates",
        "delivery.socket_group",
        "auth_socket.group",
        "delivery.lmtp",
        "auth_socket.path",
        "metrics.socket_group",
        "metrics.listen",
        "control.group",
        "control.folder",
    ]
    assert "delivery.lmtp: the folder /nowhere does not exist; create it" in mistakes


def test_all_certificates_at_once(folder: Path) -> None:
    """Each certificate that cannot be used is reported."""
    pairs = [f'{{certificate = "{name}.pem", key = "{name}.key"}}' for name in ("one", "two")]
    code, mistakes, _ = check(folder, tls__certificates=f"[{', '.join(pairs)}]")
    assert code == 2
    assert mistakes == [
        f"tls.certificates: {folder / name}.pem: No such file or directory; check the path"
        for name in ("one", "two")
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [("127.0.0.1", "127.0.0.1"), ("*", "127.0.0.1"), ("[::1]", "*"), ("0.0.0.0", "localhost")],
)
def test_same_address_twice(folder: Path, first: str, second: str) -> None:
    """Of two addresses only one can be opened, so the server could not start."""
    code, mistakes, _ = check(folder, server__listen=f'["{first}:1110", "{second}:1110"]')
    assert code == 2
    assert mistakes == [
        f"server.listen: {second}:1110: server.listen has {first}:1110 already; omit one of them"
    ]


def test_same_address_in_two_sections(folder: Path) -> None:
    """A port of LMTP or of the metrics is compared with those of POP3."""
    code, mistakes, _ = check(
        folder,
        server__listen='["127.0.0.1:1110", "[::1]:1110", "127.0.0.1:0", "127.0.0.1:0"]',
        delivery__lmtp='"127.0.0.1:1110"',
        metrics__listen='"[::1]:1110"',
    )
    assert code == 2
    assert mistakes == [
        "delivery.lmtp: 127.0.0.1:1110: server.listen has 127.0.0.1:1110 already; omit one of them",
        "metrics.listen: [::1]:1110: server.listen has [::1]:1110 already; omit one of them",
    ]


def test_same_address_for_smtp(folder: Path) -> None:
    """The port of SMTP is compared as well."""
    code, mistakes, _ = check(
        folder, server__listen='["127.0.0.1:1110"]', delivery__smtp='"127.0.0.1:1110"'
    )
    assert code == 2
    assert mistakes == [
        "delivery.smtp: 127.0.0.1:1110: server.listen has 127.0.0.1:1110 already; omit one of them"
    ]


def test_values_first(folder: Path) -> None:
    """Mistakes in the file itself are named with the file."""
    code, mistakes, _ = check(folder, mail__format='"mailbox"', limits__connections="0")
    assert code == 2
    assert len(mistakes) == 2
    assert all(str(folder / "restante.toml") in line for line in mistakes)


def test_expiry_without_a_list(folder: Path) -> None:
    """PAM cannot list accounts, so mail cannot expire."""
    code, mistakes, _ = check(
        folder, accounts__users="", accounts__pam='"other"', mail__expire_days="30"
    )
    assert code == 2
    assert mistakes[0].startswith("mail.expire_days: requires accounts that can be listed")


def test_unknown_pam_service(folder: Path) -> None:
    """A PAM service without a file is a mistake."""
    code, mistakes, _ = check(folder, accounts__users="", accounts__pam='"no-such-service"')
    assert (code, len(mistakes)) == (2, 1)
    assert mistakes[0].startswith("accounts.pam: /etc/pam.d/no-such-service does not exist")


def test_doubtful_account_is_a_warning(folder: Path) -> None:
    """A line of the accounts that has no effect is a warning, and the server can serve."""
    with (folder / "users").open("a") as users:
        users.write("bob:{OTP}secret\n")
    code, mistakes, warnings = check(folder)
    assert (code, mistakes) == (0, [])
    assert warnings
    assert "secret" not in "".join(warnings)


def test_names_that_mean_another_account(folder: Path) -> None:
    """An account that no login can open, because of its name, is a warning."""
    hash_ = "x" * 86
    (folder / "masters").write_text(f"admin:$6$saltsalt${hash_}\n")
    (folder / "masters").chmod(0o600)
    names = ("ann", "ann*admin@example.com", "*", "b*@example.com", "*c@example.com")
    (folder / "users").write_text("".join(f"{name}:$6$saltsalt${hash_}\n" for name in names))
    code, _, warnings = check(
        folder, accounts__masters='"masters"', login__default_domain='"example.com"'
    )
    assert code == 0
    assert [line.split("users: ")[1].split(":")[0] for line in warnings] == [
        "'ann' cannot log in, and gets no mail",
        "'ann*admin@example.com' cannot log in by a password",
        "'*' cannot log in, and gets no mail",
        "'b*@example.com' cannot log in by a password",
    ]
    _, _, warnings = check(folder)
    assert warnings == []


def test_unreachable_accounts_of_a_cluster(folder: Path) -> None:
    """The error of a database that cannot be reached says what to check, and no more."""
    (folder / "dsn").write_text(f"postgresql://restante@/mail?host={folder}")
    cluster = {"mail.folder": "", "accounts.users": "", "mail.format": '"cluster"'}
    _, mistakes, _ = check(folder, **cluster, cluster__postgresql_dsn_file='"dsn"')
    (accounts,) = (mistake for mistake in mistakes if mistake.startswith("accounts: "))
    text = "PostgreSQL: No such file or directory; check that it runs, and its address"
    assert accounts == f"accounts: {text}"
    listed = click.testing.CliRunner().invoke(
        main, ["user", "list", "--config", str(folder / "restante.toml")]
    )
    assert listed.stderr == f"Error: {text}\n"


def test_missing_list_of_locks(folder: Path) -> None:
    """The advice fits the accounts: those in a file are locked there, without a list."""
    _, (mistake,), _ = check(folder, accounts__locks='"locks"')
    assert "omit the setting, since `pop3 user lock` changes the account itself here" in mistake
    _, mistakes, _ = check(
        folder, accounts__users="", accounts__pam='"restante"', accounts__locks='"locks"'
    )
    assert any("`pop3 user lock NAME` creates it" in mistake for mistake in mistakes)


def test_missing_permission(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mail folder must be readable and writable for the user of the server."""

    def access(path: Path, mode: int, **_: bool) -> bool:
        return path != folder / "mail" or not mode & os.W_OK

    monkeypatch.setattr(os, "access", access)
    code, mistakes, _ = check(folder)
    assert code == 2
    assert len(mistakes) == 1
    assert mistakes[0].startswith(f"mail.folder: {folder / 'mail'}: the user ")
    assert mistakes[0].endswith(" cannot write to it; change its owner or its permissions")


def test_too_long_paths_of_sockets(folder: Path) -> None:
    """The system limits the path of a Unix socket, so that a server could not start."""
    place = folder / ("x" * 100)
    place.mkdir()
    code, mistakes, _ = check(
        folder,
        delivery__lmtp=f'"{place}/lmtp"',
        auth_socket__path=f'"{place}/auth"',
        metrics__listen=f'"{place}/metrics"',
        control__folder=f'"{place}"',
    )
    assert code == 2
    text = f"the path of a Unix socket has at most {LONGEST_PATH} octets; choose a shorter name"
    assert mistakes == [
        f"delivery.lmtp: {place}/lmtp: {text}",
        f"auth_socket.path: {place}/auth: {text}",
        f"metrics.listen: {place}/metrics: {text}",
        f"control.folder: {place}: {text}",
    ]


def test_folder_that_systemd_makes(folder: Path) -> None:
    """A folder below /run may be missing while no server runs: systemd makes it at the start."""
    made = '"/run/restante-that-does-not-run/control"'
    assert check(folder, control__folder=made) == (0, [], [])


def test_control_folder_of_others(folder: Path) -> None:
    """A folder of control sockets to which other users can write is a mistake."""
    (folder / "control").mkdir()
    (folder / "control").chmod(0o777)
    code, mistakes, _ = check(folder, control__folder='"control"')
    assert (code, len(mistakes)) == (2, 1)
    assert "another user can write to it" in mistakes[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="root: a test makes a folder of another user")
def test_control_folder_of_the_server(folder: Path) -> None:
    """Root may check the folder of a running server, but no link to it that another user made."""
    (folder / "control").mkdir(0o700)
    (folder / "link").symlink_to("control")
    os.chown(folder / "control", 12345, 12345)
    assert check(folder, control__folder='"control"') == (0, [], [])
    os.chown(folder / "link", 12346, 12346, follow_symlinks=False)
    code, mistakes, _ = check(folder, control__folder='"link"')
    assert (code, len(mistakes)) == (2, 1)
    assert "another user can write to it" in mistakes[0]


def test_unknown_user_of_the_server(folder: Path) -> None:
    """An unknown user is a mistake of the command line."""
    command = ["config", "check", "--user", "no-such-user", str(folder / "restante.toml")]
    ended = click.testing.CliRunner().invoke(main, command)
    assert ended.exit_code == 2
    assert "there is no user no-such-user" in ended.stderr


def test_show(folder: Path) -> None:
    """The command shows all settings, or those that differ from their defaults."""
    check(folder)
    file = str(folder / "restante.toml")
    whole = click.testing.CliRunner().invoke(main, ["config", "show", file])
    short = click.testing.CliRunner().invoke(main, ["config", "show", "--changed", file])
    assert 'format = "maildir"  # default\n' in whole.stdout
    assert short.stdout.splitlines()[:2] == ["[mail]", f'folder = "{folder / "mail"}"']
    assert "default" not in short.stdout


def test_missing_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is not installed is a mistake of one setting, and hides no other."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    monkeypatch.delitem(sys.modules, "restante.auth.sql.postgresql_query", raising=False)
    (folder / "dsn").write_text("postgresql://localhost/mail")
    (folder / "dsn").chmod(0o600)
    code, mistakes, _ = check(
        folder,
        accounts__users="",
        accounts__postgresql_dsn_file='"dsn"',
        accounts__postgresql_query='"SELECT 1"',
        delivery__socket_group='"no-such-group"',
    )
    assert code == 2
    assert [line.partition(":")[0] for line in mistakes] == [
        "accounts.postgresql_dsn_file",
        "delivery.socket_group",
    ]
    assert "requires asyncpg; pip install 'restante[postgresql]'" in mistakes[0]


def test_read_only_disk(folder: Path) -> None:
    """A mail folder on a disk that is mounted read-only is named as such."""
    with small_disk(folder / "mail"):
        make_read_only(folder / "mail")
        code, mistakes, _ = check(folder)
    assert code == 2
    assert mistakes[0].endswith(" its disk is mounted read-only; mount it writable")
