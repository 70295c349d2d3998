"""What no client should send, counted: policy/bad-commands, policy/bad-command-limit,
rfc1939-s3/unknown-command.
"""

from __future__ import annotations

import pytest

from restante.protocol.server.session import EndReason
from restante.protocol.server.settings import ProtocolSettings
from support.world import Talk, World


def logged_in(settings: ProtocolSettings | None = None) -> Talk:
    world = World()
    world.add("ann", "secret", b"a\n")
    talk = Talk(world, settings)
    talk.send(b"USER ann\r\nPASS secret\r\n")
    return talk


def test_thirty_bad_commands() -> None:
    """After a login, thirty bad commands in a row end the session."""
    talk = logged_in()
    talk.send(b"NOPE\r\n" * 29)
    assert talk.session.end is None
    assert talk.send(b"NOPE\r\n") == b"-ERR Unknown command.\r\n"
    assert talk.session.end is EndReason.BAD_COMMANDS


def test_a_good_command_starts_the_count_anew() -> None:
    """A good command resets the count of bad ones."""
    talk = logged_in()
    for _ in range(5):
        talk.send(b"NOPE\r\n" * 29 + b"NOOP\r\n")
    assert not talk.over


def test_a_refused_message_number_is_no_bad_command() -> None:
    """An unknown message number does not count as a bad command."""
    talk = logged_in()
    talk.send(b"RETR 99\r\n" * 100)
    assert not talk.over


def test_wrong_passwords_are_not_bad_commands() -> None:
    """Wrong passwords do not count as bad commands."""
    world = World()
    world.add("ann", "secret")
    talk = Talk(world)
    talk.send(b"USER ann\r\nPASS wrong\r\n" * 20)
    assert not talk.over
    assert talk.send(b"USER ann\r\nPASS secret\r\n").endswith(b"+OK Logged in.\r\n")


def test_overlong_lines_are_bad_commands() -> None:
    """Lines over the limit count as bad commands."""
    talk = Talk(World(), ProtocolSettings(bad_commands_before_login=3))
    talk.send((b"x" * 300 + b"\r\n") * 3)
    assert talk.session.end is EndReason.BAD_COMMANDS


def test_endless_line_ends_session() -> None:
    """A line without end gets an error and ends the session."""
    talk = logged_in()
    talk.send(b"DELE 1\r\n")
    assert talk.send(b"x" * 70_000) == b"-ERR Line too long.\r\n"
    assert talk.session.end is EndReason.ENDLESS_LINE
    assert list(talk.world.mail["ann"]) == ["uid-1"]


@pytest.mark.parametrize("start", [b"GET /", b"POST /"])
def test_an_endless_http_request_is_known_for_what_it_is(start: bytes) -> None:
    """A session that begins as an HTTP request ends with that reason."""
    talk = Talk(World())
    talk.send(start + b"x" * 70_000)
    assert talk.session.end is EndReason.HTTP


@pytest.mark.parametrize(
    "login",
    [
        b"USER ann\r\nPASS wrong\r\n",
        b"AUTH PLAIN\r\n*\r\n",
        b"AUTH NOPE\r\n",
        b"APOP ann 00000000000000000000000000000000\r\n",
        b"AUTH PLAIN ?\r\n",
    ],
)
def test_refused_logins(login: bytes) -> None:
    """A connection ends after some refused logins, whatever else the client says between them."""
    world = World()
    world.add("ann", "secret")
    talk = Talk(world, ProtocolSettings(refused_logins=3))
    talk.send((b"CAPA\r\n" + login) * 2)
    assert talk.session.end is None
    talk.send(login)
    assert talk.session.end is EndReason.REFUSED_LOGINS
