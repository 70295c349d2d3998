"""`pop3 shell` at maildrops that are empty, large, or of a server that can do little."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from cli.shell.terminal import CTRL_C, CTRL_D, Terminal, play, small_server
from restante.misbehave.changes import instead

SitAt = Callable[[str], Terminal]


def test_an_empty_maildrop_is_said_to_be_so(tmp_path: Path) -> None:
    """An empty maildrop is named so, and a message number in it is an error."""
    with small_server("empty") as server:
        played = play(server.url, tmp_path, "ls", "show 1", "ls all")
    assert played.stdout == "The mailbox is empty.\n" * 2
    assert played.stderr == "unknown message 1; the mailbox has 0\n"


def test_large_maildrop_lists_last(tmp_path: Path) -> None:
    """Of a large maildrop the last messages are listed."""
    with small_server(count=120) as server:
        played = play(server.url, tmp_path, "ls", "ls 2-3", "ls all")
    first, some, every = (
        [line.split()[0] for line in part.splitlines()]
        for part in re.split(r" +#   size .*\n", played.stdout)[1:]
    )
    assert first == [*(str(number) for number in range(21, 121)), "20"]
    assert "20 earlier messages are hidden; use ls all, or ls 1-50" in played.stdout
    assert some == ["2", "3"]
    assert len(every) == 120


def test_many_marks_are_told_by_the_first(tmp_path: Path, sit_at: SitAt) -> None:
    """Of many marked messages the first are listed, and the rest is counted."""
    with small_server(count=9) as server:
        terminal = sit_at(server.url)
        terminal.type("rm 2-9")
        terminal.expect('marked: 2 "Hello", 3 "Hello", 4 "Hello", 5 "Hello", 6 "Hello" and 3 more')
        terminal.expect("pop3 -8>")
        terminal.type("rm 2")
        terminal.expect('already marked: 2 "Hello"')
        terminal.expect("pop3 -8>")
        terminal.press(CTRL_D)
        terminal.expect('8 messages will be deleted permanently: 2 "Hello", 3')


def test_without_top_sizes_are_listed(tmp_path: Path) -> None:
    """Without TOP, messages are listed with their sizes only."""
    with small_server("TOP: -ERR no TOP") as server:
        played = play(server.url, tmp_path, "ls 1", "rm 1", "undo")
    assert played.stdout.splitlines()[1:] == [
        "  1   20 B",
        "marked: 1   (undo: rset)",
        "No message is marked.",
    ]


def test_without_unique_ids_fate_unknown(tmp_path: Path) -> None:
    """Without unique-ids, the fate of marked messages stays unknown."""
    with small_server("UIDL: -ERR no UIDL", "QUIT: -ERR full") as server:
        played = play(server.url, tmp_path, "rm 1", "commit")
    assert "Unknown, because the server does not support unique-ids." in played.stderr
    assert played.returncode == 13


def test_rejected_dele_keeps_marks(tmp_path: Path) -> None:
    """A rejected DELE is reported, and messages that were marked before stay marked."""
    with small_server("DELE 1: -ERR not that one") as server:
        played = play(server.url, tmp_path, "rm 1 2")
    assert "  < -ERR not that one  (to DELE 1)\n" in played.stderr
    assert "1 message is marked but was not deleted." in played.stderr


def test_of_a_long_message_one_sees_how_much_has_come(tmp_path: Path, sit_at: SitAt) -> None:
    """A long transfer shows its progress, and Ctrl-C stops it without a file."""
    endless = instead("RETR", b"+OK\r\n" + (b"x" * 98 + b"\r\n") * 10_000)
    with small_server("LIST: with 1 2000000", endless) as server:
        terminal = sit_at(server.url)
        terminal.type("save 1 file")
        terminal.expect("49 %   Ctrl-C stops")
        assert not (tmp_path / "file").exists()  # a kill would leave a part under its name
        terminal.press(CTRL_C)
        terminal.expect("Interrupted.")
        terminal.expect("pop3>")
    assert not (tmp_path / "file").exists()


def test_a_history_that_cannot_be_kept_stops_nobody(tmp_path: Path, sit_at: SitAt) -> None:
    """If the history cannot be saved, the shell keeps it for its session."""
    (tmp_path / "state").touch()
    with small_server() as server:
        terminal = sit_at(server.url)
        terminal.type("NOOP")
        terminal.expect("  < +OK")
        terminal.expect("pop3>")
        terminal.press("\x10")  # Ctrl-P: the line before
        terminal.expect("NOOP")
