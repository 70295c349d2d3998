"""Who gets the password, and in which form: the server's proof, SASLprep, what cannot be sent."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Callable
from typing import Any

import pytest

import restante
from restante import blocking
from restante.protocol.failures import Insecure, RemoteError
from support.authority import GOOD, trusting
from support.broken import SILENCE, broken
from support.command import pop3
from support.false_scram import FalseScram

SPOKEN = ("USER", "PASS", "APOP", "AUTH PLAIN", "AUTH LOGIN")


def url(port: int, user: str = "ann") -> str:
    return f"pop3://{user}@127.0.0.1:{port}"


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
def test_a_server_that_fails_to_prove_itself_gets_no_password(
    lie: dict[str, Any], face: str
) -> None:
    """RFC 5802 section 5: the client MUST end it where the server's proof is missing or wrong."""

    async def opened(port: int) -> None:
        async with restante.connect(url(port), "hunter22"):
            pass

    with broken(FalseScram(**lie)) as server, pytest.raises(Insecure) as caught:
        if face == "asyncio":
            asyncio.run(opened(server.port))
        else:
            blocking.connect(url(server.port), "hunter22")
    assert caught.value.id == "auth-unproven"
    assert (caught.value.phase, caught.value.retryable) == ("login", False)
    assert not any(line.startswith(SPOKEN) for line in server.heard)


def test_a_server_on_another_channel_of_tls_gets_no_password() -> None:
    """RFC 5802 section 6: who passes TLS on to the true server is found out."""
    replies = FalseScram(mechanism="SCRAM-SHA-256-PLUS", binding=("tls-unique", b"another"))
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # later ones have no tls-unique
    with broken(replies, implicit=GOOD.serving()) as server:
        where = f"pop3s://ann@localhost:{server.port}"
        with pytest.raises(Insecure, match="auth-unproven"):
            blocking.connect(where, "hunter22", context=context)
    assert "AUTH SCRAM-SHA-256-PLUS" in server.heard
    assert not any(line.startswith(SPOKEN) for line in server.heard)


@false_proofs
def test_check_gives_a_failed_proof_a_verdict_of_its_own(lie: dict[str, Any]) -> None:
    with broken(FalseScram(**lie)) as server:
        report = restante.check(url(server.port), "hunter22")
    assert (report.id, report.exit_code) == ("auth-unproven", 5)
    assert not any(line.startswith(SPOKEN) for line in server.heard)


def test_the_shell_sends_no_password_after_a_failed_proof() -> None:
    with broken(FalseScram(**LIES["no signature"])) as server:
        ran = pop3(url(server.port))
    assert ran.code == 5
    assert "auth-unproven" in ran.out + ran.err
    assert not any(line.startswith(SPOKEN) for line in server.heard)


def test_a_server_that_proves_itself_is_believed() -> None:
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
def test_a_server_that_refuses_scram_honestly_is_tried_with_user(refusal: dict[str, Any]) -> None:
    with broken(FalseScram(**refusal)) as server:
        with blocking.connect(url(server.port), "hunter22") as drop:
            assert drop.session.mechanism == "USER"
    assert "PASS hunter22" in server.heard


def failing(port: int, **options: Any) -> RemoteError:
    with pytest.raises(RemoteError) as caught:
        blocking.connect(url(port), "hunter22", **options)
    return caught.value


def test_a_failed_proof_is_told_even_where_the_server_falls_silent() -> None:
    with broken(FalseScram(**LIES["no signature"], others={"*": SILENCE})) as server:
        assert failing(server.port, reply_seconds=5).id == "auth-unproven"
