"""A server's challenge decides neither the time of a proof nor the octets under it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import threading
from typing import Any

import pytest

import restante
from restante import blocking
from restante.client import login, mechanisms
from restante.client.credentials import Credentials
from restante.client.options import Target
from restante.client.session import ClientSession
from restante.misbehave.changes import alter_line, challenge, in_auth, status
from restante.misbehave.rules import say
from restante.protocol.client.replies import Status
from restante.protocol.errors import LocalError, RemoteError, SecurityError
from support.faulty_server import PASSWORD, SCRAM, faulty_server, offering

GOOD = "<1896.697170952@dbc.mtview.ca.us>"
BAD = [
    "<1896@caf\xe9.example>", "<\xff\xfe\x80@host>", "<1896.697170952>", "<@host>", "<1896@>",
    "<18 96@host>", "<18@96@host>", "<1896@host", "1896@host>", "<\x01\x02@host>", "<>",
    "<a@b\x7f>", "<a<b@c\xe9>", "\u2039a@b\u203a", "",
]  # fmt: skip


@pytest.mark.parametrize("timestamp", BAD)
def test_timestamp_of_no_message_id(timestamp: str) -> None:
    """APOP is refused if the greeting's timestamp is not a msg-id of RFC 822 (CVE-2007-1558)."""
    greeting = f"+OK ready {timestamp}".encode("latin-1", "replace")
    with faulty_server(status("GREETING", greeting)) as server:
        with pytest.raises(LocalError, match="APOP: the greeting has no timestamp"):
            blocking.connect(server.url, PASSWORD, mechanisms=("APOP",))
        assert not any("APOP" in line for line in server.commands)
        with blocking.connect(server.url, PASSWORD, mechanisms=("APOP", "USER")) as drop:
            assert drop.session.mechanism == "USER"
    session = ClientSession(Target("host.example", 110, "none", "ann"))
    session.greeting = Status(ok=True, code="", text=timestamp)
    assert session.timestamp == ""


def test_timestamp_of_a_message_id() -> None:
    """A good one is answered with RFC 1939's digest."""
    plain = base64.b64encode(b"\0ann\0tanstaaf")
    let_in = alter_line(
        lambda line: b"AUTH PLAIN %s\r\n" % plain if line.startswith(b"APOP") else line
    )
    with (
        faulty_server(f"greeting: +OK ready {GOOD}", let_in, password="tanstaaf") as server,
        blocking.connect(server.url, "tanstaaf", mechanisms=("APOP",)),
    ):
        digest = hashlib.md5(f"{GOOD}tanstaaf".encode()).hexdigest()
        assert f"APOP ann {digest}" in server.commands


@pytest.mark.parametrize("challenge", BAD)
def test_challenge_of_cram_md5(challenge: str) -> None:
    """CRAM-MD5 answers a msg-id alone, as RFC 2195 has it."""
    coded = base64.b64encode(challenge.encode("latin-1", "replace"))
    asked = in_auth(lambda reply: say(reply, b"+ " + coded + b"\r\n"))
    with faulty_server(asked, offering("CRAM-MD5")) as server:
        with pytest.raises(SecurityError) as caught:
            blocking.connect(server.url, PASSWORD, mechanisms=("CRAM-MD5",))
        assert caught.value.id == "auth-unproven"
    assert server.commands[-1] in ("*", "AUTH CRAM-MD5")


def test_good_challenge_of_cram_md5() -> None:
    """The example of RFC 2195 section 2 comes out as it stands there."""
    responder = mechanisms.cram_md5(Credentials("tim", "tanstaaftanstaaf"))
    assert next(responder) is None
    challenge = b"<1896.697170952@postoffice.reston.mci.net>"
    assert responder.send(challenge) == b"tim b913a602c7eda7a495b4e6e7334d3890"


LIES = [
    (rb"i=\d+", b"i=2000001"),
    (rb"i=\d+", b"i=10000000"),
    (rb"i=\d+", b"i=99999999999999999999"),
    (rb"i=\d+", b"i=1"),
    (rb"i=\d+", b"i=-4096"),
    (rb"i=\d+", b"i=4_096"),
    (rb"i=\d+", "i=\u0664\u0660\u0669\u0666".encode()),
    (rb"s=[^,]+", b"s="),
    (rb"s=[^,]+", b"s=%%%%"),
    (rb"r=[^,]+", b"r="),
    (rb"r=[^,]+", b"r=another"),
    (rb"(r=[^,]+)", rb"\1" + b"\xe9"),
    (rb"(r=[^,]+)", rb"\1" + b"\x00"),
    (rb"^.*$", b""),
    (rb"^.*$", b"i=4096"),
    (rb"^", b"m=mandatory,"),
]


@pytest.mark.parametrize(("what", "lie"), LIES)
def test_first_message_of_scram(what: bytes, lie: bytes) -> None:
    """A challenge that allows no proof, or only a slow one, is refused before it is computed."""
    first = challenge(lambda said: re.sub(what, lie, said) if said.startswith(b"r=") else said)
    with faulty_server(first, SCRAM) as server, pytest.raises(RemoteError) as caught:
        blocking.connect(server.url, PASSWORD)
    assert isinstance(caught.value, SecurityError)
    assert caught.value.id == "auth-unproven"
    assert server.commands[3:] == ["*"]


def test_computing_heeds_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for all of it holds while a proof is computed, and the event loop goes on."""
    over, ticks = threading.Event(), []

    def slow(*_: Any) -> bytes:
        over.wait(60)
        return bytes(32)

    monkeypatch.setattr(hashlib, "pbkdf2_hmac", slow)

    async def ticking() -> None:
        while True:
            ticks.append(1)
            await asyncio.sleep(0.01)

    async def opened(url: str) -> None:
        task = asyncio.create_task(ticking())
        async with restante.connect(url, PASSWORD, total_seconds=0.5):
            pass
        task.cancel()

    try:
        with faulty_server(SCRAM) as server:
            with pytest.raises(RemoteError) as caught:
                blocking.connect(server.url, PASSWORD, total_seconds=0.5)
            assert caught.value.id == "out-of-time"
            with pytest.raises(RemoteError) as caught:
                asyncio.run(opened(server.url))
            assert caught.value.id == "out-of-time"
    finally:
        over.set()
    assert len(ticks) > 5


def test_added_cleartext_mechanism(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mechanism in CLEARTEXT is tried without being asked for."""
    monkeypatch.setitem(mechanisms.CLIENT_MECHANISMS, "X-PIN", mechanisms.plain)
    monkeypatch.setattr(login, "CLEARTEXT", (*mechanisms.CLEARTEXT, "X-PIN"))
    with faulty_server("CAPA: without USER\nCAPA: with SASL X-PIN") as server:
        with blocking.connect(server.url, PASSWORD):
            assert any(line.startswith("AUTH X-PIN") for line in server.commands)
