"""To which servers a password is sent, and in which form: proofs, SASLprep, what cannot be sent."""

from __future__ import annotations

import asyncio
import binascii
import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import restante
from restante import blocking
from restante.client.options import Target
from restante.protocol.errors import LocalError, RemoteError, SecurityError
from support.authority import GOOD, trusting
from support.broken_server import SILENCE, broken
from support.command import pop3
from support.false_scram import FalseScram

SPOKEN = ("USER", "PASS", "APOP", "AUTH PLAIN", "AUTH LOGIN")


def url(port: int, user: str = "ann") -> str:
    return f"pop3://{user + '@' if user else ''}127.0.0.1:{port}"


def constant(message: bytes) -> Callable[[bytes], bytes]:
    return lambda _: message


def few_iterations(first: bytes) -> bytes:
    return re.sub(rb"i=\d+", b"i=1", first)


LIES: dict[str, dict[str, Any]] = {
    "a signature without the password": {"final": constant(b"v=" + b"A" * 43 + b"=")},
    "no signature": {"final": constant(b"v=")},
    "no SCRAM": {"final": constant(b"welcome")},
    "no text": {"final": constant(b"\xff\xfe")},
    "a nonce of its own": {"first": lambda said: b"r=" + b"x" * 60 + said[said.index(b",") :]},
    "iterations that are too few": {"first": few_iterations},
    "no salt": {"first": constant(b"r=x,i=4096")},
    "another channel": {"final": constant(b"e=channel-bindings-dont-match")},
    "let in instead of a proof": {"final": constant(b"+OK welcome\r\n")},
    "let in at once": {"first": constant(b"+OK welcome\r\n")},
    "let in after an error": {"final": constant(b"e=invalid-proof")},
}

false_proofs = pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))


@false_proofs
@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_unproven_server_gets_no_password(lie: dict[str, Any], face: str) -> None:
    """RFC 5802 section 5: the client MUST end it where the server's proof is missing or wrong."""

    async def opened(port: int) -> None:
        async with restante.connect(url(port), "hunter22"):
            pass

    with broken(FalseScram(**lie)) as server, pytest.raises(SecurityError) as caught:
        if face == "asyncio":
            asyncio.run(opened(server.port))
        else:
            blocking.connect(url(server.port), "hunter22")
    assert caught.value.id == "auth-unproven"
    assert (caught.value.phase, caught.value.retryable) == ("login", False)
    assert not any(line.startswith(SPOKEN) for line in server.heard)


def test_too_many_iterations() -> None:
    """A server that requires millions of iterations is left at once.

    RFC 7677 section 4 names the least number of iterations, and no largest one.
    """
    lie = FalseScram(first=lambda said: re.sub(rb"i=\d+", b"i=2000000000", said))
    with broken(lie) as server, pytest.raises(SecurityError, match="4096 to 2000000 are computed"):
        blocking.connect(url(server.port), "hunter22")
    assert server.heard[3:] == ["*"], "no response was sent"


def test_relayed_tls_gets_no_password() -> None:
    """RFC 5802 section 6: an attacker that relays TLS to the true server is detected."""
    replies = FalseScram(mechanism="SCRAM-SHA-256-PLUS", binding=("tls-unique", b"another"))
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones have no tls-unique
    with broken(replies, implicit=GOOD.serving()) as server:
        where = f"pop3s://ann@localhost:{server.port}"
        with pytest.raises(SecurityError, match="auth-unproven"):
            blocking.connect(where, "hunter22", context=context)
    assert "AUTH SCRAM-SHA-256-PLUS" in server.heard
    assert not any(line.startswith(SPOKEN) for line in server.heard)


@pytest.mark.parametrize(
    ("offered", "flag"), [("SCRAM-SHA-256", b"y,,"), ("SCRAM-SHA-256 SCRAM-SHA-256-PLUS", b"n,,")]
)
def test_possible_binding(offered: str, flag: bytes) -> None:
    """A server that offers no channel binding learns that the client could bind.

    RFC 5802 section 6: so the server detects that an attacker removed its offer.
    """
    replies = FalseScram(others={"CAPA": f"+OK\r\nSASL {offered}\r\n.\r\n".encode()})
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with broken(replies, implicit=GOOD.serving()) as server:
        where = f"pop3s://ann@localhost:{server.port}"
        with blocking.connect(
            where, "hunter22", context=context, mechanisms=("SCRAM-SHA-256",)
        ) as drop:
            assert drop.session.mechanism == "SCRAM-SHA-256"
    assert binascii.a2b_base64(server.heard[2]).startswith(flag)


@false_proofs
def test_check_gives_a_failed_proof_a_verdict_of_its_own(lie: dict[str, Any]) -> None:
    """A server that fails to prove its identity gets a verdict, and no password."""
    with broken(FalseScram(**lie)) as server:
        report = restante.check(url(server.port), "hunter22")
    assert (report.id, report.exit_code) == ("auth-unproven", 5)
    assert not any(line.startswith(SPOKEN) for line in server.heard)


def test_failed_proof_stops_shell() -> None:
    """The shell sends no password after the server's proof failed."""
    with broken(FalseScram(**LIES["no signature"])) as server:
        ran = pop3(url(server.port))
    assert ran.code == 5
    assert "auth-unproven" in ran.out + ran.err
    assert not any(line.startswith(SPOKEN) for line in server.heard)


def test_a_server_that_proves_itself_is_believed() -> None:
    """A login by SCRAM succeeds without a password in clear text."""
    with broken(FalseScram()) as server, blocking.connect(url(server.port), "hunter22") as drop:
        assert drop.session.mechanism == "SCRAM-SHA-256"
    assert not any(line.startswith(SPOKEN) for line in server.heard)


REFUSALS: dict[str, dict[str, Any]] = {
    "to the mechanism": {"others": {"AUTH": b"-ERR no keys for this account\r\n"}},
    "instead of a salt": {"first": constant(b"-ERR [AUTH] no keys for this account\r\n")},
    "instead of a proof": {"final": constant(b"-ERR [AUTH] no\r\n")},
    "in SCRAM's own words": {"final": constant(b"e=invalid-proof"), "status": b"-ERR [AUTH]\r\n"},
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=list(REFUSALS))
def test_rejected_scram_falls_back(refusal: dict[str, Any]) -> None:
    """After a plain rejection of SCRAM the client tries USER and PASS."""
    with broken(FalseScram(**refusal)) as server:
        with blocking.connect(url(server.port), "hunter22") as drop:
            assert drop.session.mechanism == "USER"
    assert "PASS hunter22" in server.heard


def failing(port: int, **options: Any) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        blocking.connect(url(port), "hunter22", **options)
    return caught.value


def test_failed_proof_then_silence() -> None:
    """A failed proof is reported even if the server falls silent."""
    with broken(FalseScram(**LIES["no signature"], others={"*": SILENCE})) as server:
        assert failing(server.port, reply_seconds=5).id == "auth-unproven"


@pytest.mark.parametrize("octet", ["\r", "\n", "\0"])
@pytest.mark.parametrize("mechanism", [None, "PLAIN", "LOGIN"])
def test_control_characters_not_sent(octet: str, mechanism: str | None) -> None:
    """RFC 4616 section 2: a line end or NUL in a name or password is not sent."""
    replies = {"CAPA": b"+OK\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n"}
    wanted = (mechanism,) if mechanism else None
    with broken(replies) as server:
        for user, password in ((f"an{octet}n", "hunter22"), ("ann", f"hunter22{octet}")):
            where = Target("127.0.0.1", server.port, "none", user)
            with pytest.raises(LocalError, match="nothing was sent"):
                blocking.connect(where, password, mechanisms=wanted)
    assert set(server.heard) <= {"CAPA"}


UNPREPARED = [
    ("ann", "päss🙂"),  # 🙂 is younger than SASLprep
    ("ann", "with\ta tab"),
    ("ann🫠", "hunter22"),
]
unprepared = pytest.mark.parametrize(("user", "password"), UNPREPARED)


@unprepared
def test_no_saslprep_by_user_and_pass(user: str, password: str) -> None:
    """A password that SASLprep rejects is sent by USER and PASS as it was typed.

    RFC 4013 section 2: SCRAM cannot carry it; USER and PASS are octets.
    """
    with broken(FalseScram()) as server, blocking.connect(url(server.port, user), password) as drop:
        assert drop.session.mechanism == "USER"
        assert drop.session.tried == ["USER"]
    said = [line.encode("latin-1").decode() for line in server.heard]
    assert said[1:3] == [f"USER {user}", f"PASS {password}"]


@unprepared
def test_no_saslprep_by_digest(user: str, password: str) -> None:
    """Without TLS, a password that SASLprep rejects is sent by a digest."""
    capa = b"+OK\r\nUSER\r\nSASL SCRAM-SHA-256 PLAIN CRAM-MD5\r\n.\r\n"
    with broken({"CAPA": capa, "AUTH": b"-ERR that will do\r\n"}) as server:
        target = Target("mail.example.com", server.port, "none", user)
        with pytest.raises(RemoteError, match="that will do"):
            blocking.connect(target, password, resolve={(target.host, target.port): "127.0.0.1"})
    assert server.heard == ["CAPA", "AUTH CRAM-MD5"]


@unprepared
def test_check_logs_in_with_what_saslprep_does_not_take(user: str, password: str) -> None:
    """Names and passwords that SASLprep rejects are sent unchanged."""
    with broken(FalseScram()) as server:
        assert restante.check(url(server.port, user), password).ok


@unprepared
def test_chosen_mechanism_without_saslprep(user: str, password: str) -> None:
    """The error names the chosen mechanism that cannot carry the password."""
    with broken(FalseScram(others={"AUTH PLAIN": b"-ERR no\r\n"})) as server:
        with pytest.raises(LocalError, match="SCRAM-SHA-256: SASLprep rejects"):
            blocking.connect(url(server.port, user), password, mechanisms=("SCRAM-SHA-256",))
        with blocking.connect(
            url(server.port, user), password, mechanisms=("SCRAM-SHA-256", "PLAIN", "USER")
        ) as drop:
            assert drop.session.tried == ["PLAIN", "USER"]


def test_a_mechanism_that_binds_to_tls_wants_tls() -> None:
    """A mechanism with channel binding requires TLS."""
    with broken() as server, pytest.raises(LocalError, match="SCRAM-SHA-256-PLUS: it requires"):
        blocking.connect(url(server.port), "hunter22", mechanisms=("SCRAM-SHA-256-PLUS",))


WANTED = [{"mechanisms": (name,)} for name in ("PLAIN", "SCRAM-SHA-256", "USER", "APOP")]


@pytest.mark.parametrize("options", [{}, {"token": True}, *WANTED], ids=str)
def test_nobody_logs_in_without_a_name(options: dict[str, Any]) -> None:
    """Without a user name no login is tried."""
    with broken(FalseScram()) as server, pytest.raises(LocalError, match="missing user name"):
        blocking.connect(url(server.port, ""), "hunter22", **options)
    assert server.heard == ["CAPA"]


def test_a_certificate_needs_no_name() -> None:
    """RFC 4422 appendix A."""
    with broken({"AUTH": b"+OK\r\n"}) as server:
        with blocking.connect(url(server.port, ""), mechanisms=("EXTERNAL",)) as drop:
            assert drop.session.mechanism == "EXTERNAL"


@pytest.mark.parametrize(("user", "password"), [("ann", "p\udce4ss"), ("\udce4nn", "hunter22")])
def test_invalid_utf_8_rejected(user: str, password: str) -> None:
    """Octets that are not UTF-8 are rejected and not shown."""
    with broken(FalseScram()) as server, pytest.raises(LocalError) as caught:
        blocking.connect(Target("127.0.0.1", server.port, "starttls", user), password)
    assert "UTF-8" in str(caught.value)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
    assert "udce4" not in str(caught.value)
    assert server.heard == ["CAPA"]


def test_a_first_response_is_no_proof_either() -> None:
    """A +OK to the initial response does not prove the server's identity."""
    replies = FalseScram(others={"AUTH": b"+OK welcome\r\n"})
    with broken(replies) as server:
        assert failing(server.port, initial_response=True).id == "auth-unproven"


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5"])
def test_long_password_by_mechanism(
    mechanism: str,
) -> None:
    """A password too long for PASS is used with another mechanism.

    RFC 2449 section 4: a command has 255 octets at most.
    """
    capa = f"+OK\r\nUSER\r\nSASL {mechanism}\r\n.\r\n".encode()
    with broken({"CAPA": capa, "AUTH": b"-ERR not this one\r\n"}) as server:
        with pytest.raises(RemoteError, match="not this one"):
            blocking.connect(url(server.port), "x" * 300)
    assert server.heard == ["CAPA", f"AUTH {mechanism}"]


def test_long_password_by_pass() -> None:
    """A password too long for PASS is rejected if only PASS is offered."""
    with broken() as server, pytest.raises(LocalError, match="PASS with 307 octets"):
        blocking.connect(url(server.port), "x" * 300)
    assert server.heard == ["CAPA"]
