"""What docs/how-to/migrate.md says of other servers, and its commands, with a real Dovecot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import pop3
from support.live import Client
from support.process import POP3, serving
from support.programs import need
from verify import dovecot as site

PAGE = (Path(__file__).parents[2] / "docs/how-to/migrate.md").read_text()
BLOCKS: list[str] = re.findall(r"(?:^    \S.*\n(?:     .*\n)*)+", PAGE, re.MULTILINE)
USERDB = "ann@example.com\tuid=8|gid=8|home=/srv|mail=/srv/ann|systempw={hash}\nbob\tuid=8|gid=8\n"

ODD = [
    *("new/plain", "new/101.a", "new/102.b,S=18", "cur/103.c:2,", "cur/104.d,S=18,W=21:2,S"),
    *("new/105.with space", f"new/106.{'l' * 90}", "cur/107.e,U=5:2,RS", "new/108.\u00e9"),
    *("cur/109.:odd:x", "cur/110.f,X=1:2,Sab", "cur/111.g"),
]
SAVED = {"%08Xu%08Xv": "", "%v-%u": "pop3_save_uidl = yes\n", "%Xu.%v": ""}
NAMESPACE = "namespace inbox {{\n inbox = yes\n}}\n"  # as Debian has it


def deliver(file: Path) -> None:
    """Put a message into a Maildir of Dovecot's."""
    file.write_text("Subject: 1\n\nhello\n")
    os.chown(file, *site.OWNER)


def block(word: str) -> str:
    """Return the commands of the page in which this word stands."""
    (found,) = (block for block in BLOCKS if word in block)
    return found


def shell(commands: str, folder: Path) -> str:
    """Run commands of the page in a folder, and return what they print."""
    environment = {**os.environ, "PATH": f"{POP3.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", commands],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stdout


def configured(folder: Path, form: str) -> Path:
    """Write a configuration with the line of the page, for this format."""
    text = block("unique_ids").replace("/srv/mail", str(folder / "mail"))
    (folder / "mail").mkdir(exist_ok=True)
    file = folder / "restante.toml"
    file.write_text(textwrap.dedent(text).replace("%08Xu%08Xv", form))
    return file


def unique_ids(port: int) -> list[str]:
    """Return the unique-ids that a server gives Ann's messages."""
    with Client(port) as client:
        client.log_in("ann@example.com", "secret")
        assert client.say("UIDL").startswith(b"+OK")
        found = [line.split()[1].decode() for line in client.read_lines()]
        assert client.say("QUIT").startswith(b"+OK")
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Dovecot's processes, which are nobody's, may look into."""
    with tempfile.TemporaryDirectory(prefix="restante-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("%f", False),
        ("%g", False),
        ("%08Xu%08Xv", False),
        ("%08Xu%08Xv", True),
        ("%v-%u", False),
        ("%v-%u", True),
        ("%v.%u", True),
    ],
)
def test_unique_ids_stay_where_the_page_says_so_and_only_there(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, form: str, line: bool
) -> None:
    monkeypatch.setattr(site, "CONFIG", site.CONFIG.replace("%08Xu%08Xv", form))
    (tmp_path / "password").write_text("secret\n")
    stay = line or form in {"%f", "%g"}
    flags: list[str | Path] = ["--config", configured(tmp_path, form)] if line else []
    with site.dovecot(folder, "secret") as old, serving(tmp_path, *flags) as new:
        theirs = site.maildir(folder, "ann@example.com")
        for number in range(12):
            fields = ",S=19,W=22" if number % 3 else ""
            place = f"cur/{1_764_036_000 + number}.M{number}P1.mail{fields}:2,S"
            (theirs / place).write_text(f"Subject: {number % 10}\n\nhello\n")
            os.chown(theirs / place, *site.OWNER)
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        unique_ids(old)  # Dovecot numbers them
        shutil.copytree(theirs, ours)
        commands = block("diff old new").replace("127.0.0.1:1110", f"127.0.0.1:{new.port}")
        said = shell(commands.replace("127.0.0.1:110", f"127.0.0.1:{old}"), tmp_path)
    assert len((tmp_path / "new").read_text().splitlines()) == 12
    assert len((tmp_path / "old").read_text().splitlines()) == 12
    assert (said == "") is stay, said


@pytest.mark.parametrize("form", ["%08Xu%08Xv", "%v-%u", "%Xu.%v"])
def test_unique_ids_of_odd_mail_stay_through_deliveries_flags_and_removals(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """R1939-7.4, R1939-7.5."""
    monkeypatch.setattr(site, "CONFIG", site.CONFIG.replace("%08Xu%08Xv", form) + SAVED[form])
    with site.dovecot(folder, "secret") as old:
        theirs = site.maildir(folder, "ann@example.com")
        for name in ODD:
            deliver(theirs / name)
        unique_ids(old)
        deliver(theirs / "new/90.later,S=18")  # its name is earlier, its number later
        (theirs / "cur/103.c:2,").unlink()
        before = unique_ids(old)
    assert len(before) == len(ODD)
    with serving(tmp_path, "--config", configured(tmp_path, form)) as new:
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        shutil.copytree(theirs, ours)
        assert sorted(unique_ids(new.port)) == sorted(before)
        deliver(ours / "new/1764036999.fresh")
        flagged = next((ours / "cur").glob("107.*"))
        flagged.rename(flagged.with_name(f"{flagged.name}F"))
        for path in (ours / "cur").glob("plain*"):
            path.unlink()
        after = unique_ids(new.port)
    assert after[-1] == "1764036999.fresh"
    assert set(after[:-1]) < set(before)
    assert len(set(after)) == len(before)


@pytest.mark.parametrize("kind", ["sdbox", "mdbox", "mbox"])
def test_unique_ids_stay_when_dovecots_other_formats_become_a_maildir(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    program = need("doveadm")
    other = site.CONFIG.replace("= maildir:", f"= {kind}:") + NAMESPACE
    monkeypatch.setattr(site, "CONFIG", other)
    with site.dovecot(folder, "secret") as old:
        os.chown(folder, *site.OWNER)
        doveadm = [program, "-c", str(folder / "dovecot.conf")]
        for number in range(4):
            save = [*doveadm, "save", "-u", "ann@example.com"]
            subprocess.run(save, input=b"Subject: %d\n\nx\n" % number, check=True, timeout=60)
        with Client(old) as client:
            client.log_in("ann@example.com", "secret")
            assert client.say("DELE 2").startswith(b"+OK")
            assert client.say("QUIT").startswith(b"+OK")
        before = unique_ids(old)
        assert len(before) == 3
        command = block("doveadm -o").replace("doveadm", " ".join(doveadm))
        shell(command.replace("/srv/mail/ann@example.com", str(folder / "maildir")), folder)
    with serving(tmp_path, "--config", configured(tmp_path, "%08Xu%08Xv")) as new:
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        shutil.copytree(folder / "maildir", ours)
        assert unique_ids(new.port) == before


def test_the_page_says_of_dovecots_formats_what_was_seen() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| Dovecot,")]
    assert [row.split("|")[3].strip() for row in rows] == [
        "stay",
        "stay, with a line as below",
        "stay, as [a Maildir](#mail) with that line",
    ]
    assert "%f` or `%g" in rows[0]
    assert "%08Xu%08Xv" in rows[1]
    assert "%v-%u" in rows[1]


def test_a_passwd_file_of_dovecot_is_taken_and_useless_lines_are_told(tmp_path: Path) -> None:
    users = tmp_path / "users"
    added = pop3("user", "add", "ann", "--password-stdin", "--users", users, stdin=b"a\n")
    assert added.code == 0, added.err
    good = users.read_text().split(":")[1]
    users.write_text(
        f"ann:{{ARGON2ID}}{good}:5000:5000::/srv/mail/ann::userdb_quota=1G\n"
        "bob:{SSHA}c2FsdHNhbHRzYWx0c2FsdHNhbHQ=\n"
    )
    listed = block("pop3 user list").splitlines()[1].replace("/etc/restante/users", str(users))
    shell(listed, tmp_path)
    assert (tmp_path / "names").read_text() == "ann\n"
    assert "bob" in pop3("user", "list", "--users", users).err


def test_a_userdb_of_courier_becomes_a_file_of_accounts(tmp_path: Path) -> None:
    need("awk")
    stored = "$6$salt$" + "x" * 86
    (tmp_path / "userdb").write_text(USERDB.format(hash=stored))
    shell(block("systempw").replace("/etc/courier/", "").replace("/etc/restante/", ""), tmp_path)
    assert (tmp_path / "users").read_text() == f"ann@example.com:{stored}\n"
    assert pop3("user", "list", "--users", tmp_path / "users").out == "ann@example.com\n"
