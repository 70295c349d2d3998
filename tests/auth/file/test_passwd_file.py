"""The file of accounts."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from restante.auth.file import passwd_file
from restante.auth.file.passwd_entry import replace_credentials
from restante.auth.passwords import hashing as password_hashing
from restante.protocol.secret import Secret

HASH = password_hashing.hash_password(Secret(b"secret"))
OTHER = "$6$abcdefgh$" + "a" * 86


def test_dovecot_and_apache_files(tmp_path: Path) -> None:
    """A passwd-file of Dovecot or Apache is read as it is."""
    file = tmp_path / "users"
    file.touch(0o600)
    file.write_text(
        f"# a comment\n\nann:{HASH}\nbob@example.com:{{SHA512-CRYPT}}{OTHER}:1000:1000::/bob::\r\n"
        f"Jürgen Groß:{OTHER}"
    )
    accounts = passwd_file.read(file)
    assert accounts.problems == []
    assert {name: account.hash for name, account in accounts.by_name.items()} == {
        "ann": HASH,
        "bob@example.com": "{SHA512-CRYPT}" + OTHER,
        "Jürgen Groß": OTHER,
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="root: a test gives a file to another user")
def test_owner_stays(tmp_path: Path) -> None:
    """A change by root leaves the owner, the group and the mode, so that the server can read it."""
    file = tmp_path / "users"
    file.touch()
    os.chown(file, 0, 65534)
    file.chmod(0o640)
    with passwd_file.edit(file) as lines:
        lines.append(f"ann:{HASH}")
    status = file.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (0, 65534, 0o640)


def test_bad_line_is_named(tmp_path: Path) -> None:
    """A bad line is reported with its place, and the other accounts stay usable."""
    file = tmp_path / "users"
    file.touch(0o600)
    file.write_bytes(
        f"ann:{HASH}\nbob\ncarl:{{OTP}}x\n../../etc:{HASH}\nann:{OTHER}\n".encode()
        + b"\xff\xfe:"
        + HASH.encode()
        + b"\n"
    )
    accounts = passwd_file.read(file)
    assert list(accounts.by_name) == ["ann"]
    assert accounts.by_name["ann"].hash == HASH
    assert [problem.split(":")[1] for problem in accounts.problems] == ["2", "3", "4", "5", "6"]
    assert "duplicate account name" in accounts.problems[3]
    assert not any("PLAIN" in problem or OTHER in problem for problem in accounts.problems)


def told(file: Path, *lines: str) -> list[str]:
    """Return what is wrong with a file of these lines, after its name."""
    file.touch(0o600)
    file.write_text("".join(f"{line}\n" for line in lines))
    return [problem.removeprefix(f"{file}:") for problem in passwd_file.read(file).problems]


@pytest.mark.parametrize(
    ("fields", "doubt"),
    [
        ("::::::TLS=required", "'TLS' is not a known field (did you mean tls?)"),
        ("::::::tls_required", "'tls_required' is not a known field (did you mean tls="),
        ("::::::expire_day=3", "'expire_day' is not a known field (did you mean expire_"),
        ("::::::no_login=y", "'no_login' is not a known field (did you mean nologin?)"),
        ("::::::department=sales", "'department' is not a known field, so it has no"),
        ("::::::secret=x expire_day=3", "'expire_day' is not a known field (did you"),
        (":::::tls=required", "tls= in field 7 has no effect; its place is the eighth field"),
        (":tls=required", "tls= in field 3 has no effect; its place is the eighth field"),
        (":::Ann secret=x:", "secret= in field 5 has no effect; its place is the eighth field"),
        ("::::login_delay=5", "login_delay= in field 6 has no effect; its place is the eighth"),
        (":::::nopassword", "nopassword in field 7 has no effect; its place is the eighth field"),
        (":::::userdb_mail=x", "userdb_mail= in field 7 has no effect; its place is the eighth"),
        ("::::::user=sales", "user= has no effect: the account has the mail of its own name"),
        ("::::::nopassword", "nopassword has no effect: every login requires the password"),
    ],
)
def test_a_word_that_has_no_effect_is_told_of(tmp_path: Path, fields: str, doubt: str) -> None:
    """A field without effect is reported by its name only."""
    (problem,) = told(tmp_path / "users", f"ann:{HASH}{fields}")
    assert problem.startswith(f"1: 'ann': {doubt}")
    assert not {"required", "sales", "=3"} & set(problem.split())


@pytest.mark.parametrize(
    "words",
    [
        "secret=two hunter2",
        "secert=two hunter2",
        "secret=aa hunter2=",
        "pass=two tlshunter2",
        "hunter2",
    ],
)
def test_what_may_be_a_piece_of_a_secret_is_not_told(tmp_path: Path, words: str) -> None:
    """A report about a line contains no part of a secret."""
    problems = told(tmp_path / "users", f"ann:{HASH}::::::{words}")
    assert problems
    assert "hunter2" not in "".join(problems)
    assert "two" not in "".join(problems)


def test_harmless_dovecot_fields(tmp_path: Path) -> None:
    """Fields of Dovecot that restrict no login are not reported."""
    words = "userdb_mail=maildir:~/mail userdb_quota_rule=*:storage=1G nodelay=y event_a=b"
    shell = "1000:1000:Ann,Room=5:/home/ann:/usr/sbin/nologin"
    assert told(tmp_path / "users", f"ann:{HASH}:{shell}:{words} k5principals=a") == []


def test_quota_without_its_prefix(tmp_path: Path) -> None:
    """A quota that is written as in Dovecot's settings has no effect, and is reported."""
    (told_of,) = told(tmp_path / "users", f"ann:{HASH}::::::quota_rule=*:storage=1G")
    assert "'quota_rule' is not a known field (did you mean userdb_quota_rule?)" in told_of


def test_a_restriction_that_is_not_kept_to_is_told_of(tmp_path: Path) -> None:
    """A restriction that is not supported locks the account and is reported."""
    (problem,) = told(
        tmp_path / "users",
        f"ann:{HASH}::::::allow_real_nets:protected=10.0.0.0/8",
        f"bob:{HASH}::::::nologin=y reason=gone",
        f"c:{HASH}",
    )
    assert (
        problem
        == "1: 'ann' cannot log in: allow_real_nets restricts logins in a way that is not supported"
    )


@pytest.mark.parametrize(
    ("fields", "networks"),
    [
        ("::::::allow_nets=10.0.0.0/8", ("10.0.0.0/8",)),
        ("::::::tls=required allow_nets:protected=10.1.2.3,LOCAL", ("10.1.2.3", "local")),
        ("::::::allow_nets=10.0.0.0/8,", ()),
        ("::::::allow_nets", ()),
        ("::::::allow_nets=", ()),
        ("::::::ALLOW_NETS=10.0.0.0/8", ()),
        ("::::::allow_nets=10.0.0.0/8 allow_nets=192.0.2.1", ()),
        ("::::::allow_nets=10.0.0.0/8 192.0.2.1", ("10.0.0.0/8",)),
        (":::::allow_nets=10.0.0.0/8", ()),
        (":::::allow_nets=10.0.0.0/8:allow_nets=10.0.0.0/8", ()),
        (":::::::allow_nets=10.0.0.0/8", ()),
    ],
)
def test_allowed_networks(tmp_path: Path, fields: str, networks: tuple[str, ...]) -> None:
    """A list of networks in the eighth field counts; one that is not in order locks the account."""
    file = tmp_path / "users"
    problems = told(file, f"ann:{HASH}{fields}", f"bob:{HASH}")
    ann = passwd_file.read(file).by_name["ann"]
    assert ann.identity.networks == networks
    assert ann.lock == ("" if networks else "allow_nets")
    assert any("'ann' cannot log in: allow_nets" in problem for problem in problems) != bool(
        networks
    )


@pytest.mark.parametrize(("mode", "what"), [(0o644, "read"), (0o604, "read"), (0o666, "change")])
def test_a_file_that_is_open_to_strangers_is_told_of(tmp_path: Path, mode: int, what: str) -> None:
    """A file that other users can read or write is reported."""
    file = tmp_path / "users"
    file.write_text(f"ann:{HASH}\n")
    file.chmod(mode)
    (problem,) = passwd_file.read(file).problems
    assert f"all users of this machine can {what} it (mode {mode:04o})" in problem
    assert problem.endswith(f"chmod 600 {file}")
    file.chmod(0o640)
    assert passwd_file.read(file).problems == []


@pytest.mark.parametrize("lines", [[], ["# nobody yet"], ["ann:x"], [f"ann:{HASH}::::::nologin"]])
def test_a_file_in_which_nobody_can_log_in_is_told_of(tmp_path: Path, lines: list[str]) -> None:
    """A file without an account that can log in is reported."""
    problem = told(tmp_path / "users", *lines)[-1]
    assert problem == " it has no account that can log in; `pop3 user add` adds one"


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../../etc",
        "a/b",
        "a:b",
        "a\nb",
        "a\0b",
        "#a",
        ".hidden",
        " a",
        "a ",
        "x" * 256,
        "ä" * 128,  # of two octets each: no client could log in
    ],
)
def test_unsafe_names_rejected(name: str) -> None:
    """A name that could be a path, or break a line, is rejected."""
    assert passwd_file.name_problem(name)


@pytest.mark.parametrize(
    "name", ["ann", "ann@example.com", "O'Neil, Ann", "jürgen", "a-b_c+d", "-n"]
)
def test_a_usual_name_is_fine(name: str) -> None:
    """Usual names are valid."""
    assert passwd_file.name_problem(name) is None


def test_edit_keeps_the_rest(tmp_path: Path) -> None:
    """An edited file keeps its mode, its comments and the fields of other accounts."""
    file = tmp_path / "users"
    file.write_text(f"# kept\nann:{OTHER}:1000:1000::/home/ann:/bin/sh\nbob:{OTHER}\n")
    file.chmod(0o640)
    with passwd_file.edit(file) as lines:
        place = passwd_file.index_of(lines, "ann")
        assert place is not None
        lines[place] = replace_credentials(lines[place], HASH, {})
    assert file.read_text() == f"# kept\nann:{HASH}:1000:1000::/home/ann:/bin/sh\nbob:{OTHER}\n"
    assert file.stat().st_mode & 0o777 == 0o640
    assert list(tmp_path.iterdir()) == [file]


def test_a_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    """A change writes to the target of a symbolic link and keeps the link."""
    (tmp_path / "real").write_text("")
    link = tmp_path / "users"
    link.symlink_to("real")
    with passwd_file.edit(link) as lines:
        lines.append(f"ann:{HASH}")
    assert link.is_symlink()
    assert (tmp_path / "real").read_text() == f"ann:{HASH}\n"


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    """A new file can be read only by its owner."""
    file = tmp_path / "users"
    with passwd_file.edit(file) as lines:
        lines.append(f"ann:{HASH}")
    assert file.stat().st_mode & 0o777 == 0o600


def test_an_error_on_the_way_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk is full, the file stays as it was."""
    file = tmp_path / "users"
    file.write_text("ann:x\n")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), passwd_file.edit(file) as lines:
        lines.append("bob:x")
    assert file.read_text() == "ann:x\n"
    assert list(tmp_path.iterdir()) == [file]


def test_a_change_is_durable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a power cut, the name of the file means the new one: its folder is synced last."""
    synced = []
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_ino))
    file = tmp_path / "users"
    with passwd_file.edit(file) as lines:
        lines.append(f"ann:{HASH}")
    assert synced == [file.stat().st_ino, tmp_path.stat().st_ino]


def test_many_changes_at_once_are_all_kept(tmp_path: Path) -> None:
    """Changes that several threads make at once are all kept."""
    file = tmp_path / "users"

    def add(number: int) -> None:
        for step in range(10):
            with passwd_file.edit(file) as lines:
                lines.append(f"user{number}-{step}:x")

    threads = [threading.Thread(target=add, args=[number]) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(passwd_file.read_lines(file))) == 50
