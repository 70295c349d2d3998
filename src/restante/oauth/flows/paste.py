"""Paste: the browser is anywhere, and the user copies the address that it ends at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from restante.oauth.errors import OAuthError
from restante.oauth.flows.authorization import AuthorizationRequest, read_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from restante.oauth.client import SignInClient
    from restante.oauth.token_endpoint import TokenSet


def sign_in(client: SignInClient, ask_for_answer: Callable[[str], str]) -> TokenSet:
    """Return the tokens of a user that signs in.

    `ask_for_answer` shows a URL, and returns the address at which the browser ends: a page of the
    browser's own machine that cannot be loaded. Raises OAuthError.
    """
    request = AuthorizationRequest(client, f"{client.redirect}/")
    answer = ask_for_answer(request.url)
    try:
        read_fields(answer)
    except OAuthError as error:
        place = f"{client.redirect}/?"
        error.remedy = f"Sign in again, and paste the whole address: it begins with {place}"
        raise
    return request.accept(answer)
