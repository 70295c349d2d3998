"""Faults whose octets need more than one command to show: their rows say what the server does."""

from __future__ import annotations

import re
import socket
import ssl

import pytest

from restante.misbehave import find
from restante.misbehave.driver import PASSWORD, USER, FaultyServer, serving

LOGIN = (f"USER {USER}", f"PASS {PASSWORD}")


def said(server: FaultyServer, *lines: str) -> str:
    """Send lines and QUIT, and return all that the server said."""
    with socket.create_connection((server.host, server.port), 5) as sock:
        sock.sendall("".join(f"{line}\r\n" for line in (*lines, "QUIT")).encode())
        received = b""
        while octets := sock.recv(65536):
            received += octets
    return received.decode("latin-1").replace("\r\n", "\n")


def session(fault: str, *lines: str) -> str:
    """Return what a server with a fault says in one session, after the login."""
    with serving(find(fault)) as server:
        return said(server, *LOGIN, *lines).partition("Logged in.\n")[2]


def test_numbers_with_a_gap() -> None:
    """If messages are numbered 1 and 3, there is no message 2."""
    text = session("list-gap", "RETR 2", "RETR 3", "DELE 2")
    assert text.startswith("-ERR")
    assert "BEGIN-1" not in text
    assert "BEGIN-2" in text
    assert "+OK Marked" not in text


def test_numbers_of_the_newest() -> None:
    """The newest 100 of 120 messages have the numbers from 1 in each reply."""
    text = session("newest-100", "LIST 5", "UIDL 5", "DELE 1", "STAT", "LIST")
    assert "+OK 5 322\n+OK 5 memory-25\n" in text
    assert "+OK 99 " in text
    assert "\n2 322\n" in text
    assert "\n1 322\n" not in text


def test_numbers_after_a_deleted_message() -> None:
    """Lists and commands have the same new numbers, and RSET restores the old ones."""
    text = session(
        "dele-renumbers", "DELE 9", "DELE 1", "LIST", "UIDL 1", "TOP 1 9", "RSET", "TOP 1 9"
    )
    assert "messages:\n1 308\n.\n+OK 1 memory-2\n" in text
    assert re.findall(r"BEGIN-(\d)", text) == ["2", "1"]


def test_the_same_message_for_each_number() -> None:
    """Message 1 is sent for each number, also after it was marked."""
    text = session("retr-same", "RETR 1", "DELE 1", "RETR 2", "TOP 2 9")
    assert re.findall(r"BEGIN-(\d)", text) == ["1", "1", "2"]


def test_in_use_at_the_first_login() -> None:
    """The second login succeeds, also within the first session."""
    with serving(find("second-login")) as server:
        text = said(server, *LOGIN, *LOGIN)
    assert text.count("[IN-USE]") == text.count("Logged in.") == 1


def test_verbs_in_small_letters() -> None:
    """A verb in small letters means the same."""
    assert "END-1" in session("top-whole", "top 1 0")


def test_capabilities_until_the_login() -> None:
    """UIDL and TOP are not listed before the login, however often; after it they are."""
    with serving(find("capa-later")) as server:
        before = said(server, "CAPA", "CAPA")
        after = said(server, *LOGIN, "CAPA")
        by_auth = said(server, "AUTH PLAIN AGpvZQBzZWNyZXQ=", "CAPA")
    assert "UIDL" not in before
    assert "\nUIDL\n" in after
    assert "\nUIDL\n" in by_auth


@pytest.mark.parametrize("fault", ["status-8bit", "status-utf8"])
def test_status_lines_alone(fault: str) -> None:
    """A challenge of AUTH is base64 and no status line: nothing is written into it."""
    with serving(find(fault)) as server:
        text = said(server, "AUTH PLAIN", "AGpvZQBzZWNyZXQ=")
    assert "\n+ \n" in text


def test_sizes_with_added_fields() -> None:
    """STAT counts the fields that the server has added, as LIST does."""
    with serving(find("status-added")) as server:
        said(server, *LOGIN, "LIST")
        text = said(server, *LOGIN, "STAT", "LIST", "LIST 1")
    assert "+OK 2 672\n" in text
    assert "\n1 336\n2 336\n" in text
    assert "+OK 1 336\n" in text


def test_json_after_a_token() -> None:
    """The JSON comes after the token, not in place of the question for it."""
    with serving(find("xoauth2-json-raw")) as server:
        assert server.tls_port
        context = ssl.create_default_context(cafile=server.authority)
        with socket.create_connection((server.host, server.tls_port), 5) as sock:
            with context.wrap_socket(sock, server_hostname="localhost") as wrapped:
                lines = wrapped.makefile("rwb", buffering=0)
                lines.readline()
                lines.write(b"AUTH XOAUTH2\r\n")
                assert lines.readline() == b"+ \r\n"
                lines.write(b"dXNlcj1qb2UBYXV0aD1CZWFyZXIgeAEB\r\n")
                assert lines.readline() == b'+ {"status":"401"}\r\n'


def test_unique_ids_of_500_characters() -> None:
    """Unique-ids have 500 characters at every number, and all differ."""
    uids = re.findall(r"^\d+ (\S{71,})$", session("uidl-long+newest-100", "UIDL"), re.MULTILINE)
    assert {len(uid) for uid in uids} == {500}
    assert len(set(uids)) == len(uids) == 100


def test_unique_ids_in_any_case() -> None:
    """Unique-ids differ in case only, and all differ."""
    uids = re.findall(r"^\d+ (\S+)$", session("uidl-case+newest-100", "UIDL"), re.MULTILINE)
    assert len({uid.lower() for uid in uids}) == 1
    assert len(set(uids)) == len(uids) == 100


@pytest.mark.parametrize(
    ("fault", "line", "text"),
    [
        ("retr-cut+retr-no-status", "RETR 1", "BEGIN-1"),
        ("list-cut+list-no-status", "LIST", "1 308\n"),
    ],
)
def test_a_cut_without_a_status_line(fault: str, line: str, text: str) -> None:
    """A reply without a status line is cut, too, if that is another fault of the sum."""
    received = session(fault, line)
    assert text in received
    assert "\n.\n" not in received
    assert "Logging out" not in received
