"""Logins by token, line by line, as Exchange Online and Gmail hold them.

The dialogues are written from the providers' documentation, and were not recorded from them.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from restante.client import blocking
from restante.protocol.errors import ServerRefusedError

USER = "ann@contoso.com"
TOKEN = "t0ken-" + "x" * 1500
SHORT = "t0ken-1"
GMAIL_ERROR = {"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}
ENDING = [
    ("LIST", "+OK 0 messages\r\n."),
    ("UIDL", "+OK\r\n."),
    ("QUIT", "+OK"),
]


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


XOAUTH2 = f"user={USER}\x01auth=Bearer {{}}\x01\x01"
OAUTHBEARER = f"n,a={USER},\x01host=127.0.0.1\x01port={{}}\x01auth=Bearer {{}}\x01\x01"


@contextmanager
def scripted(greeting: str, *lines: tuple[str, str]) -> Iterator[tuple[int, list[str]]]:
    """Serve one client by a script of its lines and the replies; PORT stands for the port.

    Give the port, and the lines that were not in the script.
    """
    wrong: list[str] = []

    def serve() -> None:
        client, _ = listener.accept()
        with client, client.makefile("rwb") as file:
            file.write(f"{greeting}\r\n".encode())
            file.flush()
            for expected, reply in lines:
                said = file.readline().decode().removesuffix("\r\n")
                if said != expected.replace("PORT", str(port)) and said != encoded(
                    expected.replace("PORT", str(port))
                ):
                    wrong.append(said)
                file.write(f"{reply}\r\n".encode())
                file.flush()
            wrong.extend(line.decode() for line in file)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port, wrong
        thread.join(20)
        assert not thread.is_alive()


def url(port: int) -> str:
    return f"pop3://{USER}@127.0.0.1:{port}"


def capa(*mechanisms: str) -> tuple[str, str]:
    return "CAPA", f"+OK\r\nTOP\r\nUIDL\r\nUSER\r\nSASL {' '.join(mechanisms)}\r\n."


@pytest.mark.parametrize("initial_response", [False, True])
def test_exchange_two_lines(initial_response: bool) -> None:
    """Exchange Online gets AUTH XOAUTH2 and the token in two lines, whatever the option says.

    A line with the token would be longer than 255 octets: RFC 5034 section 4.
    """
    script = [
        capa("PLAIN", "XOAUTH2"),
        ("AUTH XOAUTH2", "+ "),
        (XOAUTH2.format(TOKEN), "+OK User successfully authenticated."),
        *ENDING,
    ]
    with (
        scripted("+OK The Microsoft Exchange POP3 service is ready.", *script) as (port, wrong),
        blocking.connect(url(port), TOKEN, token=True, initial_response=initial_response) as drop,
    ):
        assert drop.session.mechanism == "XOAUTH2"
    assert wrong == []


def test_initial_response() -> None:
    """A token that fits into 255 octets goes along with AUTH where that is asked for."""
    script = [
        capa("XOAUTH2"),
        (f"AUTH XOAUTH2 {encoded(XOAUTH2.format(SHORT))}", "+OK"),
        *ENDING,
    ]
    with (
        scripted("+OK ready", *script) as (port, wrong),
        blocking.connect(url(port), SHORT, token=True, initial_response=True),
    ):
        pass
    assert wrong == []


def test_oauthbearer_first() -> None:
    """OAUTHBEARER comes first where both are offered."""
    script = [
        capa("PLAIN", "XOAUTH2", "OAUTHBEARER"),
        ("AUTH OAUTHBEARER", "+ "),
        (OAUTHBEARER.format("PORT", TOKEN), "+OK"),
        *ENDING,
    ]
    with (
        scripted("+OK Gpop ready", *script) as (port, wrong),
        blocking.connect(url(port), TOKEN, token=True),
    ):
        pass
    assert wrong == []


@pytest.mark.parametrize(
    ("mechanism", "message", "answer"),
    [("XOAUTH2", XOAUTH2.format(TOKEN), ""),
     ("OAUTHBEARER", OAUTHBEARER.format("PORT", TOKEN), "\x01")],
)  # fmt: skip
def test_gmail_error(mechanism: str, message: str, answer: str) -> None:
    """Gmail's error challenge is answered, with an empty line or ^A, and is in the error."""
    script = [
        capa(mechanism),
        (f"AUTH {mechanism}", "+ "),
        (message, f"+ {encoded(json.dumps(GMAIL_ERROR))}"),
        (answer, "-ERR [AUTH] Username and password not accepted."),
    ]
    with scripted("+OK Gpop ready", *script) as (port, wrong):
        with pytest.raises(ServerRefusedError) as found:
            blocking.connect(url(port), TOKEN, token=True)
        assert json.loads(found.value.challenge) == GMAIL_ERROR
        assert TOKEN not in f"{found.value} {found.value.__dict__}"
    assert wrong == []


def test_error_through_a_proxy() -> None:
    """A proxy that sends a token in place of the password passes Gmail's error challenge on."""
    script = [
        ("CAPA", "+OK\r\nUSER\r\n."),
        (f"USER {USER}", "+OK"),
        ("PASS open sesame", f"+ {encoded(json.dumps(GMAIL_ERROR))}"),
        ("", "-ERR [AUTH] Username and password not accepted."),
    ]
    with scripted("+OK Gpop ready", *script) as (port, wrong):
        with pytest.raises(ServerRefusedError) as found:
            blocking.connect(url(port), "open sesame")
        assert (found.value.code, found.value.command) == ("AUTH", "PASS ***")
    assert wrong == []


def test_unknown_mechanism() -> None:
    """If the server does not know OAUTHBEARER after all, XOAUTH2 is tried."""
    script = [
        capa("OAUTHBEARER", "XOAUTH2"),
        ("AUTH OAUTHBEARER", "-ERR Unsupported authentication mechanism."),
        ("AUTH XOAUTH2", "+ "),
        (XOAUTH2.format(TOKEN), "+OK"),
        *ENDING,
    ]
    with (
        scripted("+OK ready", *script) as (port, wrong),
        blocking.connect(url(port), TOKEN, token=True),
    ):
        pass
    assert wrong == []
