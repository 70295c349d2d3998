"""The commands on mail meet servers that do things in their own way."""

from __future__ import annotations

import asyncio
import json

import pytest
from click.testing import CliRunner

import restante
from restante import blocking
from restante.cli.main import main
from restante.client.blocking import Maildrop
from restante.misbehave.changes import instead
from restante.protocol.errors import MalformedReplyError, ServerRefusedError
from support.command import pop3
from support.faulty_server import HELLO, PASSWORD, SECOND, faulty_server

WITHOUT_TOP = "top-announced"
NOT_STUFFED = "top-goes-on"


def test_ls_without_top() -> None:
    """Sizes are listed, the reason is a line, and --retr fetches the headers."""
    with faulty_server(WITHOUT_TOP) as server:
        plain, fetched = pop3("ls", server.url), pop3("ls", "--retr", server.url)
    assert (plain.code, fetched.code) == (1, 0)
    assert plain.err.startswith("WARN top-missing")
    assert len(plain.out.splitlines()) == 3
    assert "retr-refused" not in plain.out
    assert "Hello" in fetched.out


def test_ls_with_a_refused_header() -> None:
    """The refused message has the server's words in its row, the others are listed, exit code 1."""
    with faulty_server("TOP 2: -ERR no way, Jose") as server:
        rows, data = pop3("ls", server.url), pop3("ls", "--json", server.url)
    assert (rows.code, data.code) == (1, 1)
    assert len(rows.out.splitlines()) == 3
    assert "no way, Jose" in rows.out
    assert rows.out.count("Hello") == 1
    assert rows.err == (
        "WARN retr-refused  the server refused 1 of 2 headers; pop3 explain retr-refused\n"
    )
    first, second = json.loads(data.out)
    assert "error" not in first
    assert second["subject"] == ""
    assert second["error"].startswith("retr-refused: no way, Jose")


def test_ls_retr_is_bounded() -> None:
    """A message over the bound is not fetched for its header."""
    large = b"Subject: large\r\n\r\n" + b"x" * 998 * 1003
    with faulty_server(WITHOUT_TOP, messages=(HELLO, large + b"\r\n")) as server:
        ran = pop3("ls", "--retr", server.url)
        assert "RETR 2" not in server.commands
    assert ran.code == 1
    assert "too large" in ran.err


def test_headers_without_top() -> None:
    """`show --headers` fetches the message that it was asked for, and shows its header alone."""
    with faulty_server(WITHOUT_TOP) as server:
        ran = pop3("show", "--headers", server.url, 1)
    assert ran.code == 0
    assert "Subject: Hello" in ran.out
    assert "Hello, Bob" not in ran.out


@pytest.mark.parametrize("words", [("top", 1), ("top", 1, 5), ("show", "--headers", 1), ("ls",)])
def test_the_last_reply_goes_on(words: tuple[str | int, ...]) -> None:
    """A reply that was cut by a dot of its own is an error, at the last command too."""
    verb, *rest = words
    with faulty_server(NOT_STUFFED, messages=(HELLO,)) as server:
        ran = pop3(verb, server.url, *rest)
    assert ran.code == 11
    assert "not-stuffed" in ran.err


def test_the_library_hears_of_it_when_it_leaves() -> None:
    """Both faces raise at the end of the block what the last reply hid."""
    with faulty_server(NOT_STUFFED, messages=(HELLO,)) as server:
        with pytest.raises(MalformedReplyError, match="not-stuffed"):
            with blocking.connect(server.url, PASSWORD) as drop:
                drop[1].top()

        async def look() -> None:
            async with restante.connect(server.url, PASSWORD) as drop:
                await drop[1].top()

        with pytest.raises(MalformedReplyError, match="not-stuffed"):
            asyncio.run(look())


def test_a_wrong_size_is_one_line() -> None:
    """The message is shown, and a line of the tool's own says what is wrong."""
    with faulty_server("LIST: with 1 5", messages=(HELLO,)) as server:
        ran = pop3("show", server.url, 1)
    assert ran.code == 1
    assert "Hello, Bob" in ran.out
    assert ran.err.splitlines() == [
        f"WARN list-size  message 1 has {len(HELLO)} octets, but LIST gives 5; pop3 explain list-size"
    ]


def test_raw_list_with_a_list() -> None:
    """A reply of several lines is shown as it came, though one line was expected."""
    with faulty_server(instead("LIST", b"+OK\r\n1 50\r\n.\r\n")) as server:
        ran = pop3("raw", server.url, "LIST", "1")
    assert (ran.code, ran.out) == (0, "+OK\n1 50\r\n.\r\n")


def test_raw_command_of_a_servers_own() -> None:
    """An unknown command may have a reply of many lines."""
    reply = b"+OK\r\nline one\r\nline two\r\n.\r\n"
    with faulty_server(instead("XTND", reply)) as server:
        ran = pop3("raw", server.url, "XTND", "XLIST")
    assert "line two" in ran.out


def test_quit_is_waited_for_two_seconds() -> None:
    """`ls` does not wait for a QUIT that removes nothing, and says so."""
    with faulty_server("quit-silent") as server:
        ran = pop3("ls", server.url)
    assert ran.code == 0
    assert "WARN quit-noreply" in ran.err
    assert "for 2 seconds" in ran.err


def test_rm_goes_on_behind_a_refusal() -> None:
    """One message that is refused keeps no other one."""
    with faulty_server("DELE 1: -ERR read only") as server:
        ran = pop3("rm", "--yes", server.url, 1, 2)
        assert server.removed == [SECOND]
    assert ran.code == 13
    assert "message 1 was not deleted" in ran.err
    assert "Deleted message 2" in ran.out


def test_require_tls() -> None:
    """The option keeps the name at home where there is no TLS."""
    with faulty_server() as server:
        ran = pop3("ls", "--require-tls", server.url)
        assert server.commands == ["CAPA"]
    assert ran.code == 5
    assert "stls-missing" in ran.err


def test_an_empty_mailbox_that_refuses_list() -> None:
    """`ls` says that there is no mail, and names the oddity."""
    with faulty_server("empty", "LIST: -ERR no messages") as server:
        ran = pop3("ls", server.url)
    assert (ran.code, ran.out) == (0, "The mailbox is empty.\n")
    assert "WARN list-empty" in ran.err


def test_the_library_reads_headers_without_top() -> None:
    """Both faces fetch a small message for its header, and keep the header alone."""
    with faulty_server(WITHOUT_TOP) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            header = drop[1].header()

        async def look() -> str:
            async with restante.connect(server.url, PASSWORD) as drop:
                return str((await drop[1].header())["subject"])

        assert (header["subject"], asyncio.run(look())) == ("Hello", "Hello")
    assert header.get_content() == ""


def test_large_message_not_fetched() -> None:
    """A message over the bound is not fetched, and the refusal is raised."""
    with faulty_server(WITHOUT_TOP, "LIST: with 1 1000001", messages=(HELLO,)) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            with pytest.raises(ServerRefusedError, match="top-missing"):
                drop[1].header()
        assert "RETR 1" not in server.commands


def test_rm_with_a_refusal_and_a_failed_quit() -> None:
    """A message that could not be marked is named also if QUIT fails."""
    with faulty_server("DELE 1: -ERR not this one\nQUIT: -ERR no") as server:
        ran = pop3("rm", "--yes", server.url, 1, 2)
    assert ran.code == 13
    assert "message 2 may not have been deleted" in ran.err
    assert "message 1 was not deleted: " in ran.err
    assert "not this one" in ran.err


def test_rm_with_ok_that_reports_a_failure() -> None:
    """A +OK whose words say that the removal failed confirms nothing, and is quoted."""
    with faulty_server("quit-ok-failed") as server:
        ran = pop3("rm", "--yes", server.url, 1)
    assert ran.code == 13
    assert "the server replied +OK Signing off, but message deletion failed" in ran.err


def test_rm_with_ok_to_dele_that_reports_a_failure() -> None:
    """QUIT may remove a message if the reply to DELE was +OK with a code of failure."""
    with faulty_server("DELE 1: +OK [SYS/TEMP] disk full") as server:
        ran = pop3("rm", "--yes", server.url, 1, 2)
    assert ran.code == 13
    assert "message 1 may not have been deleted: sys-temp: [SYS/TEMP] disk full" in ran.err
    assert "QUIT" in server.commands


def test_rm_that_is_interrupted_at_quit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C before the reply to QUIT leaves it open whether the messages were deleted."""

    def interrupt(_drop: Maildrop) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Maildrop, "commit", interrupt)
    monkeypatch.setenv("POP3_PASSWORD", PASSWORD)
    with faulty_server() as server:
        ran = CliRunner().invoke(main, ["rm", "--yes", server.url, "1"])
    assert (ran.exit_code, "nothing was deleted" in ran.output) == (13, False), ran.output
    assert "message 1 may or may not have been deleted: interrupted before" in ran.output


def test_rm_says_that_quit_was_not_sent() -> None:
    """Replies out of step end the command before anything is removed."""
    with faulty_server("dele-twice") as server:
        ran = pop3("rm", "--yes", server.url, 1)
        assert "QUIT" not in server.commands
        assert not server.removed
    assert ran.code == 13
    assert "nothing was deleted, because QUIT was not sent" in ran.err
