"""`pop3 shell` in a real terminal at the real server."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.shell.terminal import CTRL_C, CTRL_D, PASSWORD, TAB, Terminal
from restante.cli.shell import history

SitAt = Callable[..., Terminal]


def left(maildir: Path) -> int:
    return sum(1 for part in ("new", "cur") for _ in (maildir / part).iterdir())


def test_first_line_names_maildrop(demo: tuple[str, str], sit_at: SitAt, tmp_path: Path) -> None:
    """The first line names the server, the encryption and the number of messages."""
    trust = ("--cacert", str(tmp_path / "demo" / "certificate.pem"))
    first = sit_at(demo[0], *trust).banner.splitlines()[0]
    assert first.startswith("127.0.0.1  TLSv1.3 SCRAM-SHA-256  5 messages 18.1 kB  ")
    assert first.endswith("  ? for help")


def test_the_screen_of_the_design_is_what_one_sees(terminal: Terminal, maildir: Path) -> None:
    """A session from `ls` to the confirmed `quit` shows what the design shows."""
    assert "no TLS" in terminal.banner
    terminal.type("ls")
    terminal.expect("  #   size  date          from")
    terminal.expect("  1  115 B  1 Jun 10:00   Ann   ")
    terminal.expect("Hello")
    terminal.expect("  2  441 B  2 Jun 10:00   Jürgen")
    terminal.expect("Rechnung für Mai  [1 attachment]")
    terminal.expect("pop3>")
    terminal.type("rm 1")
    terminal.expect('marked: 1 "Hello"   (undo: rset)\r\n')
    terminal.expect("pop3 -1>")
    terminal.type("STAT")
    terminal.expect("  > STAT\r\n  < +OK 2 ")
    terminal.expect("pop3 -1>")
    terminal.type("quit")
    terminal.expect('1 message will be deleted permanently: 1 "Hello". Commit? [y/N]')
    assert left(maildir) == 3
    terminal.type("y")
    terminal.expect("1 message deleted.")
    assert terminal.end() == 0
    assert left(maildir) == 2


@pytest.mark.parametrize("word", ["quit", "QUIT", "exit", "QUIT now"])
def test_who_does_not_say_yes_deletes_nothing(terminal: Terminal, maildir: Path, word: str) -> None:
    """Without a yes, quitting deletes nothing."""
    terminal.type("DELE 1")
    terminal.expect("  > DELE 1\r\n  < +OK")
    terminal.expect("pop3 -1>")
    terminal.type(word)
    terminal.expect('permanently: 1 "Hello". Commit? [y/N]')
    terminal.type("")
    terminal.expect("Nothing was deleted.")
    assert terminal.end() == 0
    assert left(maildir) == 3


def test_quit_in_capitals_is_shown_as_it_goes(terminal: Terminal, maildir: Path) -> None:
    """QUIT in capitals asks for confirmation too, and then shows the server's reply."""
    terminal.type("dele 2")
    terminal.expect("pop3 -1>")
    terminal.type("QUIT")
    terminal.expect('1 message will be deleted permanently: 2 "Rechnung für Mai". Commit? [y/N]')
    terminal.type("yes")
    terminal.expect("  > QUIT\r\n  < +OK")
    terminal.expect("1 message deleted.")
    assert terminal.end() == 0
    assert left(maildir) == 2


def test_marks_are_taken_away_by_undo_and_by_rset(terminal: Terminal, maildir: Path) -> None:
    """`undo`, `rset` and RSET remove all marks."""
    for word in ("undo", "rset", "RSET"):
        terminal.type("rm 1-2")
        terminal.expect('marked: 1 "Hello", 2 "Rechnung für Mai"')
        terminal.expect("pop3 -2>")
        terminal.type(word)
        terminal.expect("No message is marked." if word == "undo" else "  < +OK")
        terminal.expect("pop3>")
    terminal.press(CTRL_D)
    assert terminal.end() == 0
    assert left(maildir) == 3


def test_commit_deletes_and_the_session_goes_on(terminal: Terminal, maildir: Path) -> None:
    """`commit` deletes the marked messages, and the next command connects again."""
    terminal.type("rm 1 3")
    terminal.expect("pop3 -2>")
    terminal.type("commit")
    terminal.expect("2 messages deleted.")
    assert left(maildir) == 1
    terminal.expect("pop3 (not connected)>")
    terminal.type("LIST")
    terminal.expect("Reconnecting.")
    terminal.expect("  < +OK 1 messages:\r\n  < 1 441\r\n  < .\r\n")
    terminal.expect("pop3>")
    terminal.type("commit")
    terminal.expect("no message is marked")


def test_ctrl_d_asks_as_quit_does(terminal: Terminal, maildir: Path) -> None:
    """Ctrl-D asks for confirmation as `quit` does."""
    terminal.type("rm 1")
    terminal.expect("pop3 -1>")
    terminal.press(CTRL_D)
    terminal.expect("Commit? [y/N]")
    terminal.press(CTRL_D)
    terminal.expect("Nothing was deleted.")
    assert terminal.end() == 0
    assert left(maildir) == 3


def test_ctrl_c_clears_the_line_and_keeps_the_marks(terminal: Terminal) -> None:
    """Ctrl-C clears the line or cancels a question, and keeps the marks."""
    terminal.type("rm 1")
    terminal.expect("pop3 -1>")
    terminal.press("nonsense")
    terminal.expect("nonsense")
    terminal.press(CTRL_C)
    terminal.expect("pop3 -1>")
    terminal.type("quit")
    terminal.expect("Commit? [y/N]")
    terminal.press(CTRL_C)  # back again
    terminal.expect("pop3 -1>")
    terminal.type("STAT")
    terminal.expect("  < +OK 2 ")
    assert "Unknown command" not in terminal.said


def test_ctrl_z(terminal: Terminal) -> None:
    """Ctrl-Z does not become a part of the line. Where jobs exist, it suspends the shell."""
    terminal.type("NO\x1aOP")
    terminal.expect("  > NOOP\r\n  < +OK")


def test_the_articles_commands_work_as_typed(terminal: Terminal) -> None:
    """POP3 commands can be typed as in the article, in any case of letters."""
    for typed, said in (
        ("stat", "  > stat\r\n  < +OK 3 "),
        ("LIST 2", "  < +OK 2 441\r\n"),
        ("UIDL", "  < 1 "),
        ("TOP 1 0", "  < Subject: Hello\r\n  < \r\n  < .\r\n"),
        ("RETR 1", "  < How are you?\r\n  < .\r\n"),
        ("NOOP", "  < +OK"),
        ("CAPA", "  < PIPELINING\r\n"),
        ("LANG", "  < de "),
        ("DELE 9", "  < -ERR There's no message 9."),
        ("XTND XMIT", "  > XTND XMIT\r\n  < -ERR"),
    ):
        terminal.type(typed)
        terminal.expect(said)
        terminal.expect("pop3>")


def test_a_message_is_shown_decoded_or_raw(terminal: Terminal) -> None:
    """`show` prints a message decoded, and `raw` prints it as stored."""
    terminal.type("show 2")
    terminal.expect("Subject: Rechnung für Mai\r\n\r\nGrüße\r\n")
    terminal.expect("[part 2: application/pdf, mai.pdf, 4 B]\r\n")
    terminal.type("raw 2")
    terminal.expect("Gr=C3=BC=C3=9Fe\r\n")


def test_a_message_is_saved_and_no_file_overwritten(terminal: Terminal, tmp_path: Path) -> None:
    """`save` writes a message to a file and overwrites no file."""
    terminal.type("save 1")
    terminal.expect('saved: 1 "Hello" as message-1.eml, 115 B')
    assert (tmp_path / "message-1.eml").read_bytes().endswith(b"\r\n\r\nHow are you?\r\n")
    terminal.type("save 2 message-1.eml")
    terminal.expect("message-1.eml already exists")
    terminal.type("save 2 nowhere/file")
    terminal.expect("nowhere/file: No such file or directory")
    terminal.type("STAT")
    terminal.expect("  < +OK 3 ")


def test_error_keeps_session(terminal: Terminal) -> None:
    """A command that fails prints an error, and the session goes on."""
    for typed, said in (
        ("frobnicate", 'Unknown command "frobnicate". Type ? for help.'),
        ("rm 9", "unknown message 9; the mailbox has 3"),
        ("rm x", '"x" is not a message number'),
        ("show", "missing message number; use show N"),
        ("STLS", "STLS cannot be typed here"),
        ("?", "mark messages for deletion, e.g. 1 3-5"),
        ("info", "greeting    +OK POP3 server ready."),
    ):
        terminal.type(typed)
        terminal.expect(said)
        terminal.expect("pop3>")


def test_nothing_from_a_message_reaches_the_terminal_raw(terminal: Terminal) -> None:
    """Control characters in a message are escaped in every command and in completion."""
    for typed, said in (
        ("ls", r"\x1b]0;owned\x07 \u202etxt"),
        ("show 3", r"\x1b[2Jbody"),
        ("raw 3", r"\x1b[2Jbody"),
        ("RETR 3", r"\x1b[2Jbody"),
        ("rm 3", r'marked: 3 "\x1b]0;owned'),
    ):
        terminal.type(typed)
        terminal.expect(said)
    terminal.expect("pop3 -1>")
    terminal.type("rset")
    terminal.expect("  < +OK")
    terminal.press("show own" + TAB)
    terminal.expect("show 3")
    terminal.press(CTRL_C)
    terminal.press(CTRL_D)
    terminal.end()
    for raw in ("\x1b]0;owned", "\x1b[31m", "\x9b", "\u202e", "\x1b[2J"):
        assert raw not in terminal.said


def test_tab_completes(terminal: Terminal) -> None:
    """Tab completes commands, and numbers by their subjects."""
    terminal.press("sho")
    terminal.see("sho")
    terminal.press(TAB)
    terminal.see("w")
    terminal.press(" " + TAB)
    terminal.see("Hello")
    terminal.see("Jürgen")
    terminal.press(CTRL_C)
    terminal.expect("pop3>")
    terminal.press("show rechn")
    terminal.see("rechn")
    terminal.press(TAB)
    terminal.see("2")
    terminal.type("")
    terminal.expect("Grüße")


def test_tab_completes_the_file_to_save_into(terminal: Terminal, tmp_path: Path) -> None:
    """Tab completes the file name of `save`."""
    (tmp_path / "letters").mkdir()
    terminal.press("save 1 let")
    terminal.see("let")
    terminal.press(TAB)
    terminal.see("ters")
    terminal.type("/hello")
    terminal.expect("as letters/hello, 115 B")


def test_a_history_that_cannot_be_written_any_more(terminal: Terminal, tmp_path: Path) -> None:
    """A line that cannot be stored, as on a full disk, does not disturb the session."""
    file = tmp_path / "state" / "restante" / "history"
    file.unlink()
    file.mkdir()
    terminal.type("NOOP")
    terminal.expect("  < +OK")
    terminal.expect("pop3>")
    assert "Traceback" not in terminal.said
    terminal.press(CTRL_D)
    assert terminal.end() == 0


def test_a_pasted_secret_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The history has no secret of any line of a text that was pasted."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = history.open_(str)
    kept.append_string("NOOP\nPASS a b\n APOP ann 0123\nAUTH PLAIN AGFubg==\nNOOP")
    text = "NOOP\nPASS ***\n APOP ann ***\nAUTH PLAIN ***\nNOOP"
    assert list(kept.load_history_strings()) == [text]


def test_a_history_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that fails when it is read, or written, leaves the history empty."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    opened = history.open_(str)
    file = Path(history.file_name())
    file.unlink()
    file.mkdir()
    assert list(opened.load_history_strings()) == []
    opened.store_string("NOOP")


def test_the_history_is_private_and_holds_no_secret(terminal: Terminal, tmp_path: Path) -> None:
    """The history file is private, and secrets in it are hidden."""
    for line in ("PASS sesame", "APOP ann 0123456789", "pass\tsesame", f"rm {PASSWORD}", "NOOP"):
        terminal.type(line.replace("\t", "  "))
        terminal.expect("pop3>")
        terminal.expect("pop3>")
    terminal.press(CTRL_D)
    terminal.end()
    file = tmp_path / "state" / "restante" / "history"
    kept = [line[1:] for line in file.read_text().splitlines() if line.startswith("+")]
    assert kept == ["PASS ***", "APOP ann ***", "pass  ***", "rm ***", "NOOP"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "sesame" not in terminal.said
    assert "0123456789" not in terminal.said


def test_the_password_is_asked_for_and_not_shown(account: str, tmp_path: Path) -> None:
    """Without a password the shell prompts for it and does not show it."""
    terminal = Terminal(account, tmp_path, password=None)
    terminal.expect("Password of ")
    terminal.type(PASSWORD)
    terminal.expect("3 messages")
    terminal.expect("pop3>")
    terminal.press(CTRL_D)
    assert terminal.end() == 0
    assert PASSWORD not in terminal.said


def test_pasted_lines_run_in_turn(terminal: Terminal, tmp_path: Path) -> None:
    """Pasted lines are executed one after the other."""
    terminal.press("\x1b[200~NOOP\nPASS sesame\nSTAT\x1b[201~")
    terminal.type("")
    terminal.expect("  > NOOP\r\n  < +OK")
    terminal.expect("  > PASS ***\r\n  < -ERR")  # so the rest is left
    terminal.expect("pop3>")
    terminal.press(CTRL_D)
    assert terminal.end() == 0
    assert "  > STAT" not in terminal.said
    assert "sesame" not in (tmp_path / "state" / "restante" / "history").read_text()
