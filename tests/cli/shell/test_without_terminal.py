"""The parts of the shell that need no terminal."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from cli.shell.terminal import PASSWORD, small_server
from restante.cli.output import message_view, units
from restante.cli.output.message_summary import summarize
from restante.cli.shell import raw_commands
from restante.cli.shell.completer import ShellCompleter
from restante.cli.shell.dispatch import dispatch
from restante.cli.shell.prompt import idle_text
from restante.cli.shell.screen import ShellScreen
from restante.cli.shell.session import ShellSession, parse_numbers
from restante.client import blocking
from restante.diagnosis import wording
from restante.mail import html_text, message
from restante.protocol.errors import ConnectionLostError
from restante.protocol.server.commands import AFTER_LOGIN, VERBS


@pytest.mark.parametrize(
    ("octets", "short", "long"),
    [
        (0, "0 B", "0 B"),
        (999, "999 B", "999 B"),
        (8_200, "8.2 k", "8.2 kB"),
        (99_960, "100 k", "100 kB"),
        (999_499, "999 k", "999 kB"),
        (999_500, "1.0 M", "1.0 MB"),
    ],
)
def test_sizes_are_short(octets: int, short: str, long: str) -> None:
    """Sizes are shown with three digits and a unit."""
    assert (units.short_size(octets), wording.octets(octets)) == (short, long)


def test_date_forms() -> None:
    """A date of this year has its time, and one of another year has its year."""
    moment = datetime(2026, 6, 1, 10, tzinfo=UTC)
    assert units.date(moment, moment) == "1 Jun 10:00"
    assert units.date(moment, moment.replace(year=2027)) == "1 Jun 2026"
    assert units.date(None) == ""


def test_a_wide_text_is_cut_by_the_columns_it_takes() -> None:
    """Text is cut and padded by its columns, not by its characters."""
    assert units.cut("漢字漢字漢字", 9) == "漢字漢..."
    assert units.pad("漢字", 6) == "漢字  "


def test_numbers_may_be_named_by_ranges() -> None:
    """Message numbers may be ranges, and invalid ones are errors."""
    assert parse_numbers(["5", "1-3", "2"]) == [5, 1, 2, 3]
    for wrong in ("x", "1-", "-1", "3-1", "1-999999999", "٣", "1" * 5000):
        with pytest.raises(ValueError, match=r"not a message number|not a valid range"):
            parse_numbers([wrong])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (299, ""),
        (480, "idle 8 min; the server may disconnect after 10"),
        (720, "idle 12 min; the server may have disconnected"),
    ],
)
def test_who_is_idle_for_long_is_warned(seconds: float, text: str) -> None:
    """After a long idle time the prompt warns that the server may disconnect."""
    assert idle_text(seconds) == text


def test_the_idle_time_counts_from_the_last_reply() -> None:
    """The idle time counts from the last reply."""
    now = [100.0]
    with small_server() as server:
        screen = ShellScreen(interactive=False)
        session = ShellSession(
            lambda: blocking.connect(server.url, PASSWORD), screen, lambda: now[0]
        )
        assert session.idle == 0  # not connected
        session.connect()
        now[0] = 800
        assert session.idle == 700
        dispatch(session, "NOOP")
        assert session.idle == 0
        session.disconnect()


def test_completion_error_shown_later() -> None:
    """An error during completion is shown by the next command."""
    with small_server("TOP: close") as server:
        session = ShellSession(
            lambda: blocking.connect(server.url, PASSWORD), ShellScreen(interactive=True)
        )
        session.connect()
        completer = ShellCompleter(session)
        assert list(completer.get_completions(Document("show "), CompleteEvent()))
        with pytest.raises(ConnectionLostError):
            dispatch(session, "NOOP")
        session.disconnect()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\0" * 100,
        b"Date: 99 Foo 99999 99:99\nFrom: <<>@\n\n",
        b"From: =?x?q?a?=\nSubject: =?utf-8?b?!!!?=\n\n",
        b"Content-Type: text/plain; charset=rot13\n\nhello\n",
        b"Content-Type: text/plain; charset=\xff\n\nhello\n",
        b"Content-Type: multipart/mixed\n\nno boundary\n",
        b"Content-Type: multipart/mixed; boundary=b\n\n--b\n--b--",
        b"Content-Type: application/x; name*0*=utf-8''%ff; name*2=b\n\nx",
        b"Content-Disposition: attachment; filename=\n\n",
        b"Content-Type: text/html\n\n<![x[<p>hello</p>",
        b"Content-Transfer-Encoding: base64\n\n!!!!\n",
    ],
)
def test_a_broken_message_is_shown_all_the_same(octets: bytes) -> None:
    """A malformed message can be shown and has printable lines."""
    summarize(octets, whole=True)
    assert all(line.isprintable() for line in message_view.lines_of(message.read(octets)))


def test_verbs() -> None:
    """The shell knows each command of the server, and offers those that work after a login."""
    known = {*raw_commands.VERBS, *raw_commands.OTHERS}
    assert known == {verb.decode() for verb in VERBS}
    after_login = {verb.decode() for verb in AFTER_LOGIN}
    assert set(raw_commands.VERBS) == after_login, "add them to cli/shell/raw_commands.py"


def test_of_html_the_text_is_shown() -> None:
    """Of HTML, only the text is shown."""
    html = "<html><head><title>t</title></head><style>x</style><p>One &amp;\n two<br>three</p>"
    assert html_text.text_of(html) == "One & two\nthree"


def test_lines_from_pieces() -> None:
    """Lines are joined from pieces, and endless lines are cut."""
    assert list(message_view.lines_in([b"a\r", b"\nb", b"c\n", b"d"])) == ["a", "bc", "d"]
    cut = list(message_view.lines_in([b"x" * 50_000] * 4))
    assert [len(line) for line in cut] == [100_000, 100_000]
