"""Device code: the user types a short code into a browser anywhere. RFC 8628."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from restante.oauth import token_endpoint
from restante.oauth.errors import OAuthError
from restante.oauth.metadata import is_safe_url
from restante.protocol.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from restante.oauth.client import SignInClient
    from restante.oauth.token_endpoint import TokenSet

INTERVAL = 5  # seconds between two polls, if the issuer names none: section 3.2
SLOWER = 5  # seconds more after slow_down: section 3.5
SLOWEST_IN_TROUBLE = 60  # seconds, unless the issuer asks for more
LIFE = 900  # seconds, if the issuer names none
LONGEST_LIFE = 3600  # seconds
LONGEST = 4096  # characters of a code or an address


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """The code and address for a user to sign in elsewhere: section 3.2.

    Attributes:
        code: what the polls send.
        user_code: what the user types at `verification_uri`.
        verification_uri_complete: the address with the code in it, "" without one.
        seconds: for which the code is good.
        interval: seconds between two polls.
    """

    code: Secret
    user_code: str
    verification_uri: str
    verification_uri_complete: str
    seconds: float
    interval: float


def sign_in(
    client: SignInClient,
    show: Callable[[DeviceCode], None],
    *,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> TokenSet:
    """Return the tokens of a user that signs in before the code runs out. Raises OAuthError.

    `show` is called with the code. Trouble of the network or of the issuer makes the polls slower,
    and does not end them.
    """
    device = request_device_code(client)
    ends = clock() + device.seconds
    seconds = interval = device.interval
    show(device)
    while clock() + seconds < ends:
        pause(seconds)
        try:
            return token_endpoint.exchange_device_code(client.endpoint, device.code, client.scope)
        except OAuthError as error:
            interval = _next_interval(error, interval)
            seconds = max(interval, error.wait)
            if clock() + error.wait >= ends > clock():  # the issuer is busy for too long
                raise
    raise OAuthError("oauth-code", "the code ran out before its user had signed in")


def _next_interval(error: OAuthError, interval: float) -> float:
    """Return the seconds before the next poll. Raises the error: it ends the sign-in."""
    if error.error == "authorization_pending":
        return interval
    if error.error == "slow_down":
        return interval + SLOWER
    if error.temporary:
        return max(interval, min(interval * 2, SLOWEST_IN_TROUBLE))
    raise error


def request_device_code(client: SignInClient) -> DeviceCode:
    """Return a code for one sign-in. Section 3.1. Raises OAuthError."""
    endpoint, server = client.endpoint, client.server
    body = token_endpoint.request_device_code(endpoint, server.device, client.scope)
    uri = body.get("verification_uri") or body.get("verification_url")  # Google's name for it
    texts = (body.get("device_code"), body.get("user_code"), uri)
    for name, value in zip(("device_code", "user_code", "verification_uri"), texts, strict=True):
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST:
            raise OAuthError("oauth-answer", f"the issuer's answer has no usable {name}")
    code, user_code, address = map(str, texts)
    seconds = _seconds(body, "expires_in", LIFE)
    interval = max(1.0, _seconds(body, "interval", INTERVAL))
    if not is_safe_url(address):
        raise OAuthError("oauth-answer", "the address to sign in at is not a plain https URL")
    if interval >= seconds:
        text = (
            f"the code is good for {seconds:g} s, and a poll is allowed only after {interval:g} s"
        )
        raise OAuthError("oauth-answer", text)
    complete = body.get("verification_uri_complete", "")
    usable = isinstance(complete, str) and len(complete) <= LONGEST and is_safe_url(complete)
    code_in_url = complete if usable else ""
    return DeviceCode(Secret(code.encode()), user_code, address, code_in_url, seconds, interval)


def _seconds(body: Mapping[str, Any], name: str, default: float) -> float:
    """Return a positive number of an answer, the default without one."""
    value = token_endpoint.read_seconds(body.get(name))
    return min(value, LONGEST_LIFE) if value is not None and value > 0 else default
