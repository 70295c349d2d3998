"""Meets the needs of authentication, with passwords in a dict.

Only SCRAM requires a library, so it is imported late: the protocol alone runs without.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from restante.auth.interfaces import CredentialsError
from restante.protocol.errors import Refusal, ResponseCode
from restante.protocol.server.needs import (
    Authenticate,
    AuthMethod,
    Need,
    NewTimestamp,
    StartScram,
)
from restante.protocol.server.settings import Identity

if TYPE_CHECKING:
    from restante.auth.passwords.scram import ScramServer

TIMESTAMP = "<1896.697170952@dbc.mtview.ca.us>"  # the example of RFC 1939 section 7


def meet(need: Need[Any], passwords: Mapping[str, str], bindings: Mapping[str, bytes]) -> object:
    """Tokens are "token of NAME", and every client has ann's certificate."""
    match need:
        case NewTimestamp():
            return TIMESTAMP
        case StartScram():
            return _start_scram(need, passwords, bindings)
        case Authenticate():
            if need.method is AuthMethod.CERTIFICATE:
                return Identity(need.user or "ann")
            if not _is_right(need, passwords.get(need.user)):
                raise wrong()
            return Identity(need.user)
    raise NotImplementedError(f"World in support/world.py does not fulfil {need}")


def wrong() -> Refusal:
    return Refusal("Name or password is wrong.", ResponseCode.AUTH)


def _is_right(need: Authenticate, password: str | None) -> bool:
    said, secret = need.response.reveal(), (password or "").encode()
    match need.method:
        case AuthMethod.PASSWORD:
            return password == said.decode(errors="replace")
        case AuthMethod.TOKEN:
            return said == f"token of {need.user}".encode()
        case AuthMethod.SCRAM:
            return _finishes_scram(need.challenge, said)
    assert isinstance(need.challenge, bytes)
    if need.method is AuthMethod.CRAM_MD5:
        return hmac.new(secret, need.challenge, "md5").hexdigest().encode() == said
    if need.method is not AuthMethod.APOP:
        raise NotImplementedError(f"support/credentials.py does not check {need.method}")
    return hashlib.md5(need.challenge + secret).hexdigest().encode() == said


def _finishes_scram(challenge: object, said: bytes) -> bool:
    from restante.auth.passwords.scram import ScramServer

    assert isinstance(challenge, ScramServer)
    try:
        return challenge.finish(said) == challenge.signature
    except CredentialsError:
        return False


def _start_scram(
    need: StartScram, passwords: Mapping[str, str], bindings: Mapping[str, bytes]
) -> ScramServer:
    from restante.auth.passwords.scram import ScramServer
    from support.passwords import quick_keys

    try:
        keys = quick_keys(need.mechanism, passwords.get(need.user, "unknown").encode())
        return ScramServer(need.mechanism, need.user, keys, need.message, bindings)
    except CredentialsError:
        raise wrong() from None
