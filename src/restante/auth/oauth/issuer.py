"""The issuer of tokens, asked over HTTP: one deadline for all of an answer."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

from restante.net.http import HttpClient, HttpError
from restante.net.tls_trust import create_verifying_context

if TYPE_CHECKING:
    from collections.abc import Sequence

PATIENCE = 5  # seconds for all of an answer, with the look-up of the name
LARGEST_ANSWER = 1024 * 1024  # octets
UNSUPPORTED_TOKEN = "unsupported_token_type"  # noqa: S105  # RFC 7009 section 2.2.1


def get(url: str) -> dict[str, Any]:
    """Return the JSON object at a URL. Raises HttpError, ValueError."""
    return _json_object(_client().get(url))


def post(url: str, form: bytes, headers: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Send a form and return the JSON object that answers it. Raises HttpError, ValueError.

    A refusal of RFC 6749 section 5.2 is an answer, too, if it is about the token in the form.
    """
    content_type = ("Content-Type", "application/x-www-form-urlencoded")
    answer = _client().send("POST", url, [content_type, *headers], form)
    if answer.status == 200:
        return _json_object(answer.content)
    with contextlib.suppress(ValueError):
        content = _json_object(answer.content)
        if content.get("error") == UNSUPPORTED_TOKEN:
            return content
    raise HttpError(f"HTTP {answer.status}")


def _client() -> HttpClient:
    return HttpClient(
        context=create_verifying_context(),
        ends=time.monotonic() + PATIENCE,
        largest=LARGEST_ANSWER,
        may_lead_to=lambda _: True,  # the administrator's URL may lead to any host, by https
    )


def _json_object(octets: bytes) -> dict[str, Any]:
    try:
        content = json.loads(octets)
    except RecursionError as error:
        raise ValueError("no answer that can be read") from error
    if not isinstance(content, dict):
        raise ValueError("no JSON object")  # noqa: TRY004  # it came from the network
    return content
