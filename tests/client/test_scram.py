"""SCRAM as RFC 5802 and RFC 7677 show it, and servers that do not prove themselves."""

from __future__ import annotations

import base64

import pytest

from restante.client.credentials import Credentials
from restante.client.scram import check_credentials, scram
from restante.protocol.client.sasl import SaslRefusal

NONCE = b"rOprNGfwEbeRWgbNEkqO"
FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
PENCIL = Credentials("user", "pencil")


def test_sha_256() -> None:
    """The exchange of RFC 7677 section 3 comes out octet for octet."""
    responder = scram("SCRAM-SHA-256", lambda: NONCE)(PENCIL)
    assert next(responder) == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert responder.send(FIRST) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    assert responder.send(FINAL) == b""


def test_sha_1() -> None:
    """The exchange of RFC 5802 section 5 comes out octet for octet."""
    responder = scram("SCRAM-SHA-1", lambda: b"fyko+d2lbbFgONRv9qkxdawL")(PENCIL)
    assert next(responder) == b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL"
    said = b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096"
    assert responder.send(said) == (
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts="
    )
    assert responder.send(b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=") == b""


@pytest.mark.parametrize(
    ("name", "sent"),
    [("a=b,c", b"a=3Db=2Cc"), ("\u00aa", b"a"), ("I\u00adX", b"IX"), ("\u00e9", "\u00e9".encode())],
)
def test_name(name: str, sent: bytes) -> None:
    """A name is prepared by SASLprep, and its separators are escaped. RFC 5802 section 5.1."""
    responder = scram("SCRAM-SHA-256", lambda: NONCE)(Credentials(name, "pencil"))
    assert next(responder) == b"n,,n=" + sent + b",r=" + NONCE


@pytest.mark.parametrize(
    ("mechanism", "plus", "header"),
    [
        ("SCRAM-SHA-256-PLUS", True, b"p=tls-unique,,"),
        ("SCRAM-SHA-256", False, b"y,,"),
        ("SCRAM-SHA-256", True, b"n,,"),
    ],
)
def test_binding(mechanism: str, plus: bool, header: bytes) -> None:
    """The header says whether the exchange is bound, and the proof covers the channel."""
    credentials = Credentials(
        "user", "pencil", binding=("tls-unique", b"channel"), server_has_plus=plus
    )
    responder = scram(mechanism, lambda: NONCE)(credentials)
    first = next(responder)
    assert first is not None
    assert first.startswith(header)
    final = responder.send(FIRST)
    assert final is not None
    bound = header + (b"channel" if header[:1] == b"p" else b"")
    assert base64.b64decode(final[2 : final.index(b",")]) == bound


@pytest.mark.parametrize(
    "first",
    [
        FIRST.replace(b"4096", b"4095"),
        FIRST.replace(b"4096", b"2000001"),
        FIRST.replace(b"4096", b"04096"),
        FIRST.replace(b"r=r", b"r=x"),
        b"r=" + NONCE + FIRST[FIRST.index(b",") :],
        FIRST.replace(b"gQ==", b"gQ="),
        FIRST.replace(b"s=W22ZaJ0SNY7soEsUEjb6gQ==", b"s="),
        b"m=1," + FIRST,
        b"",
    ],
)
def test_first_message(first: bytes) -> None:
    """A first message that allows no proof is rejected before anything is computed."""
    responder = scram("SCRAM-SHA-256", lambda: NONCE)(PENCIL)
    next(responder)
    with pytest.raises(ValueError, match="did not prove"):
        responder.send(first)


@pytest.mark.parametrize(
    "final",
    [b"", b"v=", b"v=A", FINAL.replace(b"6r", b"7r"), b"v=AAAA", b"e=channel-bindings-dont-match"],
)
def test_proof(final: bytes) -> None:
    """A wrong, short or missing proof of the server is an error."""
    responder = scram("SCRAM-SHA-256", lambda: NONCE)(PENCIL)
    next(responder)
    responder.send(FIRST)
    with pytest.raises(ValueError, match="did not prove"):
        responder.send(final)


@pytest.mark.parametrize("steps", [[b"e=unknown-user"], [FIRST, b"e=invalid-proof"]])
def test_refusal(steps: list[bytes]) -> None:
    """A server's error is a refusal of the credentials. RFC 5802 section 7."""
    responder = scram("SCRAM-SHA-256", lambda: NONCE)(PENCIL)
    next(responder)
    with pytest.raises(SaslRefusal, match=steps[-1].decode()):
        for step in steps:
            responder.send(step)


@pytest.mark.parametrize("credentials", [Credentials("u", "a\u0007"), Credentials("\u00ad", "p")])
def test_what_cannot_be_prepared(credentials: Credentials) -> None:
    """A name or a password that SASLprep rejects, or leaves nothing of, is an error."""
    with pytest.raises(ValueError, match=r"."):
        check_credentials(credentials)
