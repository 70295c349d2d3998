"""Requests to an issuer: one deadline, small answers, no redirects, https, by the user's proxy."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from restante.client.tls import verifying_context
from restante.net.addresses import is_loopback
from restante.net.http import HttpClient, HttpError, InvalidAnswerError
from restante.oauth.errors import OAuthError
from restante.oauth.json_objects import read_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from restante.net.http import HttpAnswer

SECONDS = 10  # for all of an answer, with the look-up of the name
LARGEST_ANSWER = 1024 * 1024  # octets
LONGEST_KIND = 60  # characters of the type of an answer in an error
BUSY = (429, 503)  # the statuses with which Retry-After has a meaning
HEADERS = (("Accept", "application/json"), ("User-Agent", "restante"))


class IssuerAnswer(NamedTuple):
    """An issuer's answer: the status of HTTP, the JSON object, and what Retry-After says.

    Attributes:
        wait: seconds that a busy issuer asks its clients to wait, 0 for none.
    """

    status: int
    body: dict[str, Any]
    wait: float = 0.0


def is_success(status: int) -> bool:
    """Return whether a request succeeded: some issuers answer 201 or 204 instead of 200."""
    return 200 <= status < 300


def get_json(url: str) -> IssuerAnswer:
    """Return the JSON object at a URL. Raises OAuthError."""
    answer = _ask("GET", url, [], None)
    return IssuerAnswer(answer.status, _json_object(url, answer))


def post_form(
    url: str,
    fields: Mapping[str, str],
    headers: Sequence[tuple[str, str]] = (),
    *,
    only_status: bool = False,
    ends: float = math.inf,
) -> IssuerAnswer:
    """Send a form, and return the answer. Raises OAuthError.

    With `only_status`, the answer to a success may be anything, and it is not read. `ends` is when
    the time for several requests is over, by time.monotonic(): one that could last longer is not
    sent, for an answer that comes too late may have a token.
    """
    kind = ("Content-Type", "application/x-www-form-urlencoded")
    answer = _ask("POST", url, [kind, *headers], urlencode(fields).encode(), ends)
    ignored = only_status and is_success(answer.status)
    body = {} if ignored else _json_object(url, answer)
    return IssuerAnswer(answer.status, body, _read_wait(answer))


def post_json(url: str, value: Mapping[str, Any]) -> IssuerAnswer:
    """Send a JSON object, and return the answer. Raises OAuthError."""
    kind = ("Content-Type", "application/json")
    answer = _ask("POST", url, [kind], json.dumps(value).encode())
    return IssuerAnswer(answer.status, _json_object(url, answer), _read_wait(answer))


def _read_wait(answer: HttpAnswer) -> float:
    """Return the seconds of Retry-After, which may be a date. RFC 9110 section 10.2.3."""
    field = answer.headers.get("retry-after", "")
    if answer.status not in BUSY:
        return 0.0
    if field.isascii() and field.isdigit():
        return float(field[:9])
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(field).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def _ask(
    method: str,
    url: str,
    headers: Sequence[tuple[str, str]],
    content: bytes | None,
    ends: float = math.inf,
) -> HttpAnswer:
    own_end = time.monotonic() + SECONDS
    if own_end > ends:
        raise OAuthError("oauth-network", f"{url}: did not answer in time")
    client = HttpClient(
        context=verifying_context(),
        ends=own_end,
        largest=LARGEST_ANSWER,
        may_lead_to=lambda _: False,
        proxy=proxy_for(url),
    )
    try:
        answer = client.send(method, url, [*HEADERS, *headers], content)
    except InvalidAnswerError as error:
        raise OAuthError("oauth-answer", f"{url}: {error}") from None
    except HttpError as error:
        raise OAuthError("oauth-network", f"{url}: {error}") from None
    if 300 <= answer.status < 400:
        text = f"{url}: HTTP {answer.status}; redirects are not followed"
        raise OAuthError("oauth-answer", text)
    return answer


def proxy_for(url: str) -> str:
    """Return the proxy that the environment names for a URL, "" for none: https_proxy, no_proxy.

    A proxy without a scheme is one of HTTP, as for curl.
    """
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:  # of the user's own table of providers; see HttpClient
        return ""
    if is_loopback(host) or proxy_bypass(host):
        return ""
    proxy = getproxies().get("https", "")
    return proxy if "://" in proxy or not proxy else f"http://{proxy}"


def _json_object(url: str, answer: HttpAnswer) -> dict[str, Any]:
    """Return the object of an answer, an empty one for a failure without one."""
    body = read_object(answer.content)
    if body is None and is_success(answer.status):
        raise OAuthError("oauth-answer", f"{url}: the answer is not a JSON object{_kind(answer)}")
    return body or {}


def _kind(answer: HttpAnswer) -> str:
    """Return what an answer says that it is, where this explains why it is not JSON."""
    coding = answer.headers.get("content-encoding", "")
    kind = answer.headers.get("content-type", "").partition(";")[0].strip()
    if coding:
        return f", but packed with {coding[:LONGEST_KIND]}"
    return "" if not kind or kind.endswith("json") else f", but {kind[:LONGEST_KIND]}"
