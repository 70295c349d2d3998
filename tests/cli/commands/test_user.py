"""`pop3 user`."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from restante.auth.file import passwd_file
from restante.auth.passwords import hashing as password_hashing
from restante.cli.main import main
from restante.cli.options import server
from restante.protocol.secret import Secret
from support.cluster import Cluster
from support.process import POP3
from support.programs import need_module


def pop3(*arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin)


def add(file: Path, name: str, password: bytes) -> Result:
    return pop3("user", "add", name, "--users", str(file), "--password-stdin", stdin=password)


@pytest.mark.parametrize(
    ("typed", "password"),
    [
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b" two  spaces \nnext line\n", b" two  spaces "),
        ("Straße\n".encode(), "Straße".encode()),
        ("ein\N{SOFT HYPHEN}A\N{COMBINING DIAERESIS}\n".encode(), "einÄ".encode()),
        ("אבג123\n".encode(), "אבג123".encode()),
        ("p\N{GRINNING FACE}\n".encode(), "p\N{GRINNING FACE}".encode()),
        (b"x" * 248, b"x" * 248),
    ],
)
def test_the_password_is_one_line_less_its_end(
    tmp_path: Path, typed: bytes, password: bytes
) -> None:
    """policy/password-input."""
    file = tmp_path / "users"
    result = add(file, "ann", typed)
    assert (result.exit_code, result.stdout) == (0, "Added ann.\n")
    assert password_hashing.verify(passwd_file.read(file).by_name["ann"].hash, Secret(password))
    assert file.stat().st_mode & 0o777 == 0o600


def test_password_prompted_twice(tmp_path: Path) -> None:
    """Without --password-stdin the password is prompted for twice and never shown."""
    file = tmp_path / "users"
    result = pop3("user", "add", "ann", "--users", str(file), stdin=b"secret\nsecret\n")
    assert result.exit_code == 0
    assert "secret" not in result.output
    assert password_hashing.verify(passwd_file.read(file).by_name["ann"].hash, Secret(b"secret"))


@pytest.mark.parametrize("octets", [249, 256, 300, 200_000])
def test_long_password(tmp_path: Path, octets: int) -> None:
    """A password that is too long is an error that says so, and no more of it is read."""
    typed = io.BytesIO(b"x" * octets + b"\n")
    words = ["user", "add", "ann", "--users", str(tmp_path / "users"), "--password-stdin"]
    result = CliRunner().invoke(main, words, input=typed)
    assert (result.exit_code, "at most 248 octets" in result.output) == (1, True), result.output
    assert typed.tell() <= 100_000


def test_password_without_a_terminal(tmp_path: Path) -> None:
    """A question without a terminal has no text of Python's in it."""
    words = ["user", "add", "ann", "--users", str(tmp_path / "users")]
    ran = subprocess.run(
        [POP3, *words], input=b"", start_new_session=True, capture_output=True, check=False
    )
    assert ran.returncode == 2
    assert b"--password-stdin" in ran.stderr
    assert b"getpass" not in ran.stderr.lower()


@pytest.mark.parametrize("name", ["../../etc", "a/b", "", "a:b", "a\nb", ".."])
def test_a_bad_name_is_refused_and_no_file_is_made(tmp_path: Path, name: str) -> None:
    """An invalid account name is an error, and no file is created."""
    file = tmp_path / "users"
    result = add(file, name, b"secret")
    assert result.exit_code == 2
    assert "name" in result.output.splitlines()[-1]
    assert not file.exists()


@pytest.mark.parametrize(
    "password",
    [
        b"",
        b"\n",
        b"x" * 249,
        b"a\0b",
        b"caf\xe9",  # rfc6856-s2/saslprep
        b"a\tb",
        "\N{SOFT HYPHEN}".encode(),
        "\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}".encode() * 9,  # 18 letters each
    ],
)
def test_a_password_that_could_never_log_in_is_refused(tmp_path: Path, password: bytes) -> None:
    """A password that no client could send is an error, and no file is created."""
    result = add(tmp_path / "users", "ann", password)
    assert result.exit_code == 1
    assert "password" in result.output
    assert not (tmp_path / "users").exists()


def test_existing_name_rejected(tmp_path: Path) -> None:
    """An existing name is rejected, with what to do."""
    file = tmp_path / "users"
    add(file, "ann", b"secret")
    before = file.read_text()
    result = add(file, "ann", b"other")
    assert result.exit_code == 1
    assert "pop3 user passwd" in result.output
    assert file.read_text() == before


def test_passwd_changes_the_password_and_nothing_else(tmp_path: Path) -> None:
    """`passwd` changes one password and no other account."""
    file = tmp_path / "users"
    add(file, "ann", b"secret")
    add(file, "bob", b"secret")
    (bob,) = [line for line in passwd_file.read_lines(file) if line.startswith("bob:")]
    users = ["--users", str(file), "--password-stdin"]
    result = pop3("user", "passwd", "ann", *users, stdin=b"new one\n")
    assert (result.exit_code, result.output) == (0, "Changed the password of ann.\n")
    assert password_hashing.verify(passwd_file.read(file).by_name["ann"].hash, Secret(b"new one"))
    assert bob in passwd_file.read_lines(file)


def test_first_scram_keys_add_decoy_key(tmp_path: Path) -> None:
    """policy/scram-keys: the first keys for SCRAM add a key for decoys, which then stays."""
    file = tmp_path / "users"
    users = ["--users", str(file), "--password-stdin"]
    pop3("user", "add", "ann", *users, "--no-scram", stdin=b"secret\n")
    assert passwd_file.read(file).key is None
    pop3("user", "passwd", "ann", *users, stdin=b"secret\n")
    key = passwd_file.read(file).key
    assert key is not None
    assert len(key) == 32
    add(file, "bob", b"secret")
    pop3("user", "remove", "ann", "--users", str(file))
    assert passwd_file.read(file).key == key
    assert len(passwd_file.read_lines(file)) == 2


def test_list_reports_bad_lines(tmp_path: Path) -> None:
    """`list` names the accounts and reports useless lines."""
    file = tmp_path / "users"
    add(file, "bob@example.com", b"secret")
    add(file, "ann", b"secret")
    with file.open("a") as lines:
        lines.write("carl:{OTP}hunter2\n")
    result = pop3("user", "list", "--users", str(file))
    assert result.stdout == "bob@example.com  SCRAM\nann              SCRAM\n"
    assert f"{file}:4: 'carl' cannot log in" in result.stderr
    assert "hunter2" not in result.output


def test_remove_takes_one_account_away(tmp_path: Path) -> None:
    """`remove` removes one account and keeps the others."""
    file = tmp_path / "users"
    add(file, "ann", b"secret")
    add(file, "bob", b"secret")
    result = pop3("user", "remove", "ann", "--users", str(file))
    assert result.exit_code == 0
    assert list(passwd_file.read(file).by_name) == ["bob"]


@pytest.mark.parametrize("command", ["passwd", "remove"])
def test_who_is_not_there_is_told_of(tmp_path: Path, command: str) -> None:
    """A command for an unknown account is an error that names `pop3 user add`."""
    file = tmp_path / "users"
    add(file, "ann", b"secret")
    result = pop3("user", command, "nobody", "--users", str(file), stdin=b"x\nx\n")
    assert result.exit_code == 1
    assert "pop3 user add" in result.output


@pytest.mark.parametrize("command", [["passwd", "ann"], ["remove", "ann"], ["list"]])
def test_a_missing_file_is_told_of_and_not_made(tmp_path: Path, command: list[str]) -> None:
    """A missing accounts file is an error, and is not created."""
    file = tmp_path / "users"
    result = pop3("user", *command, "--users", str(file))
    assert result.exit_code == 1
    assert "No such file" in result.output
    assert not file.exists()


@pytest.fixture
def cluster_config(cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """The configuration of a cluster with accounts of its own."""
    dsn = cluster.new_database()
    (tmp_path / "dsn").write_bytes(dsn.reveal())
    file = tmp_path / "cluster.toml"
    file.write_text('[mail]\nformat = "cluster"\n[cluster]\npostgresql_dsn_file = "dsn"\n')
    yield file
    cluster.drop(dsn)


def test_accounts_of_a_cluster(cluster_config: Path) -> None:
    """The commands change the table of a cluster as they change a file."""
    where = ("--config", str(cluster_config))
    place = "the table account of the cluster"
    known = f"ann already exists in {place}; to change its password, run `pop3 user passwd`"
    unknown = f"bob does not exist in {place}; to add it, run `pop3 user add`"
    for arguments, said in {
        ("add", "ann", "--password-stdin"): "Added ann.",
        ("add", "Bob", "--password-stdin"): "Added Bob.",
        ("add", "ann", "--password-stdin", ""): f"Error: {known}",
        ("passwd", "ann", "--password-stdin"): "Changed the password of ann.",
        ("passwd", "bob", "--password-stdin"): f"Error: {unknown}",
        ("list",): "Bob\nann",
        ("remove", "ann"): "Removed ann. Its mail was not deleted.",
        ("remove", "bob"): f"Error: {unknown}",
        ("list", ""): "Bob",
    }.items():
        result = pop3("user", *filter(None, arguments), *where, stdin=b"secret\n")
        assert result.output == f"{said}\n"
        assert result.exit_code == said.startswith("Error")


def test_accounts_of_a_configuration(tmp_path: Path) -> None:
    """With --config, the accounts are those of the configuration, if the command can change them."""
    file = tmp_path / "restante.toml"
    file.write_text('[mail]\nfolder = "."\n[accounts]\nusers = "users"\n')
    arguments = ("user", "add", "ann", "-c", str(file), "--password-stdin")
    assert pop3(*arguments, stdin=b"secret\n").output == "Added ann.\n"
    assert list(passwd_file.read(tmp_path / "users").by_name) == ["ann"]
    for source, advice in {
        'pam = "restante"\n': "requires the setting accounts.locks; then run",
        'ldap = "ldap://127.0.0.1"\n[ldap]\nbase = "dc=x"\n': "lock the entry in the directory;",
    }.items():
        file.write_text(f'[mail]\nfolder = "."\n[accounts]\n{source}')
        result = pop3(*arguments, stdin=b"secret\n")
        assert result.exit_code == 2
        assert "neither in a file nor in the table of a cluster" in result.output
        assert advice in result.output
    file.write_text("[mail\n")
    assert "Invalid configuration" in pop3(*arguments, stdin=b"secret\n").output


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ((), "Missing option '--users' or '--config': /nowhere.toml does not exist"),
        (("--users", "x", "--config", "y"), "--users and --config exclude each other; use one"),
    ],
)
def test_one_place_of_accounts(
    flags: tuple[str, ...], error: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Either a file or a configuration says where the accounts are."""
    monkeypatch.setattr(server, "DEFAULT_CONFIG", Path("/nowhere.toml"))
    result = pop3("user", "list", *flags)
    assert result.exit_code == 2
    assert error in result.output


def test_default_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without options, the accounts are those of the configuration at its usual place."""
    file = tmp_path / "restante.toml"
    file.write_text('[mail]\nfolder = "."\n[accounts]\nusers = "users"\n')
    monkeypatch.setattr(server, "DEFAULT_CONFIG", file)
    assert pop3("user", "add", "ann", "--password-stdin", stdin=b"secret").exit_code == 0
    assert pop3("user", "list", "--names").output == "ann\n"


def test_list_shows_what_distinguishes_accounts(tmp_path: Path) -> None:
    """`list` shows locks, keys and settings, and has them all in JSON, without a secret."""
    file = tmp_path / "users"
    add(file, "ann", b"secret")
    with file.open("a") as lines:
        stored = password_hashing.hash_password(Secret(b"x"))
        lines.write(f"bob:{stored}::::::nologin tls=required login_delay=5 expire_days=3\n")
        lines.write(f"cleo:{stored}:19000:0:99999:7::19500:\n")
        lines.write("dan:::::::secret=tanstaaf\n")
    result = pop3("user", "list", "--users", str(file))
    assert result.stdout == (
        "ann   SCRAM\n"
        "bob   locked by nologin, TLS required, login delay 5 s, mail expires after 3 days\n"
        "cleo  expired on 2023-05-23\n"
        "dan   secret\n"
    )
    printed = pop3("user", "list", "--json", "--users", str(file))
    ann, bob, cleo, dan = map(json.loads, printed.stdout.splitlines())
    assert (ann["scram"], ann["locked"]) == (["SCRAM-SHA-256"], None)
    assert (bob["locked"], bob["tls_required"], bob["expire_days"]) == ("nologin", True, 3)
    assert (cleo["locked"], cleo["expires"], dan["secret"]) == ("expired", "2023-05-23", True)
    assert "tanstaaf" not in printed.output


HASH = f"$6$saltsalt${'x' * 86}"
PAM = """\
[mail]
folder = "."
[accounts]
pam = "restante"
locks = "locks"
"""


def test_locks_of_a_source(tmp_path: Path) -> None:
    """A lock over PAM is in a list, which the other commands show and change."""
    file = tmp_path / "restante.toml"
    file.write_text(PAM)

    def run(*arguments: str) -> Result:
        return pop3("user", *arguments, "-c", str(file))

    assert run("lock", "nobody").output.startswith("Locked nobody. Its sessions end")
    assert (
        "Note: the account Nobody-here is not a user of the system; the list has Nobody-here as it"
        in run("lock", "Nobody-here").stderr
    )
    assert (tmp_path / "locks").read_text().splitlines()[1:] == ["nobody", "Nobody-here"]
    listed = run("list", "--json")
    assert [json.loads(line)["locked"] for line in listed.stdout.splitlines()] == [
        "accounts.locks"
    ] * 2
    assert listed.stderr == "This source cannot list its accounts, so only locked ones are shown.\n"
    assert run("unlock", "NOBODY-HERE").exit_code == 0
    assert run("list", "--names").stdout == "nobody\n"
    assert "nobody is not locked" not in run("unlock", "nobody").output
    again = run("unlock", "nobody")
    assert (again.exit_code, "nobody is not locked by accounts.locks" in again.stderr) == (1, True)
    assert (tmp_path / "locks").read_text().startswith("# Locked accounts")
    assert "change them where they are" in run("passwd", "nobody").output


def test_locks_beside_a_file(tmp_path: Path) -> None:
    """An account in a file is locked in its line; the list counts, too, until it is unlocked."""
    (tmp_path / "users").touch(0o600)
    (tmp_path / "users").write_text(f"ann:{HASH}\nbob:{HASH}\n")
    file = tmp_path / "restante.toml"
    file.write_text(PAM.replace('pam = "restante"', 'users = "users"'))
    (tmp_path / "locks").write_text("ANN\nzoe\n")
    assert pop3("user", "list", "-c", str(file)).stdout == (
        "ann  locked by accounts.locks\nbob\nzoe  locked by accounts.locks, no account here\n"
    )
    assert pop3("user", "unlock", "ann", "-c", str(file)).exit_code == 0
    assert "ann" not in (tmp_path / "locks").read_text()
    assert pop3("user", "lock", "bob", "-c", str(file)).exit_code == 0
    assert "nologin" in (tmp_path / "users").read_text()


def test_locks_in_a_cluster(cluster_config: Path) -> None:
    """A lock holds at all nodes, whether the accounts are in the table or in a node's file."""
    where = ("--config", str(cluster_config))
    assert pop3("user", "add", "ann", "--password-stdin", *where, stdin=b"secret\n").exit_code == 0
    assert " end at all nodes, within two seconds" in pop3("user", "lock", "ann", *where).output
    users = keep_accounts_in_a_file(cluster_config)
    assert " end at all nodes, within two seconds" in pop3("user", "lock", "ann", *where).output
    assert "nologin" not in users.read_text()
    assert pop3("user", "list", *where).stdout == "ann  locked by the administrator\nbob\n"
    assert pop3("user", "unlock", "ann", *where).output == "Unlocked ann.\n"
    assert pop3("user", "list", *where).stdout == "ann\nbob\n"


def test_removal_leaves_the_lock_of_a_cluster(cluster_config: Path) -> None:
    """A removal at one node opens no account at another, and the next account is noted as locked."""
    where = ("--config", str(cluster_config))
    keep_accounts_in_a_file(cluster_config)
    note = "Note: ann is locked until you run `pop3 user unlock`\n"
    label = pop3("user", "app-password", "add", "ann", "phone", *where)
    assert label.exit_code == pop3("user", "lock", "ann", *where).exit_code == 0
    assert pop3("user", "remove", "ann", *where).stderr == note
    text = "ann  locked by the administrator, no account here\n"
    assert pop3("user", "list", *where).stdout == f"bob\n{text}"
    assert pop3("user", "list", "--names", *where).stdout == "bob\n"
    bob, ann = map(json.loads, pop3("user", "list", "--json", *where).stdout.splitlines())
    assert (bob["has_account"], ann["has_account"]) == (True, False)
    assert pop3("user", "app-password", "list", *where).stdout == ""
    added = pop3("user", "add", "ann", "--password-stdin", *where, stdin=b"secret\n")
    assert (added.exit_code, added.stderr) == (0, note)
    assert pop3("user", "remove", "ann", *where).exit_code == 0
    assert pop3("user", "unlock", "ann", *where).output == "Unlocked ann.\n"
    assert "ann does not exist" in pop3("user", "unlock", "ann", *where).stderr


def test_lock_without_an_account(cluster_config: Path) -> None:
    """A lock is shown, whether or not the source that lists its accounts has its name."""
    where = ("--config", str(cluster_config))
    assert pop3("user", "add", "ann", "--password-stdin", *where, stdin=b"secret\n").exit_code == 0
    with cluster_config.open("a") as file:
        file.write(
            '[accounts]\npostgresql_dsn_file = "dsn"\npostgresql_list = "SELECT name FROM account"\n'
            'postgresql_query = "SELECT password FROM account WHERE name = $1"\n'
        )
    for name in ("ann", "zoe"):
        assert pop3("user", "lock", name, *where).exit_code == 0
    assert pop3("user", "list", *where).stdout == (
        "ann  locked by the administrator\nzoe  locked by the administrator, no account here\n"
    )
    assert pop3("user", "list", "--names", *where).stdout == "ann\n"


def test_names_that_cannot_be_looked_up(cluster_config: Path) -> None:
    """Without `ldap.base`, no name is known: the commands say so, and name the setting."""
    need_module("ldap")
    where = ("--config", str(cluster_config))
    with cluster_config.open("a") as file:
        file.write('[accounts]\nldap = "ldap://127.0.0.1:1"\n[ldap]\nuser_dn = "uid={user},dc=x"\n')
    text = "the account ann cannot be looked up until ldap.base is set"
    added = pop3("user", "app-password", "add", "ann", "phone", *where)
    assert (added.exit_code, added.stderr) == (1, f"Error: {text}\n")
    locked = pop3("user", "lock", "ann", *where)
    assert (locked.exit_code, locked.stderr) == (0, f"Note: {text}; the list has ann as it is\n")


def test_old_lock_of_a_line(cluster_config: Path) -> None:
    """A line that was locked before the cluster had locks is unlocked as before."""
    where = ("--config", str(cluster_config))
    users = keep_accounts_in_a_file(cluster_config)
    assert pop3("user", "lock", "bob", "--users", str(users)).exit_code == 0
    assert pop3("user", "list", *where).stdout == "ann\nbob  locked by nologin\n"
    assert pop3("user", "unlock", "bob", *where).exit_code == 0
    assert pop3("user", "list", *where).stdout == "ann\nbob\n"


def keep_accounts_in_a_file(config: Path) -> Path:
    """Give a cluster accounts in a file, and return the file."""
    users = config.parent / "users"
    users.touch(0o600)
    users.write_text(f"ann:{HASH}\nbob:{HASH}\n")
    with config.open("a") as file:
        file.write('[accounts]\nusers = "users"\n')
    return users
