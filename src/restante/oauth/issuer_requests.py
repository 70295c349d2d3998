"""Requests to an issuer: one deadline, small answers, no redirects, https, by the user's proxy."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from restante.client.tls import verifying_context
from restante.net import connecting
from restante.net.addresses import is_loopback
from restante.net.http import HttpClient, HttpError
from restante.oauth.errors import OAuthError

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping, Sequence

    from restante.net.http import HttpAnswer

SECONDS = 10  # for all of an answer, with the look-up of the name
LARGEST_ANSWER = 1024 * 1024  # octets
HEADERS = (("Accept", "application/json"), ("User-Agent", "restante"))


def get_json(url: str) -> tuple[int, dict[str, Any]]:
    """Return the status and the JSON object at a URL. Raises OAuthError."""
    return _ask("GET", url, [], None)


def post_form(
    url: str, fields: Mapping[str, str], headers: Sequence[tuple[str, str]] = ()
) -> tuple[int, dict[str, Any]]:
    """Send a form, and return the status and the JSON object of the answer. Raises OAuthError."""
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    return _ask("POST", url, [kind, *headers], urlencode(fields).encode())


def post_json(url: str, value: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """Send a JSON object, and return the status and the one of the answer. Raises OAuthError."""
    kind = ("Content-Type", "application/json")
    return _ask("POST", url, [kind], json.dumps(value).encode())


def _ask(
    method: str, url: str, headers: Sequence[tuple[str, str]], content: bytes | None
) -> tuple[int, dict[str, Any]]:
    client = HttpClient(
        context=verifying_context(),
        ends=time.monotonic() + SECONDS,
        largest=LARGEST_ANSWER,
        connect=connect,
        may_lead_to=lambda _: False,
        proxy=proxy_for(url),
    )
    try:
        answer = client.send(method, url, [*HEADERS, *headers], content)
    except HttpError as error:
        raise OAuthError("oauth-network", f"{url}: {error}") from None
    return answer.status, _json_object(url, answer)


def proxy_for(url: str) -> str:
    """Return the proxy that the environment names for a URL, "" for none: https_proxy, no_proxy."""
    host = urlsplit(url).hostname or ""
    if is_loopback(host) or proxy_bypass(host):
        return ""
    return getproxies().get("https", "")


def connect(host: str, port: int, ends: float) -> socket.socket:
    """Return a connection to a host before a time. Raises OSError."""
    addresses = connecting.resolve(host, port, connecting.seconds_until(ends))
    return connecting.connect(addresses, port, ends)


def _json_object(url: str, answer: HttpAnswer) -> dict[str, Any]:
    """Return the object of an answer, an empty one for a failure without one.

    JSON can name halves of characters, which no text can have: they become "?".
    """
    try:
        found = json.loads(answer.content)
        found = json.loads(json.dumps(found, ensure_ascii=False).encode(errors="replace"))
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if answer.status == 200:
        raise OAuthError("oauth-answer", f"{url}: the answer is not a JSON object")
    return {}
