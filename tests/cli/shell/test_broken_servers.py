"""`pop3 shell` at a server that does what servers should not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cli.shell.terminal import CTRL_C, THEN_HANG_UP, Terminal, answer, play, scripted

SitAt = Callable[[str], Terminal]


def test_shell_reconnects(sit_at: SitAt) -> None:
    """After the server hung up, the shell says so and connects again."""
    with scripted(lambda line: None if line == "NOOP" else answer(line), answer) as url:
        terminal = sit_at(url)
        terminal.type("rm 2")
        terminal.expect("pop3 -1>")
        terminal.type("NOOP")
        terminal.expect("The connection ended: the server closed the connection")
        terminal.expect("The marks are lost, so nothing was deleted.")
        terminal.expect("Reconnect? [Y/n]")
        terminal.type("")
        terminal.expect("2 messages 40 B")
        terminal.expect("pop3>")
        terminal.type("NOOP")
        terminal.expect("  < +OK")


def test_who_does_not_connect_again_can_still_leave(sit_at: SitAt) -> None:
    """After a lost connection, the user can decline to reconnect and quit."""
    with scripted(lambda line: None if line == "NOOP" else answer(line)) as url:
        terminal = sit_at(url)
        terminal.type("NOOP")
        terminal.expect("Reconnect? [Y/n]")
        terminal.type("n")
        terminal.expect("pop3 (not connected)>")
        terminal.type("quit")
        assert terminal.end() == 0


def test_ctrl_c_stops_transfer(sit_at: SitAt) -> None:
    """Ctrl-C stops a long transfer, and the session goes on."""

    def endless(line: str) -> bytes | None:
        return b"+OK\r\none\r\ntwo\r\n" if line.startswith("RETR") else answer(line)

    with scripted(endless, answer) as url:
        terminal = sit_at(url)
        terminal.type("rm 2")
        terminal.expect("pop3 -1>")
        terminal.type("raw 1")
        terminal.expect("one\r\n")
        terminal.press(CTRL_C)
        terminal.expect(
            "Interrupted. The connection was closed, because the rest of the reply was still due."
        )
        terminal.expect("The marks are lost, so nothing was deleted.")
        terminal.expect("2 messages 40 B")
        terminal.expect("pop3>")
        terminal.type("NOOP")
        terminal.expect("  < +OK")


def test_a_refused_quit_is_told_with_what_is_still_there(sit_at: SitAt) -> None:
    """After a rejected QUIT, the shell connects again and lists which messages remain."""

    def refusing(line: str) -> bytes | None:
        return b"-ERR [SYS/TEMP] disk \x1b[1mfull\r\n" if line == "QUIT" else answer(line)

    def later(line: str) -> bytes | None:
        lists = {"LIST": b"+OK\r\n1 20\r\n.\r\n", "UIDL": b"+OK\r\n1 b\r\n.\r\n"}
        return lists.get(line) or answer(line)

    with scripted(refusing, later) as url:
        terminal = sit_at(url)
        terminal.type("rm 1 2")
        terminal.expect("pop3 -2>")
        terminal.type("quit")
        terminal.expect("Commit? [y/N]")
        terminal.type("y")
        terminal.expect(r"The server replied to QUIT with -ERR [SYS/TEMP] disk \x1b[1mfull")
        terminal.expect('not deleted: 2 "Hello"\r\n')
        terminal.expect('deleted: 1 "Hello"\r\n')
        assert terminal.end() == 13


def test_a_quit_without_an_answer_is_not_taken_for_done(sit_at: SitAt) -> None:
    """A QUIT without a reply is not a confirmation; the exit code is 13."""
    with scripted(lambda line: None if line == "QUIT" else answer(line)) as url:
        terminal = sit_at(url)
        terminal.type("rm 1")
        terminal.expect("pop3 -1>")
        terminal.type("quit")
        terminal.expect("Commit? [y/N]")
        terminal.type("y")
        terminal.expect("No reply to QUIT: the server closed the connection")
        terminal.expect('not deleted: 1 "Hello"\r\n')
        assert terminal.end() == 13


def test_a_script_ends_where_its_connection_does(tmp_path: Path) -> None:
    """A script ends when its connection does, and deletes nothing."""
    with scripted(lambda line: None if line == "NOOP" else answer(line)) as url:
        played = play(url, tmp_path, "rm 1", "NOOP", "commit")
    assert played.returncode == 1
    assert "The marks are lost, so nothing was deleted." in played.stderr
    assert "deleted." not in played.stdout


def test_text_of_a_server_never_reaches_the_terminal_raw(sit_at: SitAt) -> None:
    """Control characters from a server are escaped in the terminal."""

    def rude(line: str) -> bytes | None:
        return b"+OK \x1b]0;owned\x07\r\n" if line == "NOOP" else answer(line)

    with scripted(rude) as url:
        terminal = sit_at(url)
        terminal.type("NOOP")
        terminal.expect(r"  < +OK \x1b]0;owned\x07")
        terminal.expect("pop3>")
        assert "\x1b]0" not in terminal.said


def test_a_wrong_size_is_told(sit_at: SitAt) -> None:
    """A message whose size differs from LIST is reported."""

    def wrong(line: str) -> bytes | None:
        return b"+OK\r\nshort\r\n.\r\n" if line.startswith("RETR") else answer(line)

    with scripted(wrong) as url:
        terminal = sit_at(url)
        terminal.type("raw 1")
        terminal.expect("short\r\n")
        terminal.expect("message 1 has 7 octets, but LIST gives 20")


def test_a_broken_save_leaves_no_file(tmp_path: Path) -> None:
    """A message that breaks off is not saved."""

    def half(line: str) -> bytes | None:
        return b"+OK\r\nhalf\r\n" + THEN_HANG_UP if line.startswith("RETR") else answer(line)

    with scripted(half) as url:
        played = play(url, tmp_path, "save 1 file", "NOOP")
    assert played.returncode == 1
    assert not (tmp_path / "file").exists()
