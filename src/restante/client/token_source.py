"""Access tokens in place of a password: the source, and when a client requests another token."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeGuard, TypeVar

from restante.client.options import time_over_text
from restante.net import daemon_threads
from restante.protocol.errors import LocalError, Phase, ReplyTimeoutError, ServerRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.client.options import Options
    from restante.protocol.errors import RemoteError

T = TypeVar("T")

_TOKEN_REFUSALS = frozenset({"auth-failed", "auth-refused", "auth-expired", "auth-oauth"})


class TokenSource(Protocol):
    """Gives access tokens of OAuth 2 for one account. `restante.oauth` has one for stored tokens.

    Both methods may wait for the network, but not without end. Any thread may call them. They
    raise RemoteError or LocalError: there is not a token, and the error says why.
    """

    def token(self) -> str:
        """Return an access token that has not expired."""
        ...

    def renew(self, refused: str) -> str | None:
        """Return another token after the mail server refused one, None for no other.

        It is called once for each login that was refused.
        """
        ...


def token_options(options: Options, password: str, auth: TokenSource) -> Options:
    """Return the options of a login with a token.

    Raises ValueError: there is a password too. Raises TypeError: it is not a source.
    """
    if password:
        raise ValueError("password and auth exclude each other; use one")
    if not callable(getattr(auth, "token", None)) or not callable(getattr(auth, "renew", None)):
        text = (
            "auth must have the methods of TokenSource; for one token use password and token=True"
        )
        raise TypeError(text)
    return replace(options, token=True)


def is_token_refused(error: RemoteError) -> TypeGuard[ServerRefusedError]:
    """Return whether a login failed by its token, so that another one may help."""
    refused = isinstance(error, ServerRefusedError) and error.phase == Phase.LOGIN
    return refused and error.id in _TOKEN_REFUSALS


def request_token(auth: TokenSource, options: Options, ends: float) -> str:
    """Return a token of a source. Raises ReplyTimeoutError at `ends`."""
    return _check_token(_call_in_time(auth.token, options, ends), "token()")


def renew_token(auth: TokenSource, refused: str, options: Options, ends: float) -> str | None:
    """Return another token of a source, None for none. Raises ReplyTimeoutError at `ends`."""
    renewed = _call_in_time(partial(auth.renew, refused), options, ends)
    return None if renewed is None else _check_token(renewed, "renew()")


def _check_token(token: object, method: str) -> str:
    """Return a token. Raises TypeError: it is not text. Raises LocalError: it is empty."""
    if not isinstance(token, str):
        type_name = type(token).__name__
        raise TypeError(f"{method} of the token source returned {type_name}, and must return str")
    if not token:
        raise LocalError(f"{method} of the token source returned an empty token: nothing was sent")
    return token


def _call_in_time(call: Callable[[], T], options: Options, ends: float) -> T:
    if ends == float("inf"):
        return call()
    try:
        return daemon_threads.start(call, "token").result(max(0, ends - time.monotonic()))
    except TimeoutError:
        text = f"{time_over_text(options)}; there is no access token yet"
        raise ReplyTimeoutError("out-of-time", text, phase=Phase.LOGIN) from None
