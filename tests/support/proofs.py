"""Meets the needs by which a client proves who it is, with passwords in a dict."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from restante.auth import scram
from restante.auth.interfaces import CredentialsError
from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server.needs import (
    Need,
    NewTimestamp,
    ScramFinal,
    ScramFirst,
    Verify,
    VerifyCertificate,
    VerifyDigest,
    VerifyToken,
)
from restante.protocol.server.settings import Identity
from support.passwords import quick_keys

TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"  # the example of RFC 1939 section 7


def meet(need: Need[Any], passwords: Mapping[str, str], bindings: Mapping[str, bytes]) -> object:
    """Tokens are "token of NAME", and every client has ann's certificate."""
    match need:
        case NewTimestamp():
            return TIMESTAMP
        case ScramFirst():
            return _scram_first(need, passwords, bindings)
        case ScramFinal():
            return _scram_final(need)
        case VerifyCertificate():
            return Identity(need.user or "ann")
        case Verify():
            proved = passwords.get(need.user) == need.password.reveal().decode(errors="replace")
        case VerifyToken():
            proved = need.token.reveal() == f"token of {need.user}".encode()
        case VerifyDigest():
            proved = _digest(need, passwords.get(need.user, "").encode()) == need.digest
        case _:
            raise AssertionError(f"nobody meets {need}")
    if not proved:
        raise wrong()
    return Identity(need.user)


def wrong() -> Refusal:
    return Refusal("Name or password is wrong.", ResponseCode.AUTH)


def _digest(need: VerifyDigest, secret: bytes) -> str:
    if need.keyed:
        return hmac.new(secret, need.challenge, "md5").hexdigest()
    return hashlib.md5(need.challenge + secret).hexdigest()


def _scram_first(
    need: ScramFirst, passwords: Mapping[str, str], bindings: Mapping[str, bytes]
) -> scram.ScramServer:
    try:
        keys = quick_keys(need.mechanism, passwords.get(need.user, "unknown").encode())
        return scram.ScramServer(need.mechanism, need.user, keys, need.message, bindings)
    except CredentialsError:
        raise wrong() from None


def _scram_final(need: ScramFinal) -> tuple[bytes, Identity]:
    assert isinstance(need.step, scram.ScramServer)
    try:
        return need.step.finish(need.message), Identity(need.step.user)
    except CredentialsError:
        raise wrong() from None
