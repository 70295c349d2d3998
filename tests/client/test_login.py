"""To which servers a password is sent, and in which form: proofs, SASLprep, what cannot be sent."""

from __future__ import annotations

import asyncio
import base64
import binascii
import ssl
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

import restante
from restante import blocking
from restante.client.credentials import Credentials
from restante.client.mechanisms import CLIENT_MECHANISMS
from restante.client.options import Target
from restante.misbehave import Fault
from restante.misbehave.changes import alter_line, challenge
from restante.misbehave.conversation import Alteration
from restante.misbehave.driver import FaultyServer
from restante.misbehave.rules import on
from restante.protocol.client import sasl
from restante.protocol.client.connection import ServerPeer
from restante.protocol.client.effects import Send
from restante.protocol.client.pipeline import carry_out
from restante.protocol.errors import LocalError, RemoteError, SecurityError, ServerRefusedError
from support.authority import GOOD, trusting
from support.command import pop3
from support.faulty_server import PASSWORD, SCRAM, faulty_server, offering

SPOKEN = ("USER", "PASS", "APOP", "AUTH PLAIN", "AUTH LOGIN")


BOUND = offering("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS")
USER_TOO = "CAPA: with USER"  # beside a fault of SCRAM alone


def url(server: FaultyServer, user: str) -> str:
    return f"pop3://{user + '@' if user else ''}{server.host}:{server.port}"


Faults: TypeAlias = tuple[str | Fault | Alteration, ...]


def final(message: bytes) -> Alteration:
    """Return a fault that has its own last message of SCRAM."""
    return challenge(lambda said: message if said.startswith(b"v=") else said)


LIES: dict[str, Faults] = {
    "a signature without the password": (USER_TOO, "scram-wrong-signature"),
    "no signature": (USER_TOO, "scram-empty-signature"),
    "no SCRAM": (SCRAM, final(b"welcome")),
    "no text": (SCRAM, final(b"\xff\xfe")),
    "a nonce of its own": (USER_TOO, "scram-other-nonce"),
    "iterations that are too few": (USER_TOO, "scram-iterations-low"),
    "no salt": (USER_TOO, "scram-no-salt"),
    "another channel": (SCRAM, final(b"e=channel-bindings-dont-match")),
    "let in instead of a proof": (USER_TOO, "scram-no-signature"),
    "let in at once": (USER_TOO, "scram-ok-at-once"),
    "let in after an error": (USER_TOO, "scram-error-ok"),
}

false_proofs = pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))


@false_proofs
@pytest.mark.parametrize("face", ["blocking", "asyncio"])
def test_unproven_server_gets_no_password(lie: Faults, face: str) -> None:
    """RFC 5802 section 5: the client MUST end it where the server's proof is missing or wrong."""

    async def opened(url: str) -> None:
        async with restante.connect(url, PASSWORD):
            pass

    with faulty_server(*lie) as server, pytest.raises(SecurityError) as caught:
        if face == "asyncio":
            asyncio.run(opened(server.url))
        else:
            blocking.connect(server.url, PASSWORD)
    assert caught.value.id == "auth-unproven"
    assert (caught.value.phase, caught.value.retryable) == ("login", False)
    assert not any(line.startswith(SPOKEN) for line in server.commands)


def test_too_many_iterations() -> None:
    """A server that requires millions of iterations is left at once.

    RFC 7677 section 4 names the least number of iterations, and no largest one.
    """
    with faulty_server(USER_TOO, "scram-iterations-huge") as server:
        with pytest.raises(SecurityError, match="4096 to 2000000 are computed"):
            blocking.connect(server.url, PASSWORD)
    assert server.commands[3:] == ["*"], "no response was sent"


def test_relayed_tls_gets_no_password() -> None:
    """RFC 5802 section 6: an attacker that relays TLS to the true server is detected."""
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones have no tls-unique
    mismatch = final(b"e=channel-bindings-dont-match")
    with faulty_server(mismatch, BOUND, tls=GOOD.serving()) as server:
        where = f"pop3s://ann@localhost:{server.tls_port}"
        with pytest.raises(SecurityError, match="auth-unproven"):
            blocking.connect(where, PASSWORD, context=context)
    assert "AUTH SCRAM-SHA-256-PLUS" in server.commands
    assert not any(line.startswith(SPOKEN) for line in server.commands)


@pytest.mark.parametrize(
    ("offer", "flag"), [(SCRAM, b"y,,"), (BOUND, b"n,,")], ids=["SCRAM", "SCRAM and PLUS"]
)
def test_possible_binding(offer: Fault, flag: bytes) -> None:
    """A server that offers no channel binding learns that the client could bind.

    RFC 5802 section 6: so the server detects that an attacker removed its offer.
    """
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with faulty_server(offer, tls=GOOD.serving()) as server:
        where = f"pop3s://ann@localhost:{server.tls_port}"
        with blocking.connect(
            where, PASSWORD, context=context, mechanisms=("SCRAM-SHA-256",)
        ) as drop:
            assert drop.session.mechanism == "SCRAM-SHA-256"
    assert binascii.a2b_base64(server.commands[2]).startswith(flag)


def test_one_challenge_too_many() -> None:
    """If a mechanism has no response any more, the error names AUTH, and says what was done."""
    again = on("RESPONSE", lambda reply: replace(reply, status=b"+ \r\n"), nth=1)
    with faulty_server(offering("PLAIN"), again) as server, pytest.raises(RemoteError) as caught:
        blocking.connect(server.url, PASSWORD, mechanisms=("PLAIN",))
    assert (caught.value.id, caught.value.command) == ("auth-failed", "AUTH PLAIN")
    assert caught.value.text.endswith("after the last one, and AUTH was cancelled")


def test_challenges_without_end() -> None:
    """If a server answers the end of AUTH by a challenge, too, the error names AUTH."""
    responder = CLIENT_MECHANISMS["PLAIN"](Credentials("ann", PASSWORD, "mail.example.com", 995))
    asked = carry_out(ServerPeer(), sasl.auth("PLAIN", responder))
    answer = None
    with pytest.raises(RemoteError) as caught:
        while True:
            answer = None if isinstance(asked.send(answer), Send) else b"+ \r\n"
    assert (caught.value.id, caught.value.command) == ("bad-reply", "AUTH PLAIN")


@false_proofs
def test_check_gives_a_failed_proof_a_verdict_of_its_own(lie: Faults) -> None:
    """A server that fails to prove its identity gets a verdict, and no password."""
    with faulty_server(*lie) as server:
        report = restante.check(server.url, PASSWORD)
    assert (report.id, report.exit_code) == ("auth-unproven", 5)
    assert not any(line.startswith(SPOKEN) for line in server.commands)


def test_failed_proof_stops_shell() -> None:
    """The shell sends no password after the server's proof failed."""
    with faulty_server(*LIES["no signature"]) as server:
        ran = pop3(server.url)
    assert ran.code == 5
    assert "auth-unproven" in ran.out + ran.err
    assert not any(line.startswith(SPOKEN) for line in server.commands)


def test_a_server_that_proves_itself_is_believed() -> None:
    """A login by SCRAM succeeds without a password in clear text."""
    with faulty_server(SCRAM) as server, blocking.connect(server.url, PASSWORD) as drop:
        assert drop.session.mechanism == "SCRAM-SHA-256"
    assert not any(line.startswith(SPOKEN) for line in server.commands)


REFUSALS: dict[str, Faults] = {
    "to the mechanism": ("AUTH: -ERR no keys for this account",),
    "instead of a salt": ("RESPONSE#1: -ERR [AUTH] no keys for this account",),
    "instead of a proof": ("RESPONSE#2: -ERR [AUTH] no",),
    "in SCRAM's own words": ("RESPONSE#3: -ERR [AUTH]", final(b"e=invalid-proof")),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=list(REFUSALS))
def test_rejected_scram_falls_back(refusal: Faults) -> None:
    """After a plain rejection of SCRAM the client tries USER and PASS."""
    with faulty_server(*refusal, SCRAM) as server:
        with blocking.connect(server.url, PASSWORD) as drop:
            assert drop.session.mechanism == "USER"
    assert f"PASS {PASSWORD}" in server.commands


def failing(url: str, **options: Any) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        blocking.connect(url, PASSWORD, **options)
    return caught.value


def test_failed_proof_then_silence() -> None:
    """A failed proof is reported even if the server falls silent."""
    with faulty_server("RESPONSE#3: silence", *LIES["no signature"]) as server:
        assert failing(server.url, reply_seconds=5).id == "auth-unproven"


@pytest.mark.parametrize("octet", ["\r", "\n", "\0"])
@pytest.mark.parametrize("mechanism", [None, "PLAIN", "LOGIN"])
def test_control_characters_not_sent(octet: str, mechanism: str | None) -> None:
    """RFC 4616 section 2: a line end or NUL in a name or password is not sent."""
    wanted = (mechanism,) if mechanism else None
    with faulty_server() as server:
        for user, password in ((f"an{octet}n", PASSWORD), ("ann", f"{PASSWORD}{octet}")):
            where = Target("127.0.0.1", server.port, "none", user)
            with pytest.raises(LocalError, match="nothing was sent"):
                blocking.connect(where, password, mechanisms=wanted)
    assert set(server.commands) <= {"CAPA"}


def any_login(line: bytes) -> bytes:
    """Change a line to ann's, with her password."""
    known = {b"USER": b"USER ann\r\n", b"PASS": f"PASS {PASSWORD}\r\n".encode()}
    return known.get(line.split(b" ")[0], line)


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
    with (
        faulty_server(SCRAM, alter_line(any_login)) as server,
        blocking.connect(url(server, user), password) as drop,
    ):
        assert drop.session.mechanism == "USER"
        assert drop.session.tried == ["USER"]
    said = [line.encode("latin-1").decode() for line in server.commands]
    assert said[1:3] == [f"USER {user}", f"PASS {password}"]


@unprepared
def test_no_saslprep_by_digest(user: str, password: str) -> None:
    """Without TLS, a password that SASLprep rejects is sent by a digest."""
    capa = "CAPA: with SASL SCRAM-SHA-256 PLAIN CRAM-MD5"
    with faulty_server(capa, "AUTH: -ERR that will do") as server:
        target = Target("mail.example.com", server.port, "none", user)
        with pytest.raises(RemoteError, match="that will do"):
            blocking.connect(target, password, resolve={(target.host, target.port): "127.0.0.1"})
    assert server.commands == ["CAPA", "AUTH CRAM-MD5"]


def test_capabilities_before_tls() -> None:
    """RFC 2595 section 4: capabilities from before TLS, perhaps of an attacker, do not count."""
    with faulty_server("CAPA#2: -ERR no", tls=GOOD.serving()) as server:
        target = Target("localhost", server.port, "starttls", "ann")
        with blocking.connect(target, PASSWORD, context=trusting()) as drop:
            assert drop.session.before_tls
            assert drop.session.capabilities is None


def test_user_unknown_before_stls() -> None:
    """A server that has STLS, and USER only after it, does not reject the password."""
    capa = ("CAPA: with STLS", "CAPA: without USER", "CAPA: without SASL")
    with (
        faulty_server(*capa, "USER: -ERR unknown command") as server,
        pytest.raises(RemoteError, match="auth-plain-refused"),
    ):
        blocking.connect(Target(server.host, server.port, "none", "ann"), PASSWORD)


@pytest.mark.parametrize("faults", [(), ("capa-none",)], ids=["not offered", "rejected"])
def test_no_digest_without_stls(faults: Faults) -> None:
    """RFC 2595 section 4: where STLS is missing, no digest is sent, since mail would come in clear.

    An attacker on the way can remove STLS from the capabilities.
    """
    capa = "CAPA: with SASL CRAM-MD5"
    with faulty_server(capa, "greeting: +OK <1.2@example.com>", *faults) as server:
        target = Target("mail.example.com", server.port, "starttls", "ann")
        with pytest.raises(SecurityError, match="stls-missing"):
            blocking.connect(target, PASSWORD, resolve={(target.host, target.port): "127.0.0.1"})
    assert server.commands == ["CAPA", "STLS"][: 1 + len(faults)]


@pytest.mark.parametrize("mechanism", ["USER", "PLAIN", "LOGIN"])
def test_requested_mechanism_in_clear(mechanism: str) -> None:
    """A mechanism that reveals the password is not used without TLS, also if it is requested."""
    with faulty_server("CAPA: with SASL PLAIN LOGIN") as server:
        target = Target("mail.example.com", server.port, "none", "ann")
        where = {(target.host, target.port): "127.0.0.1"}
        with pytest.raises(SecurityError, match="stls-missing"):
            blocking.connect(target, PASSWORD, mechanisms=(mechanism,), resolve=where)
    assert server.commands == ["CAPA"]


def test_stls_without_capa() -> None:
    """If CAPA fails, STLS is tried at another machine, even if a password in clear is allowed."""
    with faulty_server("capa-none", "STLS: -ERR no") as server:
        target = Target("mail.example.com", server.port, "starttls", "ann")
        where = {(target.host, target.port): "127.0.0.1"}
        with blocking.connect(target, PASSWORD, insecure_plaintext=True, resolve=where):
            assert server.commands[:2] == ["CAPA", "STLS"]


@unprepared
def test_check_logs_in_with_what_saslprep_does_not_take(user: str, password: str) -> None:
    """Names and passwords that SASLprep rejects are sent unchanged."""
    with faulty_server(SCRAM, alter_line(any_login)) as server:
        assert restante.check(url(server, user), password).ok


@unprepared
def test_chosen_mechanism_without_saslprep(user: str, password: str) -> None:
    """The error names the chosen mechanism that cannot carry the password."""
    with faulty_server("AUTH: -ERR no", SCRAM, alter_line(any_login)) as server:
        with pytest.raises(LocalError, match="SCRAM-SHA-256: SASLprep rejects"):
            blocking.connect(url(server, user), password, mechanisms=("SCRAM-SHA-256",))
        with blocking.connect(
            url(server, user), password, mechanisms=("SCRAM-SHA-256", "PLAIN", "USER")
        ) as drop:
            assert drop.session.tried == ["PLAIN", "USER"]


def test_a_mechanism_that_binds_to_tls_wants_tls() -> None:
    """A mechanism with channel binding requires TLS."""
    with (
        faulty_server() as server,
        pytest.raises(LocalError, match="SCRAM-SHA-256-PLUS: it requires"),
    ):
        blocking.connect(server.url, PASSWORD, mechanisms=("SCRAM-SHA-256-PLUS",))


WANTED = [{"mechanisms": (name,)} for name in ("PLAIN", "SCRAM-SHA-256", "USER", "APOP")]


@pytest.mark.parametrize("options", [{}, {"token": True}, *WANTED], ids=str)
def test_nobody_logs_in_without_a_name(options: dict[str, Any]) -> None:
    """Without a user name no login is tried."""
    with faulty_server(SCRAM) as server, pytest.raises(LocalError, match="missing user name"):
        blocking.connect(url(server, ""), PASSWORD, **options)
    assert server.commands == ["CAPA"]


def test_a_certificate_needs_no_name() -> None:
    """RFC 4422 appendix A."""
    plain = base64.b64encode(f"\0ann\0{PASSWORD}".encode())
    let_in = alter_line(
        lambda line: b"AUTH PLAIN %s\r\n" % plain if line.startswith(b"AUTH") else line
    )
    with faulty_server(let_in) as server:
        where = url(server, "")
        with blocking.connect(where, mechanisms=("EXTERNAL",)) as drop:
            assert drop.session.mechanism == "EXTERNAL"


@pytest.mark.parametrize(("user", "password"), [("ann", "p\udce4ss"), ("\udce4nn", "hunter22")])
def test_invalid_utf_8_rejected(user: str, password: str) -> None:
    """Octets that are not UTF-8 are rejected and not shown."""
    with faulty_server(SCRAM) as server, pytest.raises(LocalError) as caught:
        blocking.connect(Target("127.0.0.1", server.port, "starttls", user), password)
    assert "UTF-8" in str(caught.value)
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)
    assert "udce4" not in str(caught.value)
    assert server.commands == ["CAPA"]


def test_a_first_response_is_no_proof_either() -> None:
    """A +OK to the initial response does not prove the server's identity."""
    with faulty_server("AUTH: +OK welcome", SCRAM) as server:
        assert failing(server.url, initial_response=True).id == "auth-unproven"


@pytest.mark.parametrize("code", ["SYS/TEMP", "SYS/PERM"])
def test_ok_to_auth_with_a_failure(code: str) -> None:
    """A +OK to AUTH with a code of failure is a refusal."""
    with faulty_server("CAPA: with SASL PLAIN", f"AUTH: +OK [{code}] no mailbox") as server:
        refused = failing(server.url, mechanisms=("PLAIN",), initial_response=True)
    assert isinstance(refused, ServerRefusedError)
    assert (refused.code, refused.says_ok) == (code, True)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "CRAM-MD5"])
def test_long_password_by_mechanism(
    mechanism: str,
) -> None:
    """A password too long for PASS is used with another mechanism.

    RFC 2449 section 4: a command has 255 octets at most.
    """
    with faulty_server(f"CAPA: with SASL {mechanism}", "AUTH: -ERR not this one") as server:
        with pytest.raises(RemoteError, match="not this one"):
            blocking.connect(server.url, "x" * 300)
    assert server.commands == ["CAPA", f"AUTH {mechanism}"]


def test_long_password_by_pass() -> None:
    """A password too long for PASS is rejected if only PASS is offered."""
    with faulty_server("CAPA: without SASL") as server:
        with pytest.raises(LocalError, match="PASS with 256 octets"):
            blocking.connect(server.url, "x" * 249)
        assert server.commands == ["CAPA"]
        with pytest.raises(RemoteError, match="auth-failed"):
            blocking.connect(server.url, "x" * 248)
