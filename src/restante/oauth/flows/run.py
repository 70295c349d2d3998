"""Signs in by the first flow that works."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from restante.oauth import token_endpoint
from restante.oauth.errors import OAuthError
from restante.oauth.flows import device, loopback, paste
from restante.oauth.sign_in import SignIn
from restante.oauth.token_claims import user_of
from restante.system_errors import explain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from restante.oauth.client import SignInClient
    from restante.oauth.flows import Flow
    from restante.oauth.flows.device import DeviceCode
    from restante.oauth.token_endpoint import TokenSet

TRY_NEXT = frozenset({"oauth-scope", "oauth-policy", "oauth-client"})
"""Refusals of the device flow after which the next flow may work."""


class Person(Protocol):
    """The user at a terminal."""

    browser: bool
    """Whether a browser can be opened on this machine."""

    def open_page(self, url: str) -> None:
        """Open a browser, or show the URL."""

    def show_code(self, code: DeviceCode) -> None:
        """Show the address to sign in at, and the code to type there."""

    def ask_for_answer(self, url: str) -> str:
        """Show the URL, and return the address at which the browser ends."""

    def note(self, text: str) -> None:
        """Show in one line why a flow is skipped."""


def flow_order(possible: Sequence[Flow], *, browser: bool, port: int | None) -> list[Flow]:
    """Return the flows to try, best first.

    Loopback requires a browser here, or a port that a user forwards to it. Client credentials sign
    in no user, so they are used only on request.
    """
    loopback_works = browser or port is not None
    order: list[Flow] = ["loopback"] if loopback_works else []
    order += ["device", "paste"]
    return [flow for flow in order if flow in possible]


def sign_in(client: SignInClient, flows: Sequence[Flow], person: Person, port: int = 0) -> SignIn:
    """Return a sign-in by the first of some flows that works. Raises OAuthError."""
    for position, flow in enumerate(flows, 1):
        last = position == len(flows)
        try:
            tokens = _run_flow(client, flow, person, port)
        except OSError as error:
            reason = f"port {port} cannot be used ({explain(error)})"
            if last:
                raise OAuthError("oauth-flow", reason) from None
        except OAuthError as error:
            if last or flow != "device" or error.id not in TRY_NEXT:
                raise
            reason = error.text
        else:
            return _new_sign_in(client, flow, tokens)
        person.note(f"{flow} does not work: {reason}; {flows[position]} is next")
    raise OAuthError("oauth-flow", "no way to sign in is possible here")


def _run_flow(client: SignInClient, flow: Flow, person: Person, port: int) -> TokenSet:
    _check_endpoint(client, flow)
    match flow:
        case "loopback":
            return loopback.sign_in(client, person.open_page, port)
        case "device":
            return device.sign_in(client, person.show_code)
        case "paste":
            return paste.sign_in(client, person.ask_for_answer)
        case "client-credentials":
            return token_endpoint.client_credentials(client.endpoint, client.scope)


def _check_endpoint(client: SignInClient, flow: Flow) -> None:
    """Raise OAuthError: the issuer has nothing for a flow that the user has chosen."""
    server = client.server
    endpoints = {"device": server.device, "client-credentials": server.token}
    if flow not in client.flows or not endpoints.get(flow, server.authorization):
        name = client.provider or server.issuer
        raise OAuthError("oauth-flow", f"{name} does not offer the flow {flow} to this client")


def _new_sign_in(client: SignInClient, flow: Flow, tokens: TokenSet) -> SignIn:
    return SignIn(
        provider=client.provider,
        issuer=client.server.issuer,
        endpoint=client.endpoint,
        tokens=tokens,
        flow=flow,
        scope=client.scope,
        user=user_of(tokens),
        revocation_url=client.server.revocation,
        client_secret_command=client.client_secret_command,
        signed_in_at=time.time(),
    )
