"""`pop3 shell` at a server that does what servers should not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from cli.shell.terminal import CTRL_C, Terminal, play, small_server
from restante.misbehave.changes import first_session, instead
from restante.misbehave.conversation import Conversation, alter
from restante.misbehave.rules import parse_rules
from restante.protocol.server.needs import CommitDeletions

SitAt = Callable[[str], Terminal]


def remove_first(conversation: Conversation) -> Conversation:
    """Remove the first of the messages that are marked, and no other one."""

    def change(need: Any) -> Any:
        return (
            replace(need, indexes=need.indexes[:1]) if isinstance(need, CommitDeletions) else need
        )

    return alter(conversation, need=change)


def test_shell_reconnects(sit_at: SitAt) -> None:
    """After the server hung up, the shell says so and connects again."""
    with small_server(first_session(parse_rules("NOOP: close"))) as server:
        terminal = sit_at(server.url)
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
    with small_server("NOOP: close") as server:
        terminal = sit_at(server.url)
        terminal.type("NOOP")
        terminal.expect("Reconnect? [Y/n]")
        terminal.type("n")
        terminal.expect("pop3 (not connected)>")
        terminal.type("quit")
        assert terminal.end() == 0


def test_ctrl_c_stops_transfer(sit_at: SitAt) -> None:
    """Ctrl-C stops a long transfer, and the session goes on."""
    endless = instead("RETR", b"+OK\r\none\r\ntwo\r\n")
    with small_server(first_session(endless)) as server:
        terminal = sit_at(server.url)
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
    with small_server("QUIT: -ERR [SYS/TEMP] disk \x1b[1mfull", remove_first) as server:
        terminal = sit_at(server.url)
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
    with small_server("QUIT: close\nquit-removes-nothing") as server:
        terminal = sit_at(server.url)
        terminal.type("rm 1")
        terminal.expect("pop3 -1>")
        terminal.type("quit")
        terminal.expect("Commit? [y/N]")
        terminal.type("y")
        terminal.expect("No reply to QUIT: the server closed the connection")
        terminal.expect('not deleted: 1 "Hello"\r\n')
        assert terminal.end() == 13


def test_a_quit_that_was_not_sent(sit_at: SitAt) -> None:
    """Replies out of step end the session before QUIT, and the shell says so."""
    with small_server("dele-twice") as server:
        terminal = sit_at(server.url)
        terminal.type("rm 1")
        terminal.expect("pop3 -1>")
        terminal.type("quit")
        terminal.expect("Commit? [y/N]")
        terminal.type("y")
        terminal.expect("QUIT was not sent, so nothing was deleted: ")
        terminal.expect('not deleted: 1 "Hello"\r\n')
        assert terminal.end() == 13


def test_a_script_ends_where_its_connection_does(tmp_path: Path) -> None:
    """A script ends when its connection does, and deletes nothing."""
    with small_server("NOOP: close") as server:
        played = play(server.url, tmp_path, "rm 1", "NOOP", "commit")
    assert played.returncode == 1
    assert "The marks are lost, so nothing was deleted." in played.stderr
    assert "deleted." not in played.stdout


def test_text_of_a_server_never_reaches_the_terminal_raw(sit_at: SitAt) -> None:
    """Control characters from a server are escaped in the terminal."""
    with small_server("NOOP: +OK \x1b]0;owned\x07") as server:
        terminal = sit_at(server.url)
        terminal.type("NOOP")
        terminal.expect(r"  < +OK \x1b]0;owned\x07")
        terminal.expect("pop3>")
        assert "\x1b]0" not in terminal.said


def test_a_wrong_size_is_told(sit_at: SitAt) -> None:
    """A message whose size differs from LIST is reported."""
    with small_server(instead("RETR", b"+OK\r\nshort\r\n.\r\n")) as server:
        terminal = sit_at(server.url)
        terminal.type("raw 1")
        terminal.expect("short\r\n")
        terminal.expect("message 1 has 7 octets, but LIST gives 20")


def test_a_broken_save_leaves_no_file(tmp_path: Path) -> None:
    """A message that breaks off is not saved."""
    with small_server("retr-cut") as server:
        played = play(server.url, tmp_path, "save 1 file", "NOOP")
    assert played.returncode == 1
    assert not (tmp_path / "file").exists()
