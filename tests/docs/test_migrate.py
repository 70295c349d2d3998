"""What docs/how-to/migrate.md says of other servers, and its commands, with a real Dovecot."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import pop3
from support.process import POP3, serving
from support.programs import need
from verify import dovecot as site

PAGE = (Path(__file__).parents[2] / "docs/how-to/migrate.md").read_text()
BLOCKS: list[str] = re.findall(r"(?:^    \S.*\n(?:     .*\n)*)+", PAGE, re.MULTILINE)
USERDB = "ann@example.com\tuid=8|gid=8|home=/srv|mail=/srv/ann|systempw={hash}\nbob\tuid=8|gid=8\n"


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


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that Dovecot's processes, which are nobody's, may look into."""
    with tempfile.TemporaryDirectory(prefix="restante-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    ("form", "stay"), [("%f", True), ("%g", True), ("%08Xu%08Xv", False), ("%v-%u", False)]
)
def test_unique_ids_stay_where_the_page_says_so_and_only_there(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, form: str, stay: bool
) -> None:
    monkeypatch.setattr(site, "CONFIG", site.CONFIG.replace("%08Xu%08Xv", form))
    (tmp_path / "password").write_text("secret\n")
    with site.dovecot(folder, "secret") as old, serving(tmp_path) as new:
        theirs = site.maildir(folder, "ann@example.com")
        for number in range(12):
            fields = ",S=19,W=22" if number % 3 else ""
            place = f"cur/{1_764_036_000 + number}.M{number}P1.mail{fields}:2,S"
            (theirs / place).write_text(f"Subject: {number % 10}\n\nhello\n")
            os.chown(theirs / place, *site.OWNER)
        ours = new.add("ann@example.com", "secret")
        shutil.rmtree(ours)
        shutil.copytree(theirs, ours)
        commands = block("diff old new").replace("127.0.0.1:1110", f"127.0.0.1:{new.port}")
        said = shell(commands.replace("127.0.0.1:110", f"127.0.0.1:{old}"), tmp_path)
    assert len((tmp_path / "new").read_text().splitlines()) == 12
    assert len((tmp_path / "old").read_text().splitlines()) == 12
    assert (said == "") is stay, said


def test_the_page_says_of_dovecots_formats_what_was_seen() -> None:
    rows = [line for line in PAGE.splitlines() if line.startswith("| Dovecot,")]
    assert [row.split("|")[3].strip() for row in rows] == ["stay", "change, but see below"]
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
