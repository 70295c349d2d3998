"""A script piped into `pop3 shell`."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from cli.shell.terminal import PASSWORD, environment, play, small_server
from support.command import pop3
from support.faulty_server import faulty_server
from support.live import PATIENCE
from support.process import POP3, Served


def left(maildir: Path) -> int:
    return sum(1 for part in ("new", "cur") for _ in (maildir / part).iterdir())


def test_a_script_prints_only_what_its_commands_say(account: str, tmp_path: Path) -> None:
    """A script prints only the output of its commands."""
    played = play(account, tmp_path, "# a comment", "", "STAT", "LIST 1")
    assert played.stdout == f"  > STAT\n  < +OK 3 {115 + 441 + 72}\n  > LIST 1\n  < +OK 1 115\n"
    assert (played.stderr, played.returncode) == ("", 0)


def test_a_script_gets_whole_subjects(server: Served, tmp_path: Path) -> None:
    """The list of a script is as wide as its subjects, as that of `pop3 ls` in a pipe."""
    subject = "A subject of more than eighty columns " * 3
    server.add("longwinded", PASSWORD, f"Subject: {subject}\n\nHello.\n".encode())
    played = play(f"pop3://longwinded@127.0.0.1:{server.port}", tmp_path, "ls")
    assert subject.strip() in played.stdout


def test_interrupted_script(tmp_path: Path) -> None:
    """Ctrl-C ends a script, and what follows in it is not carried out."""
    with small_server("NOOP: silence") as server:
        with subprocess.Popen(
            [POP3, "shell", server.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=environment(tmp_path),
            cwd=tmp_path,
        ) as shell:
            assert shell.stdin is not None
            shell.stdin.write(b"rm 1\nNOOP\ncommit\n")
            shell.stdin.close()
            ends = time.monotonic() + PATIENCE
            while "NOOP" not in server.commands and time.monotonic() < ends:
                time.sleep(0.01)
            shell.send_signal(signal.SIGINT)
            assert shell.wait(PATIENCE) in {130, -signal.SIGINT}
    assert server.commands[-1] == "NOOP"


def test_full_disk_of_the_output(account: str, tmp_path: Path) -> None:
    """Output that cannot be written ends a script with an error, as it ends other commands."""
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(
            [POP3, "shell", account],
            input=b"ls\n",
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment(tmp_path),
            cwd=tmp_path,
            check=False,
        )
    assert ended.returncode == 12
    assert ended.stderr.startswith(b"pop3: the output cannot be written")


@pytest.mark.parametrize("end", [(), ("quit",), ("QUIT",)])
def test_a_script_deletes_nothing_without_commit(
    account: str, maildir: Path, tmp_path: Path, end: tuple[str, ...]
) -> None:
    """A script without `commit` deletes nothing and exits with 1."""
    played = play(account, tmp_path, "rm 1", "DELE 2", *end)
    assert left(maildir) == 3
    assert played.stderr == (
        '2 messages are marked but were not deleted. End the script with "commit".\n'
    )
    assert played.returncode == 1


def test_a_script_deletes_by_commit(account: str, maildir: Path, tmp_path: Path) -> None:
    """`commit` deletes the marked messages, and the script goes on."""
    played = play(account, tmp_path, "rm 1-2", "commit", "STAT")
    assert "2 messages deleted.\nReconnecting.\n  > STAT\n  < +OK 1 " in played.stdout
    assert played.returncode == 0
    assert left(maildir) == 1


@pytest.mark.parametrize("line", ["DELE 9", f"DELE {'9' * 5000}", "rm 9", "nonsense", "commit"])
def test_failed_command_exits_with_1(account: str, tmp_path: Path, line: str) -> None:
    """A script goes on after a failed command, and exits with 1."""
    played = play(account, tmp_path, line, "STAT", "QUIT")
    assert "  < +OK 3 " in played.stdout
    assert played.returncode == 1


def test_a_script_needs_its_password_from_outside(account: str, tmp_path: Path) -> None:
    """A script without a password is an error that names the variable for it."""
    played = play(account, tmp_path, password=None)
    assert played.returncode == 2
    assert "POP3_PASSWORD" in played.stderr


def test_a_wrong_password_is_told_once(account: str, tmp_path: Path) -> None:
    """A wrong password ends a script with the verdict and its exit code."""
    played = play(account, tmp_path, password="sesame")
    assert played.returncode == 7
    assert played.stderr.startswith("FAIL auth-failed  ")
    assert "sesame" not in played.stderr


def test_untrusted_certificate_needs_flag(tmp_path: Path) -> None:
    """A certificate that cannot be verified is accepted only with -k."""
    with faulty_server("tls-selfsigned", password=PASSWORD) as running:
        account = f"pop3s://ann@127.0.0.1:{running.tls_port}"
        played = play(account, tmp_path)
        assert played.returncode == 5
        assert played.stderr.startswith("FAIL tls-selfsigned  ")
        played = play(account, tmp_path, "info", flags=["-k"])
    assert "  TLS         TLSv1.3 " in played.stdout
    assert played.returncode == 0


def test_an_invalid_account_is_refused(tmp_path: Path) -> None:
    """An invalid account is an error that shows the right form."""
    played = play("http://x", tmp_path)
    assert played.returncode == 2
    assert "use the mail address, as in user@example.com" in played.stderr


def test_nobody_to_read_what_is_printed_ends_a_script(account: str, maildir: Path) -> None:
    """If its output is closed, a script ends and deletes nothing."""
    variables = environment(maildir)
    command: list[str | Path] = [POP3, "shell", account]
    with subprocess.Popen(
        command, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.close()
        process.stdin.write(b"rm 1\nSTAT\ncommit\n")
        process.stdin.close()
        assert process.wait(PATIENCE) == 1
    assert left(maildir) == 3


@pytest.mark.parametrize("reply", ["-ERR full", "-ERR", "+OK [SYS/TEMP] full"])
def test_unconfirmed_delete_exits_with_13(tmp_path: Path, reply: str) -> None:
    """A script exits with 13 if removals were not confirmed, and quotes the reply."""
    with small_server(f"QUIT: {reply}\nquit-removes-nothing") as server:
        played = play(server.url, tmp_path, "rm 1", "commit", "NOOP")
    assert f"The server replied to QUIT with {reply}\n" in played.stderr
    assert 'not deleted: 1 "Hello"' in played.stderr
    assert "NOOP" not in played.stdout
    assert played.returncode == 13


def test_account_requires_a_name(account: str, tmp_path: Path) -> None:
    """An account without a user name is an error; -u gives the name."""
    name, _, host = account.removeprefix("pop3://").partition("@")
    played = play(f"pop3://{host}", tmp_path)
    assert played.returncode == 2
    assert "add -u NAME" in played.stderr
    played = play(f"pop3://{host}", tmp_path, "NOOP", flags=["-u", name])
    assert (played.stderr, played.returncode) == ("", 0)


def test_an_account_alone_is_a_session_by_hand(tmp_path: Path) -> None:
    """`pop3 ACCOUNT` opens the shell."""
    with faulty_server() as running:
        ran = pop3(running.url, stdin=b"STAT\nquit\n", XDG_STATE_HOME=str(tmp_path))
    assert (ran.code, "< +OK 2 " in ran.out) == (0, True)


def test_save_a_part(account: str, tmp_path: Path) -> None:
    """A part is saved octet for octet, under its own name or a given one."""
    played = play(account, tmp_path, "save 2.2", "save 2.2 bill", "save 2.2 bill", "save 2.9")
    assert (tmp_path / "mai.pdf").read_bytes() == b"%PDF"
    assert (tmp_path / "bill").read_bytes() == b"%PDF"
    assert "saved: part 2 as mai.pdf, 4 B" in played.stdout
    assert "File exists" in played.stderr
    assert "unknown part 9; message 2 has 2 parts" in played.stderr


@pytest.mark.parametrize("number", ["1", "2.2"])
def test_save_under_an_odd_name(account: str, number: str, tmp_path: Path) -> None:
    """A name that no file can have is an error, and the session goes on."""
    names = ["~nobody-here/x", "a\0b", "x" * 300]
    played = play(account, tmp_path, *(f"save {number} {name}" for name in names), "NOOP")
    assert played.returncode == 1
    assert played.stderr.splitlines() == [
        "~nobody-here/x: No such file or directory; check the path",
        "a file name must not contain NUL",
        f"{'x' * 300}: File name too long; choose a shorter name",
    ]
    assert "  < +OK" in played.stdout
    assert not list(tmp_path.glob(".restante-*"))


def test_ls_without_top(tmp_path: Path) -> None:
    """A list that cannot have headers says why."""
    with small_server("top-announced") as server:
        played = play(server.url, tmp_path, "ls")
    assert "The server does not support TOP" in played.stdout
