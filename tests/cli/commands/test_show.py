"""`pop3 show` and `ls` with odd mail: every message is shown, and every part can be had."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import pexpect
import pytest

from restante.misbehave.changes import instead
from support.command import pop3
from support.faulty_server import PASSWORD, faulty_server
from support.odd_mail import VALUES
from support.process import POP3
from support.small_disks import small_disk

PNG = b"\x89PNG\r\n\x1a\n\0\0"
LATIN = "Größe;1\r\n".encode("latin-1")
PARTS = (
    b"From: Ann <ann@example.com>\r\nReply-To: office@example.com\r\nMessage-ID: <1@example.com>\r\n"
    b"Subject: Parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\n<p>Gr&uuml;&szlig;e</p><script>no</script>\r\n"
    b"--b\r\nContent-Type: text/csv; charset=iso-8859-1; name=size.csv\r\n\r\n" + LATIN + b"\r\n"
    b"--b\r\nContent-Type: text/plain; name=plain.txt\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"/gD/\r\n"
    b"--b\r\nContent-Type: image/png; name=size.csv\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"iVBORw0KGgoAAA==\r\n"
    b"--b\r\nContent-Type: message/rfc822\r\nContent-Disposition: attachment; filename=old.eml\r\n\r\n"
    b"Subject: old\r\n\r\ninner\r\n\r\n--b--\r\n"
)
C1 = (
    b"From: =?utf-8?q?=C2=9B31m?= <x@example.com>\r\nSubject: =?utf-8?b?4oCucmVk4oGm?= \xc2\x9b1m \x7f\r\n"
    b"Content-Type: text/plain; name*=utf-8''%C2%9B%E2%80%AE.txt\r\n\r\n\xc2\x9b2J\xe2\x80\xae\r\n"
)


def test_parts_are_saved_as_they_were_sent(tmp_path: Path) -> None:
    """--save, --save-all, --output and a pipe get the transfer-decoded octets."""
    with faulty_server(messages=(PARTS,)) as running:
        where = running.url
        shown = pop3("show", where, 1).out
        pop3("show", where, 1, "--part", 2, "--save", tmp_path)
        again = pop3("show", where, 1, "--save-all", tmp_path)
        pop3("show", where, 1, "--part", 3, "--output", tmp_path / "mine")
        taken = pop3("show", where, 1, "--output", tmp_path / "mine")
    assert (tmp_path / "size.csv").read_bytes() == LATIN
    assert (tmp_path / "size (2).csv").read_bytes() == LATIN
    assert (tmp_path / "size (3).csv").read_bytes() == PNG
    assert (tmp_path / "old.eml").read_bytes() == b"Subject: old\r\n\r\ninner\r\n"
    assert (
        (tmp_path / "mine").read_bytes() == (tmp_path / "plain.txt").read_bytes() == b"\xfe\0\xff"
    )
    assert taken.code == 2
    assert "nothing was saved: " in taken.err
    assert taken.err.endswith(": File exists; choose another path\n")
    assert len(again.out.splitlines()) == 4
    assert "Reply-To: office@example.com\nSubject: Parts\nMessage-ID: <1@example.com>\n" in shown
    assert "\n\nGrüße\n[part 2: text/csv, size.csv, 9 B]\n" in shown
    assert "no" not in shown.partition("\n\n")[2].replace("not", "")


def test_a_binary_part_is_not_printed_on_a_terminal(tmp_path: Path) -> None:
    """A terminal gets text; of a picture it is said how to save it."""
    with faulty_server(messages=(PARTS,)) as running:
        words = ["show", running.url, "1", "--part"]
        environment = {
            "POP3_PASSWORD": PASSWORD,
            "TERM": "dumb",
            "PATH": "/usr/bin",
            "COLUMNS": "200",
        }
        environment["LC_ALL"] = "C.UTF-8"

        def said(part: int) -> str:
            return str(
                pexpect.run(
                    shlex.join([str(POP3), *words, str(part)]),
                    env=environment,
                    encoding="utf-8",
                    timeout=60,
                )
            )

        assert "part 4: image/png, size.csv, 10 B is binary; add --save DIR" in said(4)
        assert said(2) == "Größe;1\r\n"
        assert said(1) == "Grüße\r\n"


def test_nothing_in_a_message_reaches_the_terminal_raw(tmp_path: Path) -> None:
    """C1 controls and changes of direction are escaped, in JSON by its own escapes."""
    with faulty_server(messages=(C1,)) as running:
        where = running.url
        listed = pop3("ls", where, "--json")
        ran = [
            listed,
            pop3("ls", where),
            pop3("show", where, 1),
            pop3("show", where, 1, "--headers"),
            pop3("show", where, 1, "--part", 1, "--save", tmp_path),
            pop3("rm", where, 1),
            pop3("shell", where, stdin=b"ls\nshow 1\nraw 1\nrm 1\nrset\n"),
            pop3("check", where, "-v"),
        ]
    assert all(each.isprintable() or each == "\n" for one in ran for each in one.out + one.err)
    assert json.loads(listed.out)[0]["subject"] == "\u202ered\u2066 \x9b1m \x7f"
    (saved,) = tmp_path.iterdir()
    assert saved.name.isprintable()


@pytest.mark.parametrize("field", ["Content-Type", "From", "Date", "Subject"])
def test_one_bad_message_blocks_nothing(field: str) -> None:
    """Every message has a row and can be shown, whatever its fields have."""
    bad = [value for value in VALUES if len(value) < 20_000 and b"\n" not in value]
    messages = [field.encode() + b": " + value + b"\r\n\r\nBody.\r\n" for value in bad]
    with faulty_server(messages=messages) as running:
        where = running.url
        listed = pop3("ls", where)
        assert listed.code == 0
        assert len(listed.out.splitlines()) == len(messages) + 1
        assert all(len(line.split()) > 3 for line in listed.out.splitlines())
        script = "".join(f"show {number}\n" for number in range(1, len(messages) + 1))
        shown = pop3("shell", where, stdin=script.encode())
        assert shown.out.count("Body.") >= len(messages) - 2, shown.err
        assert '"' in pop3("rm", where, 2).out


def test_full_folder_of_temporary_files(tmp_path: Path) -> None:
    """If the disk of the temporary files is full, the error names their folder."""
    message = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 60_000
    with faulty_server(messages=(message,)) as running, small_disk(tmp_path / "disk") as disk:
        ran = pop3("show", running.url, 1, "--output", tmp_path / "out", TMPDIR=str(disk))
    assert ran.code == 12, ran
    assert f"Error: {disk}: No space left on device; free some space" in ran.err


def test_a_message_without_end_has_a_ceiling(tmp_path: Path) -> None:
    """More than --max-size is not fetched, whatever LIST said."""
    endless = b"+OK\r\n" + b"a" * 200_000
    with faulty_server(instead("RETR", endless)) as running:
        ran = pop3("show", running.url, 1, "--max-size", "100k", "--save", tmp_path)
    assert ran.code == 11
    assert "more than 102 kB" in ran.err or "more than 100" in ran.err
    assert not list(tmp_path.iterdir())
    with faulty_server("LIST: with 1 9999999999") as running:
        ran = pop3("show", running.url, 1)
        assert "RETR 1" not in running.commands
    assert ran.code == 11
    assert "--max-size" in ran.err


def test_big_heads_are_not_kept() -> None:
    """60 heads of 2 MB take no more memory than their beginnings."""
    head = b"Subject: big\r\n" + (b"X: " + b"a" * 990 + b"\r\n") * 2000 + b"\r\n"
    with faulty_server(messages=(head,) * 60) as running:
        code = (
            "from pathlib import Path; from restante.cli.main import main\n"
            "try: main()\n"  # ru_maxrss would be that of the process which forks
            'finally: print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])'
        )
        done = pexpect.run(
            shlex.join([sys.executable, "-c", code, "ls", running.url]),
            env={"POP3_PASSWORD": PASSWORD, "PATH": "/usr/bin", "COLUMNS": "100"},
            encoding="utf-8",
            timeout=300,
        )
    assert done.count("big") == 60
    assert int(str(done).split()[-1]) < 110_000  # KiB
